"""How often an agent's container ended, and why: read from how its pods' statuses change."""

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CONTAINER
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.mirror import Edit
from actions_gateway.metrics.catalog import AGENT_TERMINATIONS

_EVICTED = "Evicted"
_OTHER = "Other"
_COMING_UP = (None, "", "ContainerCreating", "PodInitializing")
"""Why a container waits whose last end is among its restarts already; every other reason keeps it from a restart."""
REASONS = AGENT_TERMINATIONS.labels["reason"] or ()


def terminations(edit: Edit) -> list[str]:
    """The reason of every end of the agent's container that a pod's change brought.

    An end shows first as the container's state; while the kubelet holds the restart back, as its last state with an
    unchanged number of restarts; once it is started again, as its last state and one restart more. All are the same end
    (Kubernetes, pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses). A pod that goes adds none: its container's
    end was told before, and one that nobody could tell of any more (a lost node) is unknown.
    """
    pod = edit.after
    if pod is None or (pod["metadata"].get("labels") or {}).get(labels.APP) != AGENT:
        return []
    return [_reason(pod)] * (_ends(pod) - (_ends(edit.before) if edit.before else 0))


def _ends(pod: Manifest) -> int:
    container = _container(pod)
    state, last = container.get("state") or {}, container.get("lastState") or {}
    is_held_back = "terminated" in last and (state.get("waiting") or {}).get("reason") not in _COMING_UP
    has_ended = _is_evicted(pod) or "terminated" in state or is_held_back
    return int(container.get("restartCount") or 0) + has_ended


def _reason(pod: Manifest) -> str:
    if _is_evicted(pod):
        return _EVICTED
    container = _container(pod)
    ended = (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated")
    reason = (ended or {}).get("reason")
    return reason if reason in REASONS else _OTHER


def _is_evicted(pod: Manifest) -> bool:
    """By the kubelet (Kubernetes, "Node-pressure Eviction"); an eviction that a person asked for is a deletion."""
    status = pod.get("status") or {}
    return status.get("phase") == "Failed" and status.get("reason") == _EVICTED


def _container(pod: Manifest) -> Manifest:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((entry for entry in statuses if entry.get("name") == AGENT_CONTAINER), {})
