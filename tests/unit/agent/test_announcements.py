"""Which turns of a group's conditions are events."""

import pytest

from actions_gateway.agent.runnergroups.announcements import decide_announcements
from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason, set_conditions
from actions_gateway.kube.events import Announcement
from support.clock import START

TRUE, FALSE = ConditionStatus.TRUE, ConditionStatus.FALSE


def group(kind: ConditionType, status: ConditionStatus, reason: Reason, message: str = "text") -> dict[str, object]:
    conditions = set_conditions([], (Condition(kind, status, reason, message),), generation=1, now=START)
    return {"metadata": {"name": "ci-cpu"}, "status": {"conditions": conditions}}


TURNS = [
    (ConditionType.READY, (FALSE, Reason.INVALID_SPEC), (TRUE, Reason.LISTENER_ACTIVE)),
    (ConditionType.DEGRADED, (TRUE, Reason.POD_TEMPLATE_REFUSED), (FALSE, Reason.WORKERS_ADMITTED)),
    (ConditionType.DEGRADED, (TRUE, Reason.UNAUTHORIZED), (FALSE, Reason.WORKERS_ADMITTED)),
    (ConditionType.RATE_LIMITED, (TRUE, Reason.SUSTAINED_RATE_LIMIT), (FALSE, Reason.WITHIN_RATE_LIMIT)),
    (ConditionType.RUNNER_VERSION_TOO_OLD, (TRUE, Reason.VERSION_TOO_OLD), (FALSE, Reason.VERSION_SUPPORTED)),
]


@pytest.mark.parametrize(("kind", "problem", "good"), TURNS)
def test_a_problem_and_its_end_are_told_once(
    kind: ConditionType, problem: tuple[ConditionStatus, Reason], good: tuple[ConditionStatus, Reason]
) -> None:
    bad, fine = group(kind, *problem, "what is wrong"), group(kind, *good, "all is well")
    assert decide_announcements({}, bad) == [Announcement(problem[1], "what is wrong", is_warning=True)]
    assert decide_announcements(fine, bad) == [Announcement(problem[1], "what is wrong", is_warning=True)]
    assert decide_announcements(bad, group(kind, *problem, "in other words")) == []
    assert decide_announcements(bad, fine) == [Announcement(good[1], "all is well", is_warning=False)]
    assert decide_announcements({}, fine) == decide_announcements(fine, fine) == []


def test_sessions_that_come_and_go_and_pods_that_wait_are_no_events_of_a_group() -> None:
    up = group(ConditionType.READY, TRUE, Reason.LISTENER_ACTIVE)
    down = group(ConditionType.READY, FALSE, Reason.NO_ACTIVE_SESSIONS)
    refused = group(ConditionType.DEGRADED, TRUE, Reason.WORKERS_REFUSED)
    admitted = group(ConditionType.DEGRADED, FALSE, Reason.WORKERS_ADMITTED)
    for before, after in ((up, down), (down, up), (admitted, refused), (refused, admitted)):
        assert decide_announcements(before, after) == []
