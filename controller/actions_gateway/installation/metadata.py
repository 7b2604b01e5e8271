"""Metadata and RBAC shapes that all installed objects share."""

from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_NAMESPACE

Manifest = dict[str, Any]

RBAC_GROUP = "rbac.authorization.k8s.io"


def metadata(name: str, *, namespaced: bool) -> Manifest:
    """Name, namespace and labels of an installed object."""
    built: Manifest = {"name": name, "labels": {labels.APP_NAME: "gmc", labels.APP_PART_OF: labels.PART_OF}}
    return built | ({"namespace": MANAGER_NAMESPACE} if namespaced else {})


def cluster_role(name: str, rules: list[Manifest]) -> Manifest:
    """A ClusterRole."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": metadata(name, namespaced=False),
        "rules": rules,
    }


def rule(group: str, resources: list[str], verbs: list[str], *, names: list[str] | None = None) -> Manifest:
    """One rule of a role."""
    built: Manifest = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return built | ({"resourceNames": names} if names else {})
