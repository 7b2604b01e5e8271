"""Whether a group may claim a job now, and why not."""

import random
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.admission import Admission, Reservation, priority_class_for
from actions_gateway.agent.jobs.headroom import Headroom
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.runnergroup import PriorityTier, RunnerGroupSpec
from actions_gateway.api.waits import WaitReason
from actions_gateway.kube.resources import LIMITRANGES, RESOURCEQUOTAS
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock

LOW = PriorityTier(priority_class_name="low", threshold=2)
HIGH = PriorityTier(priority_class_name="high", threshold=3)
WORKER = {"spec": {"containers": [{"name": "runner", "resources": {"requests": {"cpu": "1"}}}]}}


def basics() -> Basics:
    return Basics("team-a", "agent-1", ManualClock(), random.Random(1), Metrics(Component.AGENT, "test"), Tunables())


def headroom_of(hard: dict[str, str], shared: Basics, **spec: Any) -> Headroom:
    """What a single quota leaves, of which nothing is used."""
    headroom = Headroom(cast("Any", None), shared)
    headroom._synced |= {RESOURCEQUOTAS, LIMITRANGES}
    headroom._kept[RESOURCEQUOTAS]["team"] = {
        "metadata": {"name": "team"},
        "spec": spec,
        "status": {"hard": hard, "used": {}},
    }
    return headroom


def admission(
    ceiling: int = 2,
    *,
    is_open: bool = True,
    headroom: Headroom | None = None,
    shared: Basics | None = None,
    tiers: tuple[PriorityTier, ...] = (LOW, HIGH),
) -> Admission:
    shared = shared or basics()
    made = Admission(shared, headroom or Headroom(cast("Any", None), shared))
    made.configure(ceiling=ceiling, tiers=tiers, is_open=is_open, worker=WORKER)
    return made


def reserved(places: Admission) -> Reservation:
    reservation = places.reserve()
    assert reservation is not None
    return reservation


def test_places_are_given_up_to_the_ceiling_and_come_back() -> None:
    places = admission(2)
    first, _ = reserved(places), reserved(places)
    assert places.reserve() is None
    assert places.free == 0
    assert places.blocked_by is WaitReason.CEILING
    first.release()
    first.release()
    assert places.free == 1
    assert places.blocked_by is None
    assert places.reserve() is not None


def test_a_closed_group_gives_no_place_and_keeps_those_it_gave() -> None:
    places = admission(2)
    held = reserved(places)
    places.configure(ceiling=2, tiers=(), is_open=False)
    assert places.reserve() is None
    assert places.free == 0
    assert places.blocked_by is None
    assert places.in_use == 1
    held.release()
    assert places.in_use == 0


def test_a_lowered_ceiling_lets_running_jobs_be() -> None:
    places = admission(3)
    for _ in range(3):
        places.reserve()
    places.configure(ceiling=1, tiers=(), is_open=True)
    assert places.free == 0
    assert places.in_use == 3


def test_a_job_that_is_ours_already_takes_its_place_whatever_the_ceiling_is() -> None:
    places = admission(1, headroom=headroom_of({"pods": "1"}, shared := basics()), shared=shared)
    adopted = [places.adopt() for _ in range(2)]
    assert (places.in_use, places.free) == (2, 0)
    for one in adopted:
        one.release()
    assert places.reserve() is not None


def test_workers_of_an_earlier_agent_count() -> None:
    places = admission(2)
    places.inherit(2)
    assert places.reserve() is None
    places.inherit(1)
    assert places.reserve() is not None


def test_a_waiter_is_woken_when_a_place_is_freed() -> None:
    places = admission(1)
    taken = reserved(places)
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


# -- quotas


def test_groups_share_what_the_quotas_leave() -> None:
    shared = basics()
    headroom = headroom_of({"requests.cpu": "3"}, shared)
    cpu, gpu = (admission(9, headroom=headroom, shared=shared) for _ in range(2))
    assert (cpu.claimable, cpu.free) == (3, 9)
    mine, others = reserved(cpu), [reserved(gpu), reserved(gpu)]
    assert cpu.reserve() is None
    assert cpu.blocked_by is gpu.blocked_by is WaitReason.QUOTA
    assert "requests.cpu needs 1, used 0, reserved 3 of 3" in cpu.shortage
    moved = headroom.moved.next
    others[0].release()
    assert moved.is_set()
    assert reserved(cpu)
    mine.release()
    assert gpu.claimable == 1


