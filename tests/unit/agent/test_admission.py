"""How many jobs of a group may run at once."""

import pytest

from actions_gateway.agent.jobs.admission import Admission, priority_class_for
from actions_gateway.api.runnergroup import PriorityTier, RunnerGroupSpec

LOW = PriorityTier(priority_class_name="low", threshold=2)
HIGH = PriorityTier(priority_class_name="high", threshold=3)


def admission(ceiling: int = 2, *, is_open: bool = True) -> Admission:
    made = Admission()
    made.configure(ceiling=ceiling, tiers=(LOW, HIGH), is_open=is_open)
    return made


def test_places_are_given_up_to_the_ceiling_and_come_back() -> None:
    places = admission(2)
    first, second = places.reserve(), places.reserve()
    assert first is not None
    assert second is not None
    assert places.reserve() is None
    assert places.free == 0
    first.release()
    first.release()
    assert places.free == 1
    assert places.reserve() is not None


def test_a_closed_group_gives_no_place_and_keeps_those_it_gave() -> None:
    places = admission(2)
    held = places.reserve()
    places.configure(ceiling=2, tiers=(), is_open=False)
    assert places.reserve() is None
    assert places.free == 0
    assert places.in_use == 1
    assert held is not None
    held.release()
    assert places.in_use == 0


def test_a_lowered_ceiling_lets_running_jobs_be() -> None:
    places = admission(3)
    for _ in range(3):
        places.reserve()
    places.configure(ceiling=1, tiers=(), is_open=True)
    assert places.free == 0
    assert places.in_use == 3


def test_workers_of_an_earlier_agent_count() -> None:
    places = admission(2)
    places.inherit(2)
    assert places.reserve() is None
    places.inherit(1)
    assert places.reserve() is not None


def test_a_waiter_is_woken_when_a_place_is_freed() -> None:
    places = admission(1)
    taken = places.reserve()
    assert taken is not None
    changed = places.changed.next
    taken.release()
    assert changed.is_set()


@pytest.mark.parametrize(("workers", "expected"), [(0, "low"), (1, "low"), (2, "high"), (3, None)])
def test_the_first_tier_with_room_names_the_class(workers: int, expected: str | None) -> None:
    assert priority_class_for(workers, (LOW, HIGH)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_workers": 30, "max_listeners": 4}, 30),
        ({"priority_tiers": [LOW, HIGH], "max_listeners": 4}, 3),
        ({"max_listeners": 4}, 4),
    ],
)
def test_the_ceiling_is_max_workers_else_the_last_tier_else_max_listeners(
    fields: dict[str, object], expected: int
) -> None:
    assert RunnerGroupSpec.model_validate({"runner_labels": ["linux"], **fields}).worker_ceiling == expected
