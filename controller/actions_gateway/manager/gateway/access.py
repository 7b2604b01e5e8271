"""ServiceAccounts of a tenant and the one RoleBinding to the agent's fixed ClusterRole."""

from actions_gateway.api.names import AGENT, AGENT_CLUSTER_ROLE, PROXY, WORKER
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import CLUSTERROLES, ROLEBINDINGS, SERVICEACCOUNTS
from actions_gateway.manager.gateway.ownership import build_child


def build_service_accounts(gateway: Manifest) -> list[Manifest]:
    """The agent's, whose pod asks for its token itself; those of workers and proxies have no rights at all."""
    names = (AGENT, WORKER, PROXY)
    return [build_child(gateway, SERVICEACCOUNTS, name, automountServiceAccountToken=False) for name in names]


def build_role_binding(gateway: Manifest) -> Manifest:
    """The agent's rights, in its own namespace only."""
    subject = {"kind": SERVICEACCOUNTS.kind, "name": AGENT, "namespace": gateway["metadata"]["namespace"]}
    role = {"apiGroup": CLUSTERROLES.group, "kind": CLUSTERROLES.kind, "name": AGENT_CLUSTER_ROLE}
    return build_child(gateway, ROLEBINDINGS, AGENT, roleRef=role, subjects=[subject])
