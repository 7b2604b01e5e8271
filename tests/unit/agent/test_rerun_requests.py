"""Reruns that people decide about: locks that were lost, and what is asked for."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actions_gateway.agent.recovery.requests import asked_at
from actions_gateway.api.labels import RERUN
from actions_gateway.api.ledger import Cause, RerunState
from actions_gateway.github.errors import (
    GitHubError,
    NotFound,
    PermissionMissing,
)
from actions_gateway.github.payload import RunIdentity
from actions_gateway.metrics.catalog import RERUNS
from support.aio import run
from support.clock import settle
from unit.agent.rerun_world import GROUP, LOST, RETRIES, World, playing


def test_a_lost_lock_waits_for_a_person_and_is_counted_as_no_retry() -> None:
    async def body(world: World) -> None:
        await world.lose(cause=Cause.LOCK_LOST)
        world.conclude("failure")
        await world.clock.advance(600)
        assert (world.states, world.rerun, world.told) == ([RerunState.MANUAL], [], [])
        assert len(world.looks) == 1, "there is nothing more to learn of a run that has ended"
        counts = [world.count(metric, cause=cause) for metric in RETRIES for cause in Cause]
        assert not any(counts)
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(1)
        assert (world.rerun, world.states, world.told) == ([11], [RerunState.REQUESTED], ["JobRerun"])
        assert world.texts == ["job build of run 7 lost its worker (lock_lost) and is rerun as was asked for"]
        assert world.reruns._store.entries[7].retries == 0
        assert world.count(RERUNS, outcome="requested") == 1

    playing(body)


@pytest.mark.parametrize(
    ("run_conclusion", "job_conclusion", "state", "told"),
    [
        ("cancelled", "cancelled", RerunState.WITHHELD, ["RerunWithheld"]),
        ("cancelled", "failure", RerunState.WITHHELD, ["RerunWithheld"]),
        ("failure", "cancelled", RerunState.WITHHELD, ["RerunWithheld"]),
        ("failure", "success", RerunState.UNNEEDED, []),
        ("cancelled", "success", RerunState.UNNEEDED, []),
        ("failure", "failure", RerunState.MANUAL, []),
    ],
)
def test_the_end_of_its_run_tells_what_ended_a_job_whose_lock_was_lost(
    run_conclusion: str, job_conclusion: str, state: RerunState, told: list[str]
) -> None:
    async def body(world: World) -> None:
        await world.lose(cause=Cause.LOCK_LOST)
        await world.clock.advance(100)
        assert world.states == [RerunState.MANUAL]
        world.conclude(run_conclusion, job_conclusion)
        await world.clock.advance(25 * 3600)
        assert (world.states, world.told, world.rerun) == ([state], told, [])

    playing(body)


def test_a_lost_lock_is_looked_after_rarely_and_for_a_day() -> None:
    async def body(world: World) -> None:
        await world.lose(cause=Cause.LOCK_LOST)
        await world.clock.advance(48 * 3600)
        assert 20 < len(world.looks) < 40
        assert world.looks[-1] <= 25 * 3600
        assert (world.states, world.told) == ([RerunState.MANUAL], [])

    playing(body)


def test_many_lost_locks_are_looked_at_one_by_one_and_after_what_is_to_be_rerun() -> None:
    async def body(world: World) -> None:
        for number in range(20):
            await world.lose(f"runner-{number}", cause=Cause.LOCK_LOST)
        await world.clock.advance(60)
        assert len(world.looks) == 12
        await world.lose()
        world.conclude()
        await world.clock.advance(6)
        assert world.rerun == [11]

    playing(body)


@pytest.mark.parametrize("problem", [NotFound("gone", status=404), PermissionMissing("no", status=403)])
def test_a_lost_lock_of_an_unseen_run_stays_with_a_person(problem: GitHubError) -> None:
    async def body(world: World) -> None:
        await world.lose(cause=Cause.LOCK_LOST)
        world.problems = [problem]
        await world.clock.advance(10)
        assert (world.states, world.told) == ([RerunState.MANUAL], [])

    playing(body)


def test_a_job_without_retries_left_is_rerun_on_request_once_its_run_has_ended() -> None:
    async def body(world: World) -> None:
        await world.lose(most=0)
        world.ask("token-1 ci-cpu-1 stranger")
        await world.clock.advance(100)
        assert (world.states, world.rerun) == ([RerunState.PENDING], [])
        assert world.told == ["EvictionRetriesExhausted", "RerunRequestUnknown"]
        assert world.texts[1].startswith("a rerun was asked for of stranger, not known as lost by this group")
        world.conclude()
        await world.clock.advance(300)
        assert (world.rerun, world.states) == ([11], [RerunState.REQUESTED])

    playing(body)


def test_what_a_person_cancelled_is_rerun_when_a_person_asks_for_it() -> None:
    async def body(world: World) -> None:
        await world.lose()
        world.conclude("cancelled")
        await world.clock.advance(40)
        assert world.states == [RerunState.WITHHELD]
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(1)
        assert (world.rerun, world.states) == ([11], [RerunState.REQUESTED])

    playing(body)


OTHER = replace(LOST, id=12, name="test", runner_name="ci-cpu-2")


@pytest.mark.parametrize(
    ("run_conclusion", "jobs", "state"),
    [
        ("cancelled", {11: ("cancelled", 60)}, RerunState.WITHHELD),
        ("cancelled", {11: ("cancelled", None)}, RerunState.WITHHELD),
        ("cancelled", {11: ("failure", -60), 12: ("cancelled", 60)}, RerunState.WITHHELD),
        ("cancelled", {11: ("failure", 60)}, RerunState.WITHHELD),
        ("cancelled", {11: ("cancelled", 0)}, RerunState.REQUESTED),
        ("cancelled", {11: ("cancelled", -60), 12: ("success", 60)}, RerunState.REQUESTED),
        ("failure", {11: ("cancelled", -60), 12: ("cancelled", 60)}, RerunState.REQUESTED),
        ("failure", {11: ("cancelled", 60)}, RerunState.WITHHELD),
        ("failure", {11: ("failure", 60)}, RerunState.REQUESTED),
    ],
)
def test_who_cancels_after_having_asked_has_changed_their_mind(
    run_conclusion: str, jobs: dict[int, tuple[str, float | None]], state: RerunState
) -> None:
    """Conclusions and ends of the run's jobs, in seconds after the request."""

    async def body(world: World) -> None:
        await world.lose(most=0)
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(100)
        assert world.states == [RerunState.PENDING]
        asked = world.reruns._store.entries[7].jobs["ci-cpu-1"].not_before
        world.conclude(run_conclusion)
        world.jobs = [
            replace(
                job, conclusion=jobs[job.id][0], completed_at=None if ago is None else asked + timedelta(seconds=ago)
            )
            for job in (LOST, OTHER)
            if job.id in jobs
            for ago in [jobs[job.id][1]]
        ]
        await world.clock.advance(300)
        assert world.states == [state]
        assert world.rerun == ([11] if state is RerunState.REQUESTED else [])
        if state is RerunState.WITHHELD:
            assert world.texts[-1].endswith("it or its run was cancelled after its rerun was asked for")
            world.ask("token-2 ci-cpu-1")
            await world.clock.advance(1)
            assert world.rerun == ([] if jobs[11] == ("cancelled", None) else [11])

    playing(body)


