"""What a Deployment says about its rollout: counts and conditions, as pure functions.

Source: kubernetes pkg/controller/deployment (sync.go, progress.go) and util/deployment_util.go (the reasons); the
counts are what `kubectl rollout status` reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway_sandbox.controllers.conditions import Condition, condition, find_condition, rfc3339
from gateway_sandbox.controllers.rollout import Strategy

Manifest = dict[str, Any]
COMPLETE = "NewReplicaSetAvailable"
_TIMED_OUT = "ProgressDeadlineExceeded"
_DEFAULT_DEADLINE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """What the status is computed from."""

    deployment: Manifest
    desired: int
    strategy: Strategy
    new: Manifest | None
    olds: Sequence[Manifest]
    found_new: tuple[str, str] | None
    """Reason and message when this look created or found the new ReplicaSet of a changed template."""
    now: datetime


def build_status(facts: RolloutFacts) -> Manifest:
    """The Deployment's status."""
    everyone = [*facts.olds, *([facts.new] if facts.new else [])]
    counts = {
        "replicas": _sum(everyone, "replicas"),
        "updatedReplicas": _sum([facts.new] if facts.new else [], "replicas"),
        "readyReplicas": _sum(everyone, "readyReplicas"),
        "availableReplicas": _sum(everyone, "availableReplicas"),
    }
    counts["unavailableReplicas"] = max(0, max(counts["replicas"], facts.desired) - counts["availableReplicas"])
    conditions = [_available(facts, counts["availableReplicas"]), _progressing(facts, counts), _failure(facts)]
    return {
        **counts,
        "observedGeneration": facts.deployment["metadata"].get("generation"),
        "conditions": [present for present in conditions if present],
    }


def seconds_until_deadline(status: Manifest, deployment: Manifest, now: datetime) -> float | None:
    """When an unfinished rollout has to be looked at again to see whether it has stalled."""
    progressing = find_condition({"status": status}, "Progressing")
    if progressing is None or progressing["reason"] in (COMPLETE, _TIMED_OUT) or deployment["spec"].get("paused"):
        return None
    return max(1.0, (_deadline(progressing, deployment) - now).total_seconds() + 1.0)


def _sum(replica_sets: Sequence[Manifest], field: str) -> int:
    return sum(int((replica_set.get("status") or {}).get(field) or 0) for replica_set in replica_sets)


def _available(facts: RolloutFacts, available: int) -> Condition:
    is_enough = available >= facts.desired - facts.strategy.max_unavailable
    return condition(
        "Available",
        is_true=is_enough,
        reason="MinimumReplicasAvailable" if is_enough else "MinimumReplicasUnavailable",
        message=f"Deployment {'has' if is_enough else 'does not have'} minimum availability.",
        now=facts.now,
        before=find_condition(facts.deployment, "Available"),
    ) | _updated(facts, "Available", "True" if is_enough else "False")


def _progressing(facts: RolloutFacts, counts: dict[str, int]) -> Condition | None:
    before = find_condition(facts.deployment, "Progressing")
    outcome = _progress(facts, counts, before)
    if outcome is None:
        return before
    is_true, reason, message = outcome
    told = condition("Progressing", is_true=is_true, reason=reason, message=message, now=facts.now, before=before)
    return told | {"lastUpdateTime": rfc3339(facts.now)}


def _progress(facts: RolloutFacts, counts: dict[str, int], before: Condition | None) -> tuple[bool, str, str] | None:
    """Status, reason and message of a change of the Progressing condition, or None when it stays."""
    reason_before = before["reason"] if before else ""
    if facts.deployment["spec"].get("paused"):
        return None if reason_before == "DeploymentPaused" else (True, "DeploymentPaused", "Deployment is paused")
    if facts.found_new is not None:
        return True, *facts.found_new
    if facts.new is None:
        return None
    name = facts.new["metadata"]["name"]
    if counts["updatedReplicas"] == counts["replicas"] == counts["availableReplicas"] == facts.desired:
        done = f'ReplicaSet "{name}" has successfully progressed.'
        return None if reason_before == COMPLETE else (True, COMPLETE, done)
    if reason_before == COMPLETE and counts["replicas"] == counts["updatedReplicas"]:
        # A pod that fails after the rollout was complete does not make it unfinished.
        return None
    if reason_before == "DeploymentPaused":
        return True, "DeploymentResumed", "Deployment is resumed"
    if before is None or _has_moved(facts.deployment.get("status") or {}, counts):
        return True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.'
    if reason_before != _TIMED_OUT and facts.now >= _deadline(before, facts.deployment):
        return False, _TIMED_OUT, f'ReplicaSet "{name}" has timed out progressing.'
    return None


def _has_moved(before: Manifest, counts: dict[str, int]) -> bool:
    def old(fields: Manifest) -> int:
        return int(fields.get("replicas") or 0) - int(fields.get("updatedReplicas") or 0)

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(counts) < old(before) or any(counts[field] > int(before.get(field) or 0) for field in grown)


def _failure(facts: RolloutFacts) -> Condition | None:
    replica_sets = [*([facts.new] if facts.new else []), *facts.olds]
    found = (find_condition(replica_set, "ReplicaFailure") for replica_set in replica_sets)
    failure = next((failure for failure in found if failure is not None), None)
    if failure is None:
        return None
    return failure | _updated(facts, "ReplicaFailure", failure["status"])


def _updated(facts: RolloutFacts, kind: str, status: str) -> Condition:
    """The update time of a condition: as it was while the condition stays."""
    before = find_condition(facts.deployment, kind)
    stays = before is not None and before["status"] == status
    return {"lastUpdateTime": before.get("lastUpdateTime") if stays and before else rfc3339(facts.now)}


def _deadline(progressing: Condition, deployment: Manifest) -> datetime:
    deadline_seconds = int(deployment["spec"].get("progressDeadlineSeconds") or _DEFAULT_DEADLINE_SECONDS)
    return datetime.fromisoformat(progressing["lastUpdateTime"]) + timedelta(seconds=deadline_seconds)
