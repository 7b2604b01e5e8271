"""The status of a gateway as a manifest, and whether the live one says it already."""

from datetime import datetime

from actions_gateway.api.conditions import ConditionStatus, ConditionType, set_conditions
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import ACTIONSGATEWAYS
from actions_gateway.manager.gateway.conditions import Verdict
from actions_gateway.manager.gateway.snapshot import Snapshot
from actions_gateway.manager.gateway.verdict.workloads import ready_replicas

_OURS = frozenset(kind.value for kind in ConditionType)
_SCALARS = ("observedGeneration", "proxyReadyReplicas", "activeSessions", "activeJobs", "credential")


def build_status(snapshot: Snapshot, verdict: Verdict, now: datetime) -> Manifest | None:
    """The manifest to apply to the status subresource, or None when the live status says it already."""
    gateway = snapshot.gateway
    before = gateway.get("status") or {}
    generation = int(gateway["metadata"].get("generation") or 0)
    decided = {condition.type.value for condition in verdict.conditions}
    merged = set_conditions(before.get("conditions") or [], verdict.conditions, generation=generation, now=now)
    status: Manifest = {
        "conditions": [entry for entry in merged if entry["type"] in decided],
        "observedGeneration": generation,
        "proxyReadyReplicas": ready_replicas(snapshot.proxy),
        "activeSessions": _total(snapshot, "activeSessions") if _has_agent(verdict) else 0,
        "activeJobs": _total(snapshot, "activeJobs"),
    }
    credential = next((found for group in snapshot.runner_groups if (found := _status(group).get("credential"))), None)
    if credential:
        status["credential"] = credential
    if _says_the_same(before, status):
        return None
    metadata = gateway["metadata"]
    return {
        "apiVersion": ACTIONSGATEWAYS.api_version,
        "kind": ACTIONSGATEWAYS.kind,
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "status": status,
    }


def _has_agent(verdict: Verdict) -> bool:
    """Without an agent no session is open, whatever its last report says; its running jobs go on."""
    return any(
        condition.type is ConditionType.AGC_AVAILABLE and condition.status is ConditionStatus.TRUE
        for condition in verdict.conditions
    )


def _says_the_same(before: Manifest, status: Manifest) -> bool:
    conditions = {entry["type"]: entry for entry in before.get("conditions") or [] if entry["type"] in _OURS}
    if conditions != {entry["type"]: entry for entry in status["conditions"]}:
        return False
    return all(before.get(name) == status.get(name) for name in _SCALARS)


def _status(group: Manifest) -> Manifest:
    status: Manifest = group.get("status") or {}
    return status


def _total(snapshot: Snapshot, field: str) -> int:
    return sum(int(_status(group).get(field) or 0) for group in snapshot.runner_groups)