def test_endings_of_our_own_after_a_request_are_no_persons() -> None:
    async def body(world: World) -> None:
        world.jobs = [LOST, OTHER]
        await world.lose(most=0, own=True)
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(10)
        await world.lose("ci-cpu-2", job_id=12, most=0, own=True)
        world.conclude("cancelled")
        await world.clock.advance(300)
        assert world.rerun == [11]

    playing(body)


def test_github_s_own_limit_after_a_request_is_no_person() -> None:
    async def body(world: World) -> None:
        await world.lose(most=0)
        await world.reruns.never_started(RunIdentity("octo/demo", 7, 1, 11, "build"), "ci-cpu-1")
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(10)
        world.conclude("cancelled")
        world.jobs = [replace(job, seconds=900.0) for job in world.jobs]
        await world.clock.advance(300)
        assert world.rerun == [11]

    playing(body)


def test_a_request_reruns_nothing_that_was_lost_after_it() -> None:
    """An annotation stands for as long as nobody writes another one."""

    async def main() -> None:
        world = World()
        for _ in range(3):  # each time another agent process
            world.start()
            task = asyncio.create_task(world.reruns.run())
            world.reruns.know(GROUP)
            await settle()
            world.ask("token-1 ci-cpu-1", ago=world.clock.monotonic())
            await world.clock.advance(60)
            if world.map is None:
                await world.lose(most=0)
                world.conclude()
            await world.clock.advance(60)
            assert (world.states, world.rerun) == ([RerunState.EXHAUSTED], [])
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert world.told == ["RerunRequestUnknown", "EvictionRetriesExhausted", *["RerunRequestUnknown"] * 2]

    run(main())


@pytest.mark.parametrize("years", [-2000, 7973])
def test_a_request_of_any_year_harms_nobody(years: int) -> None:
    """Whoever may annotate may write `managedFields`, too."""

    async def body(world: World) -> None:
        await world.lose(most=0)
        world.conclude()
        at = world.clock.now().replace(year=2026 + years, month=12, day=31)
        world.ask("token-1 ci-cpu-1", ago=(world.clock.now() - at).total_seconds())
        await world.clock.advance(60)
        assert world.states == [RerunState.EXHAUSTED if years < 0 else RerunState.REQUESTED]

    playing(body)


