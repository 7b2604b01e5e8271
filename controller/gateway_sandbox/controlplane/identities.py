"""Users of the control plane beside its administrator: exactly the rights that each is given."""

from collections.abc import Sequence
from typing import Any

from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import CLUSTERROLEBINDINGS, CLUSTERROLES

_GROUP = "rbac.authorization.k8s.io"
_FIELD_MANAGER = "gw-sandbox"


async def grant(client: KubeClient, user: str, rules: Sequence[dict[str, Any]]) -> None:
    """Gives `user` these rules of a ClusterRole in every namespace, and nothing else; raises KubeError."""
    name = f"sandbox:{user}"
    role = {"metadata": {"name": name}, "rules": list(rules)}
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
    await client.apply(CLUSTERROLES, role, field_manager=_FIELD_MANAGER)
    await client.apply(CLUSTERROLEBINDINGS, binding, field_manager=_FIELD_MANAGER)
