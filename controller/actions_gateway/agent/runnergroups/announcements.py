"""Which turns of a group's conditions are events of their own: problems that people have to act on, and their end.

Not Ready alone, since a session more or less is no news; not a credential's state, which its gateway tells; and not
pods that are not admitted, since those are told job by job.
"""

from typing import Any

from actions_gateway.api.conditions import ConditionType, Reason, find_condition
from actions_gateway.kube.events import Announcement

_PROBLEMS = {
    ConditionType.READY: (Reason.INVALID_SPEC,),
    ConditionType.DEGRADED: (Reason.POD_TEMPLATE_REFUSED, Reason.UNAUTHORIZED),
    ConditionType.RATE_LIMITED: (Reason.SUSTAINED_RATE_LIMIT,),
    ConditionType.RUNNER_VERSION_TOO_OLD: (Reason.VERSION_TOO_OLD,),
}


def decide_announcements(before: dict[str, Any], after: dict[str, Any]) -> list[Announcement]:
    """The events between two states of a RunnerGroup's object."""
    announcements = []
    for kind, problems in _PROBLEMS.items():
        was, now = find_condition(before, kind), find_condition(after, kind)
        if now is None or now["reason"] == (was or {}).get("reason"):
            continue
        if now["reason"] in problems or (was is not None and was["reason"] in problems):
            announcements.append(Announcement(now["reason"], now["message"], now["reason"] in problems))
    return announcements