def test_an_annotation_that_was_replaced_counts_no_more() -> None:
    """A new agent's first list may come from a server that lags behind."""

    async def main() -> None:
        world = World()
        await world.lose(most=0)
        world.conclude("cancelled")
        for token, ago in (("token-1", 0), ("token-2", 0), ("token-1", 120), ("token-2", 60)):
            world.start()
            task = asyncio.create_task(world.reruns.run())
            await settle()
            world.reruns.know(GROUP)
            world.ask(f"{token} ci-cpu-1", ago=ago)
            await world.clock.advance(60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert world.rerun == [11, 11]

    run(main())


def test_a_request_of_which_nobody_knows_when_it_was_made_is_not_carried_out() -> None:
    async def body(world: World) -> None:
        await world.lose(most=0)
        world.reruns.ask({"metadata": {**GROUP["metadata"], "annotations": {RERUN: "token-1 ci-cpu-1"}}})
        await world.clock.advance(60)
        assert (world.states, world.told[1:]) == ([RerunState.EXHAUSTED], ["RerunRequestUnknown"])

    playing(body)


def test_a_request_that_is_heard_as_it_is_made_minds_no_clock() -> None:
    """That of the agent may be ahead of the API server's, or the latter keeps no times."""

    async def body(world: World) -> None:
        await world.lose("ci-cpu-1", most=0)
        await world.lose("ci-cpu-2", job_id=12, most=0)
        world.jobs = [LOST, OTHER]
        world.conclude()
        world.ask("")
        world.ask("token-1 ci-cpu-1", ago=3600)
        await world.clock.advance(1)
        assert world.rerun == [11]
        bare = {"annotations": {RERUN: "token-2 ci-cpu-2"}}
        world.reruns.ask({"metadata": {**GROUP["metadata"], **bare}})
        await world.clock.advance(1)
        assert world.rerun == [11, 12]

    playing(body)


def test_a_request_of_yesterday_tells_nothing_of_what_the_ledger_has_forgotten() -> None:
    async def body(world: World) -> None:
        world.reruns.know(GROUP)
        world.ask("token-1 ci-cpu-1", ago=25 * 3600)
        await world.clock.advance(60)
        assert world.told == []

    playing(body)


def test_a_request_at_another_group_is_none() -> None:
    """Two annotations that name one job would otherwise take turns, with each restart."""

    async def body(world: World) -> None:
        await world.lose(most=0)
        world.conclude()
        world.reruns.know({"metadata": {"name": "ci-gpu", "uid": "v"}})
        world.ask("token-1 ci-cpu-1", group="ci-gpu")
        await world.clock.advance(60)
        assert (world.rerun, world.told) == ([], ["EvictionRetriesExhausted", "RerunRequestUnknown"])

    playing(body)


def test_the_earliest_owner_of_an_annotation_tells_when_it_was_written() -> None:
    def entry(at: str | None, *annotations: str) -> dict[str, Any]:
        owned: dict[str, Any] = {
            "f:metadata": {"f:annotations": {".": {}, **{f"f:{name}": {} for name in annotations}}}
        }
        return {"manager": "m", "fieldsV1": owned} | ({"time": at} if at else {})

    entries = [
        entry("2026-01-05T09:00:00Z", "other"),
        entry("2026-01-05T09:02:00Z", "other", RERUN),
        entry("2026-01-05T09:01:00Z", RERUN),
        entry(None, RERUN),
        entry("0000-01-01T00:00:00Z", RERUN),
        {"manager": "gmc", "time": "2026-01-05T08:00:00Z", "fieldsV1": {"f:spec": {}}},
    ]
    assert asked_at({"managedFields": entries}) == datetime(2026, 1, 5, 9, 1, tzinfo=UTC)
    assert asked_at({"managedFields": entries[:1]}) is asked_at({}) is None


def test_a_request_is_carried_out_once_whoever_hears_of_it_again() -> None:
    async def main() -> None:
        world = World()
        for _ in range(3):  # each time another agent process
            world.start()
            task = asyncio.create_task(world.reruns.run())
            await settle()
            if not world.rerun:
                await world.lose(most=0)
                world.conclude()
            for _ in range(2):
                world.ask("token-1 ci-cpu-1")
                await world.clock.advance(60)
            assert world.rerun == [11]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert world.told == ["EvictionRetriesExhausted", "JobRerun"]

    run(main())


def test_a_request_lives_for_a_day_of_its_own() -> None:
    async def body(world: World) -> None:
        await world.lose(most=0)
        await world.clock.advance(20 * 3600)
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(20 * 3600)
        assert world.states == [RerunState.PENDING]
        await world.clock.advance(5 * 3600)
        assert world.states == [RerunState.EXPIRED]

    playing(body)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", []),
        (" \n", []),
        ("token-1", ["RerunRequestUnreadable"]),
        ("\u2028 \x00", ["RerunRequestUnreadable"]),
        (f"{'t' * 65} ci-cpu-1", ["RerunRequestUnreadable"]),
        ("token-1 stranger", ["RerunRequestUnknown"]),
    ],
)
def test_a_request_of_nothing_known_does_nothing_and_is_told_once(text: str, told: list[str]) -> None:
    async def body(world: World) -> None:
        await world.lose(most=0)
        for _ in range(3):
            world.ask(text)
            await world.clock.advance(20)
        assert (world.states, world.looks) == ([RerunState.EXHAUSTED], [])
        assert world.told == ["EvictionRetriesExhausted", *told]

    playing(body)
