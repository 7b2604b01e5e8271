"""Conditions and readiness as the workload controllers compute them: pure functions."""

from datetime import datetime
from typing import Any

Condition = dict[str, Any]


def rfc3339(moment: datetime) -> str:
    """The API's time format, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def find_condition(manifest: dict[str, Any], kind: str) -> Condition | None:
    """The condition of that type in the object's status."""
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), None)


def condition(
    kind: str, *, is_true: bool, reason: str, message: str, now: datetime, before: Condition | None
) -> Condition:
    """A condition whose transition time moves only when its status does."""
    status = "True" if is_true else "False"
    since = before.get("lastTransitionTime") if before is not None and before["status"] == status else None
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or rfc3339(now),
    }


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether the pod's Ready condition holds."""
    found = find_condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def seconds_until_available(pod: dict[str, Any], min_ready_seconds: int, now: datetime) -> float | None:
    """0 or less when the pod has been ready for long enough, None when it is not ready."""
    found = find_condition(pod, "Ready")
    if found is None or found["status"] != "True":
        return None
    if not min_ready_seconds:
        return 0.0
    return min_ready_seconds - (now - datetime.fromisoformat(found["lastTransitionTime"])).total_seconds()


def is_active(pod: dict[str, Any]) -> bool:
    """Whether the pod counts as a replica: neither ended nor on its way out."""
    has_ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not has_ended and not pod["metadata"].get("deletionTimestamp")


def same_fields(before: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether `before` says all of `wanted`; the API leaves out zeros and empty lists."""
    return all((before.get(field) or None) == (value or None) for field, value in wanted.items())
