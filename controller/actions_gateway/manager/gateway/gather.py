"""Reads one gateway's surroundings, from the mirrors alone."""

from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES, PODS, RESOURCEQUOTAS
from actions_gateway.manager.gateway.children import CHILD_KINDS
from actions_gateway.manager.gateway.mirror import Mirrors
from actions_gateway.manager.gateway.snapshot import Key, Snapshot


def gather(mirrors: Mirrors, key: Key) -> Snapshot | None:
    """The snapshot, or None when the gateway is gone or its namespace is not known yet (its coming is an event)."""
    namespace_name, name = key
    gateway = mirrors[ACTIONSGATEWAYS].get(name, namespace_name)
    namespace = mirrors[NAMESPACES].get(namespace_name)
    if gateway is None or namespace is None:
        return None
    siblings = mirrors[ACTIONSGATEWAYS].in_namespace(namespace_name)
    return Snapshot(
        gateway=gateway,
        namespace=namespace,
        siblings=tuple(other for other in siblings if other["metadata"]["name"] != name),
        children={
            (kind.kind, str(child["metadata"]["name"])): child
            for kind in CHILD_KINDS
            for child in mirrors[kind].in_namespace(namespace_name)
        },
        pods=tuple(mirrors[PODS].in_namespace(namespace_name)),
        quotas=tuple(mirrors[RESOURCEQUOTAS].in_namespace(namespace_name)),
    )