def test_a_pod_that_exists_is_counted_by_the_quota_alone() -> None:
    shared = basics()
    headroom = headroom_of({"pods": "2"}, shared)
    places = admission(9, headroom=headroom, shared=shared)
    one = reserved(places)
    headroom._kept[RESOURCEQUOTAS]["team"]["status"]["used"] = {"pods": "1"}
    assert places.claimable == 0
    one.placed()
    one.placed()
    assert places.claimable == 1
    one.release()
    assert places.claimable == 1


def test_the_tiers_class_decides_which_quota_counts() -> None:
    shared = basics()
    expression = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    headroom = headroom_of({"pods": "0"}, shared, scopeSelector={"matchExpressions": [expression]})
    places = admission(3, headroom=headroom, shared=shared)
    assert [reserved(places).priority_class for _ in range(2)] == ["low", "low"]
    assert places.blocked_by is WaitReason.QUOTA


def test_a_limit_range_that_appears_changes_what_a_worker_costs() -> None:
    shared = basics()
    headroom = headroom_of({"limits.memory": "2Gi"}, shared)
    places = admission(3, headroom=headroom, shared=shared)
    assert "declare limits.memory (containers runner)" in places.undeclared
    headroom._limit_ranges = ({"spec": {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]}},)
    assert not places.undeclared
    assert places.claimable == 2


def test_a_worker_whose_cost_cannot_be_read_is_left_to_the_api_server() -> None:
    shared = basics()
    places = admission(2, headroom=headroom_of({"pods": "0"}, shared), shared=shared)
    broken = {"spec": {"containers": [{"name": "runner", "resources": {"requests": {"cpu": "much"}}}]}}
    places.configure(ceiling=2, tiers=(), is_open=True, worker=broken)
    assert places.blocked_by is None


# -- back-off


def clock_of(shared: Basics) -> ManualClock:
    return cast("ManualClock", shared.clock)


def test_a_failure_makes_the_group_wait_and_then_try_with_one_job() -> None:
    async def main() -> None:
        places = admission(9, shared=(shared := basics()))
        failed = reserved(places)
        failed.failed()
        failed.failed()
        assert places.blocked_by is WaitReason.BACKOFF
        assert 2.5 <= places.backoff_left_seconds <= 5.0
        assert (places.claimable, places.reserve()) == (0, None)
        await clock_of(shared).advance(5.0)
        assert places.claimable == 1
        reserved(places)
        assert places.blocked_by is WaitReason.BACKOFF

    run(main())


def test_the_wait_doubles_with_each_failed_try_up_to_five_minutes() -> None:
    async def main() -> None:
        places = admission(99, shared=(shared := basics()))
        waits = []
        for _ in range(10):
            reserved(places).failed()
            waits.append(places.backoff_left_seconds)
            await clock_of(shared).advance(300.0)
        steps = [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
        assert all(step / 2 <= wait <= step for wait, step in zip(waits, steps, strict=True))

    run(main())


def test_jobs_that_were_claimed_together_and_fail_together_are_one_failure() -> None:
    places = admission(9)
    together = [reserved(places) for _ in range(5)]
    for one in together:
        one.failed()
    assert places.backoff_left_seconds <= 5.0


def test_a_pod_that_exists_ends_the_wait_of_a_group_that_could_make_none() -> None:
    places = admission(9)
    failed, other = reserved(places), reserved(places)
    failed.failed()
    changed = places.changed.next
    other.placed()
    assert changed.is_set()
    assert places.claimable == 7


def test_where_pods_do_not_start_one_has_to_start() -> None:
    async def main() -> None:
        places = admission(9, shared=(shared := basics()))
        failed, other = reserved(places), reserved(places)
        for one in (failed, other):
            one.placed()
        failed.failed()
        failed.release()
        await clock_of(shared).advance(5.0)
        trial = reserved(places)
        trial.placed()
        assert places.blocked_by is WaitReason.BACKOFF
        trial.started()
        assert places.claimable == 7

    run(main())


@pytest.mark.parametrize(("is_placed", "claimable"), [(True, 8), (False, 1)])
def test_a_try_whose_job_ends_shows_that_the_group_works_and_a_refused_claim_shows_nothing(
    is_placed: bool, claimable: int
) -> None:
    async def main() -> None:
        places = admission(9, shared=(shared := basics()))
        failed = reserved(places)
        failed.placed()
        failed.failed()
        await clock_of(shared).advance(5.0)
        trial = reserved(places)
        if is_placed:
            trial.placed()
        trial.release()
        assert places.claimable == claimable

    run(main())
