"""How Prometheus finds manager and agents, for clusters that run the Prometheus operator.

The manager has a headless Service and a ServiceMonitor; agents have no Service that selects them in every tenant's
namespace, so one PodMonitor takes all of them. Field names: the operator's API reference, monitoring.coreos.com/v1.
"""

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, MANAGER_METRICS
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.installation.metadata import Manifest, metadata
from actions_gateway.manifests import podspec

_API_VERSION = "monitoring.coreos.com/v1"
MANAGER_JOB = "actions-gateway-manager"
AGENT_JOB = "actions-gateway-agent"
_INTERVAL = "30s"
_PORT = "metrics"
_ENDPOINT = {"port": _PORT, "interval": _INTERVAL}


def monitoring_manifests() -> list[Manifest]:
    """The Service and both monitors."""
    return [_service(), _manager_monitor(), _agent_monitor()]


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
            "ports": [{"name": _PORT, "port": podspec.METRICS_PORT, "protocol": "TCP", "targetPort": _PORT}],
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


def _agent_monitor() -> Manifest:
    """Takes `namespace` from the target: no agent can write series in another tenant's name."""
    return {
        "apiVersion": _API_VERSION,
        "kind": "PodMonitor",
        "metadata": metadata(AGENT_JOB, namespaced=True),
        "spec": {
            "namespaceSelector": {"any": True},
            "selector": {"matchLabels": {labels.APP: AGENT}},
            "podMetricsEndpoints": [{**_ENDPOINT, "honorLabels": False, "relabelings": [_job(AGENT_JOB)]}],
        },
    }


def _job(name: str) -> Manifest:
    return {"action": "replace", "targetLabel": "job", "replacement": name}
