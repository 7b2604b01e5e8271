"""How Prometheus finds manager and agents, for clusters that run the Prometheus operator.

The manager has a headless Service and a ServiceMonitor; agents have no Service, and a proxy's serves
tunnels alone, so one PodMonitor takes all of each. Field names: the operator's API reference, monitoring.coreos.com/v1.
"""

from collections.abc import Mapping
from types import MappingProxyType

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, MANAGER_METRICS, PROXY
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.installation.metadata import Manifest, metadata
from actions_gateway.manifests import podspec

_API_VERSION = "monitoring.coreos.com/v1"
PROMETHEUS_RULE = "actions-gateway"
"""The name of the object with all rules, which `gw_alerts` builds."""
MANAGER_JOB = "actions-gateway-manager"
AGENT_JOB = "actions-gateway-agent"
PROXY_JOB = PROXY
PROXY_PATH = "/stats/prometheus"
INTERVAL = "30s"
PORT = "metrics"
_ENDPOINT = {"port": PORT, "interval": INTERVAL}
UNSELECTED: Mapping[str, str] = MappingProxyType({})
"""For a Prometheus that takes every monitor and rule."""


def monitoring_manifests(selected_by: Mapping[str, str] = UNSELECTED) -> list[Manifest]:
    """The Service and the monitors of managers, agents and proxies, with what Prometheus selects monitors by."""
    monitors = [
        _manager_monitor(),
        _pod_monitor(AGENT_JOB, AGENT),
        _pod_monitor(PROXY_JOB, PROXY, path=PROXY_PATH),
    ]
    for monitor in monitors:
        monitor["metadata"]["labels"] |= selected_by
    return [_service(), *monitors]


def _service() -> Manifest:
    about = metadata(MANAGER_METRICS, namespaced=True)
    about["labels"] |= {labels.APP_COMPONENT: MANAGER_JOB}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about,
        "spec": {
            "clusterIP": "None",
            "selector": dict(SELECTOR),
            "ports": [{"name": PORT, "port": podspec.METRICS_PORT, "protocol": "TCP", "targetPort": PORT}],
        },
    }


def _manager_monitor() -> Manifest:
    """Honours the manager's own labels, since its `namespace` names the tenant that it reports on."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "ServiceMonitor",
        "metadata": metadata(MANAGER_JOB, namespaced=True),
        "spec": {
            "selector": {"matchLabels": {labels.APP_COMPONENT: MANAGER_JOB}},
            "endpoints": [{**_ENDPOINT, "honorLabels": True, "relabelings": [_job(MANAGER_JOB)]}],
        },
    }


def _pod_monitor(job: str, app: str, **endpoint: str) -> Manifest:
    """Takes `namespace` from the target: no tenant's pod can write series in another tenant's name."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "PodMonitor",
        "metadata": metadata(job, namespaced=True),
        "spec": {
            "namespaceSelector": {"any": True},
            "selector": {"matchLabels": {labels.APP: app}},
            "podMetricsEndpoints": [{**_ENDPOINT, **endpoint, "honorLabels": False, "relabelings": [_job(job)]}],
        },
    }


def _job(name: str) -> Manifest:
    return {"action": "replace", "targetLabel": "job", "replacement": name}
