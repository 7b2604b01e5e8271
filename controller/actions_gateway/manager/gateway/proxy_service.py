"""What surrounds a tenant's proxies: the name that clients know, how many there are, how many may go at once."""

from actions_gateway.api import labels
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import PROXY
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import DEPLOYMENTS, HPAS, PDBS, SERVICES
from actions_gateway.manager.gateway.ownership import build_child
from actions_gateway.proxy.listeners import PROXY_PORT

_SELECTOR = {labels.APP: PROXY}
_CALM_SECONDS = 300
"""Fewer proxies only after this long with less to do: tunnels live for hours, and each pod that goes cuts some."""


def proxy_url(gateway: Manifest) -> str:
    """Where agent and workers reach the proxies."""
    return f"http://{PROXY}.{gateway['metadata']['namespace']}.svc.cluster.local:{PROXY_PORT}"


def no_proxy(spec: ActionsGatewaySpec) -> str:
    """What workers reach directly: themselves, and the ranges that the tenant names."""
    return ",".join(("localhost", "127.0.0.1", "::1", *spec.proxy.no_proxy_cidrs))


def build_proxy_service(gateway: Manifest) -> Manifest:
    """Everything else of it the API server assigns."""
    port = {"name": "proxy", "port": PROXY_PORT, "targetPort": "proxy", "protocol": "TCP"}
    return build_child(gateway, SERVICES, PROXY, spec={"type": "ClusterIP", "selector": _SELECTOR, "ports": [port]})


def build_disruption_budget(gateway: Manifest) -> Manifest:
    """One at a time, and one that is not ready always: it never holds up a drain, however few proxies there are."""
    return build_child(
        gateway,
        PDBS,
        PROXY,
        spec={
            "maxUnavailable": 1,
            "selector": {"matchLabels": _SELECTOR},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    )


def build_autoscaler(gateway: Manifest, spec: ActionsGatewaySpec) -> Manifest:
    """Up as Kubernetes does by default, written out so that nobody else's rule holds it back; down slowly."""
    proxy = spec.proxy
    target = {"type": "Utilization", "averageUtilization": proxy.target_cpu_utilization_percentage}
    up = [
        {"type": "Percent", "value": 100, "periodSeconds": 15},
        {"type": "Pods", "value": 4, "periodSeconds": 15},
    ]
    down = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    autoscaler = {
        "scaleTargetRef": {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind, "name": PROXY},
        "minReplicas": proxy.min_replicas,
        "maxReplicas": proxy.max_replicas,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": up},
            "scaleDown": {"stabilizationWindowSeconds": _CALM_SECONDS, "selectPolicy": "Max", "policies": down},
        },
    }
    return build_child(gateway, HPAS, PROXY, spec=autoscaler)
