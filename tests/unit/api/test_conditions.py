"""The one setter of conditions: times move on flips only, the observed generation always."""

from datetime import timedelta

from actions_gateway.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    find_condition,
    is_true,
    set_conditions,
)
from support.clock import START

READY = Condition(ConditionType.READY, ConditionStatus.TRUE, Reason.ALL_AVAILABLE, "all parts are up")
NOT_READY = Condition(ConditionType.READY, ConditionStatus.FALSE, Reason.AGC_NOT_READY, "the agent has no ready pod")
LATER = START + timedelta(minutes=5)


def test_a_new_condition_is_stamped_with_the_present() -> None:
    (entry,) = set_conditions([], (READY,), generation=3, now=START)
    assert entry == {
        "type": "Ready",
        "status": "True",
        "reason": "AllAvailable",
        "message": "all parts are up",
        "lastTransitionTime": "2026-01-05T09:00:00Z",
        "observedGeneration": 3,
    }


def test_an_unchanged_status_keeps_its_time_while_message_and_generation_move() -> None:
    first = set_conditions([], (READY,), generation=1, now=START)
    reworded = Condition(READY.type, READY.status, READY.reason, "everything is up")
    (entry,) = set_conditions(first, (reworded,), generation=2, now=LATER)
    assert entry["lastTransitionTime"] == "2026-01-05T09:00:00Z"
    assert (entry["message"], entry["observedGeneration"]) == ("everything is up", 2)


def test_a_flip_moves_the_time() -> None:
    first = set_conditions([], (READY,), generation=1, now=START)
    (entry,) = set_conditions(first, (NOT_READY,), generation=1, now=LATER)
    assert entry["lastTransitionTime"] == "2026-01-05T09:05:00Z"


def test_conditions_of_other_writers_stay() -> None:
    foreign = {"type": "Audited", "status": "True", "reason": "Yes", "message": "", "lastTransitionTime": "x"}
    entries = set_conditions([foreign], (READY,), generation=1, now=START)
    assert [entry["type"] for entry in entries] == ["Audited", "Ready"]


def test_a_condition_is_found_by_its_type() -> None:
    manifest = {"status": {"conditions": set_conditions([], (READY,), generation=1, now=START)}}
    assert is_true(manifest, ConditionType.READY)
    assert find_condition(manifest, ConditionType.DEGRADED) is None
    assert not is_true({}, ConditionType.READY)
