"""Which events a change of a gateway's conditions is worth: one for each turn that people act on or wait for.

Problems are warnings, the way back is normal. The way from nothing to Ready is told by `Ready` alone. While no agent
runs, what it observes is Unknown: a problem that is still there afterwards is told anew.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason, find_condition, is_true
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.events import Announcement
from actions_gateway.manager.gateway.conditions import Verdict

_REFUSALS = frozenset(
    {Reason.RESERVED_NAMESPACE, Reason.NAMESPACE_NOT_MARKED, Reason.ANOTHER_GATEWAY, Reason.INVALID_SPEC}
)

_GOOD: Mapping[ConditionType, ConditionStatus] = MappingProxyType(
    {
        ConditionType.AGC_AVAILABLE: ConditionStatus.TRUE,
        ConditionType.PROXY_AVAILABLE: ConditionStatus.TRUE,
        ConditionType.CREDENTIAL_UNAVAILABLE: ConditionStatus.FALSE,
        ConditionType.RATE_LIMITED: ConditionStatus.FALSE,
        ConditionType.RUNNER_GROUPS_DEGRADED: ConditionStatus.FALSE,
        ConditionType.DEGRADED: ConditionStatus.FALSE,
        ConditionType.PAUSED: ConditionStatus.FALSE,
        ConditionType.POD_SECURITY_OVERRIDDEN: ConditionStatus.FALSE,
    }
)
_COMPONENTS = (ConditionType.AGC_AVAILABLE, ConditionType.PROXY_AVAILABLE)
"""Not available is how they begin."""

READY = "Ready"
"""The event's reason when all is available."""

_BY_INTENTION = frozenset({Reason.PAUSED_BY_SPEC, Reason.REMOVING_REGISTRATIONS, Reason.REMOVING_OBJECTS})
_LESS_THAN_GOOD = frozenset({Reason.PROXY_REDUCED, Reason.SECRET_EDITED})
"""Of conditions whose status is the good one."""


def decide_announcements(gateway: Manifest, verdict: Verdict) -> list[Announcement]:
    """Events for transitions, each reason once: a cause is named by its own condition and by Ready."""
    announcements: dict[str, Announcement] = {}
    leaving = [condition for condition in verdict.conditions if condition.type is ConditionType.DELETING]
    # On the way out, what ends is no news of its own.
    for condition in leaving or verdict.conditions:
        before = find_condition(gateway, condition.type)
        if before is not None and before["status"] == condition.status and before["reason"] == condition.reason:
            continue
        if _is_news(condition, before, gateway):
            reason = READY if condition.reason is Reason.ALL_AVAILABLE else condition.reason
            announcements.setdefault(reason, Announcement(reason, condition.message, _is_warning(condition)))
    return list(announcements.values())


def _is_news(condition: Condition, before: dict[str, Any] | None, gateway: Manifest) -> bool:
    was = before["status"] if before is not None else None
    match condition.type:
        case ConditionType.READY if condition.status is ConditionStatus.TRUE:
            return was != ConditionStatus.TRUE
        case ConditionType.READY if condition.reason is Reason.NO_ACTIVE_SESSIONS and is_true(
            gateway, ConditionType.PAUSED
        ):
            # Sessions are opened again once nothing is paused.
            return False
        case ConditionType.READY:
            # Not yet ready is the normal beginning; no longer ready is news, and so is a refusal.
            return was == ConditionStatus.TRUE or condition.reason in _REFUSALS
        case ConditionType.DELETING:
            return True
        case kind if kind in _COMPONENTS:
            return before is not None and condition.reason not in _REFUSALS and _has_been_ready(gateway)
        case _ if condition.status is _GOOD[condition.type]:
            was_bad = was is not None and was not in (condition.status, ConditionStatus.UNKNOWN)
            return (
                was_bad or _was_bad_before_unknown(condition, before, gateway) or _is_less_than_good(condition, before)
            )
        case _:
            return condition.status is not ConditionStatus.UNKNOWN


def _was_bad_before_unknown(condition: Condition, before: dict[str, Any] | None, gateway: Manifest) -> bool:
    """Whether a credential that works failed before it became unknown, as on the way from one key to the next.

    An agent that goes takes Ready along in the same report. Where Ready had been False before, something was wrong
    already, and a credential that fails is one cause of it. Of conditions that do not gate Ready nothing is known.
    """
    ready = find_condition(gateway, ConditionType.READY)
    return (
        condition.type is ConditionType.CREDENTIAL_UNAVAILABLE
        and before is not None
        and before["status"] == ConditionStatus.UNKNOWN
        and ready is not None
        and ready["status"] == ConditionStatus.FALSE
        and ready["lastTransitionTime"] < before["lastTransitionTime"]
    )


def _is_warning(condition: Condition) -> bool:
    if condition.reason in _BY_INTENTION:
        return False
    good = _GOOD.get(condition.type, ConditionStatus.TRUE)
    return condition.status is not good or condition.reason is Reason.PROXY_REDUCED


def _is_less_than_good(condition: Condition, before: dict[str, Any] | None) -> bool:
    """Whether a change of the reason alone is to be told: to one that people should know of, or back from it."""
    reasons = {condition.reason.value, (before or {}).get("reason")}
    return not reasons.isdisjoint(reason.value for reason in _LESS_THAN_GOOD)


def _has_been_ready(gateway: Manifest) -> bool:
    """Whether Ready has ever been True: it is, or has turned since the first report, which stamps all alike."""
    ready = find_condition(gateway, ConditionType.READY)
    entries = (gateway.get("status") or {}).get("conditions") or []
    first = min((str(entry["lastTransitionTime"]) for entry in entries), default="")
    return ready is not None and (ready["status"] == ConditionStatus.TRUE or ready["lastTransitionTime"] > first)
