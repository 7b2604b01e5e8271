"""The status of a gateway as a manifest, and the events that its changes are worth."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    find_condition,
    set_conditions,
)
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import ACTIONSGATEWAYS
from actions_gateway.manager.gateway.conditions import Verdict
from actions_gateway.manager.gateway.snapshot import Snapshot

_REFUSALS = frozenset(
    {Reason.RESERVED_NAMESPACE, Reason.NAMESPACE_NOT_MARKED, Reason.ANOTHER_GATEWAY, Reason.INVALID_SPEC}
)
_SCALARS = ("observedGeneration", "activeSessions", "activeJobs", "credential")


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event to write."""

    reason: str
    message: str
    is_warning: bool


def build_status(snapshot: Snapshot, verdict: Verdict, now: datetime) -> Manifest | None:
    """The manifest to apply to the status subresource, or None when the live status says it already."""
    gateway = snapshot.gateway
    before = gateway.get("status") or {}
    generation = int(gateway["metadata"].get("generation") or 0)
    ours = {condition.type.value for condition in verdict.conditions}
    merged = set_conditions(before.get("conditions") or [], verdict.conditions, generation=generation, now=now)
    status: Manifest = {
        "conditions": [entry for entry in merged if entry["type"] in ours],
        "observedGeneration": generation,
        "activeSessions": _total(snapshot, "activeSessions") if _has_agent(verdict) else 0,
        "activeJobs": _total(snapshot, "activeJobs"),
    }
    credential = next((found for group in snapshot.runner_groups if (found := _status(group).get("credential"))), None)
    if credential:
        status["credential"] = credential
    if _says_the_same(before, status, ours):
        return None
    metadata = gateway["metadata"]
    return {
        "apiVersion": ACTIONSGATEWAYS.api_version,
        "kind": ACTIONSGATEWAYS.kind,
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "status": status,
    }


def decide_announcements(gateway: Manifest, verdict: Verdict) -> list[Announcement]:
    """Events for transitions: each problem once, under its own reason, and the return to Ready."""
    announcements: dict[str, Announcement] = {}
    for condition in verdict.conditions:
        before = find_condition(gateway, condition.type)
        if before is not None and before["status"] == condition.status.value and before["reason"] == condition.reason:
            continue
        if announcement := _announcement(condition, before):
            announcements.setdefault(announcement.reason, announcement)
    return list(announcements.values())


def _announcement(condition: Condition, before: dict[str, Any] | None) -> Announcement | None:
    is_true = condition.status is ConditionStatus.TRUE
    match condition.type:
        case ConditionType.READY if is_true:
            return Announcement("Ready", condition.message, is_warning=False)
        case ConditionType.READY:
            # Not yet ready is the normal beginning; no longer ready is news, and so is a refusal.
            was_ready = before is not None and before["status"] == ConditionStatus.TRUE.value
            if was_ready or condition.reason in _REFUSALS:
                return Announcement(condition.reason, condition.message, is_warning=True)
        case ConditionType.CREDENTIAL_UNAVAILABLE | ConditionType.DEGRADED if is_true:
            return Announcement(condition.reason, condition.message, is_warning=True)
        case _:
            pass
    return None


def _has_agent(verdict: Verdict) -> bool:
    """Without an agent no session is open, whatever its last report says; its running jobs go on."""
    return any(
        condition.type is ConditionType.AGC_AVAILABLE and condition.status is ConditionStatus.TRUE
        for condition in verdict.conditions
    )


def _says_the_same(before: Manifest, status: Manifest, ours: set[str]) -> bool:
    conditions = {entry["type"]: entry for entry in before.get("conditions") or [] if entry["type"] in ours}
    if conditions != {entry["type"]: entry for entry in status["conditions"]}:
        return False
    return all(before.get(name) == status.get(name) for name in _SCALARS)


def _status(group: Manifest) -> Manifest:
    status: Manifest = group.get("status") or {}
    return status


def _total(snapshot: Snapshot, field: str) -> int:
    return sum(int(_status(group).get(field) or 0) for group in snapshot.runner_groups)
