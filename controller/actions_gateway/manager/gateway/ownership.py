"""Metadata that every child of a gateway carries: labels, the owner reference, the seal of what was desired."""

import hashlib
import json
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import API_GROUP
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import ACTIONSGATEWAYS, Resource

DESIRED_HASH = f"{API_GROUP}/desired-hash"
"""Annotation: digest of the manifest as it was last applied, so that a field which we no longer want is noticed."""


def build_child(gateway: Manifest, resource: Resource, name: str, **parts: Any) -> Manifest:
    """The gateway's child `name` with `parts` as its top-level fields."""
    owner = gateway["metadata"]
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": owner["namespace"],
            "labels": child_labels(gateway, name),
            "ownerReferences": [
                {
                    "apiVersion": ACTIONSGATEWAYS.api_version,
                    "kind": ACTIONSGATEWAYS.kind,
                    "name": owner["name"],
                    "uid": owner["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        **parts,
    }


def child_labels(gateway: Manifest, component: str) -> dict[str, str]:
    """Labels of everything that belongs to the gateway; the mirrors select by the first."""
    name = gateway["metadata"]["name"]
    return {
        labels.MANAGED_BY: labels.BY_MANAGER,
        labels.OWNER_NAME: name,
        labels.APP_NAME: labels.PART_OF,
        labels.APP_INSTANCE: name,
        labels.APP_COMPONENT: component,
        labels.APP_PART_OF: labels.PART_OF,
    }


def sealed(manifest: Manifest) -> Manifest:
    """The manifest with its own digest as an annotation."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), DESIRED_HASH: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def controller_of(manifest: Manifest) -> Manifest | None:
    """The owner reference that controls the object, or None."""
    for reference in manifest["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(manifest: Manifest, gateway: Manifest) -> bool:
    """Whether this very gateway, not a predecessor of its name, controls the object."""
    owner = controller_of(manifest)
    return owner is not None and owner.get("uid") == gateway["metadata"]["uid"]


def is_child(manifest: Manifest) -> bool:
    """Whether the object is of the manager's making: by its label, or, that one taken away, by its owner."""
    if (manifest["metadata"].get("labels") or {}).get(labels.MANAGED_BY) == labels.BY_MANAGER:
        return True
    owner = controller_of(manifest)
    of_a_gateway = (ACTIONSGATEWAYS.api_version, ACTIONSGATEWAYS.kind)
    return owner is not None and (owner.get("apiVersion"), owner.get("kind")) == of_a_gateway
