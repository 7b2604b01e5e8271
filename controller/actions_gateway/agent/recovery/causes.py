"""Why a worker was lost, as its pod's marks say; a job's own failure is none of these.

Sources: Kubernetes documentation, "Disruptions" (pod disruption conditions) and "Node Shutdowns"; kubelet
`pkg/kubelet/eviction/eviction_manager.go` (reason Evicted), `pkg/kubelet/nodeshutdown/nodeshutdown_manager.go` (reason
Terminated), `pkg/kubelet/preemption/preemption.go` (reason Preempting).
"""

from actions_gateway.api.ledger import Cause

_BY_DISRUPTION_REASON = {
    "PreemptionByScheduler": Cause.PREEMPTION,
    "TerminationByKubelet": Cause.EVICTION,
    "EvictionByEvictionAPI": Cause.DELETION,
    "DeletionByTaintManager": Cause.DELETION,
    "DeletionByPodGC": Cause.DELETION,
}
"""Reasons of the pod condition DisruptionTarget."""

_BY_POD_REASON = {
    "Evicted": Cause.EVICTION,
    "Preempting": Cause.PREEMPTION,
    "Terminated": Cause.DELETION,
    "NodeShutdown": Cause.DELETION,
    "Shutdown": Cause.DELETION,
    "NodeLost": Cause.DELETION,
}
"""`status.reason` of a pod that its node ended; the last but one are of older kubelets."""


def marked_cause(pod_reason: str, disruption_reason: str) -> Cause | None:
    """The cause that a pod's `status.reason` and its true DisruptionTarget condition name; None when they name none."""
    return _BY_POD_REASON.get(pod_reason) or _BY_DISRUPTION_REASON.get(disruption_reason)
