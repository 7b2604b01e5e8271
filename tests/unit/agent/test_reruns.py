"""Rerunning lost jobs: when, how often, and when not."""

import asyncio
from dataclasses import replace

import pytest

from actions_gateway.agent.recovery.rerunning import Loss
from actions_gateway.api.ledger import Cause, RerunState
from actions_gateway.github.errors import (
    Forbidden,
    GitHubError,
    NotFound,
    PermissionMissing,
    RateLimited,
    ServerError,
    Suspended,
    Unauthorized,
)
from actions_gateway.github.payload import RunIdentity
from actions_gateway.github.runs import RerunRefused, RunNotConcluded, WorkflowRun
from actions_gateway.metrics.catalog import EVICTION_RETRIES, EVICTION_RETRIES_EXHAUSTED, RERUNS
from support.aio import run
from support.clock import settle
from unit.agent.rerun_world import GROUP, LOST, World, playing


def test_a_lost_job_is_rerun_once_its_run_has_concluded() -> None:
    async def body(world: World) -> None:
        await world.lose()
        await world.clock.advance(4)
        assert not world.looks
        await world.clock.advance(100)
        assert len(world.looks) >= 2
        assert not world.rerun
        world.conclude()
        await world.clock.advance(300)
        assert world.rerun == [11]
        assert world.states == [RerunState.REQUESTED]
        assert (world.count(EVICTION_RETRIES, cause="eviction"), world.count(RERUNS, outcome="requested")) == (1, 1)
        assert world.told == ["JobRerun"]
        looks = len(world.looks)
        await world.clock.advance(3600)
        assert len(world.looks) == looks

    playing(body)


def test_it_is_looked_after_at_growing_distances_and_for_a_day() -> None:
    async def body(world: World) -> None:
        await world.lose()
        await world.clock.advance(25 * 3600)
        distances = [later - earlier for earlier, later in zip(world.looks, world.looks[1:], strict=False)]
        assert distances[0] == 30.0
        assert max(distances) == 300.0
        assert distances == sorted(distances)
        assert world.count(RERUNS, outcome="expired") == 1
        assert world.told == ["RerunFailed"]
        assert world.looks[-1] <= 24 * 3600 + 305

    playing(body)


def test_a_run_s_budget_is_shared_by_its_jobs_and_survives_a_restart() -> None:
    async def main() -> None:
        world = World()
        for number in range(2):
            await world.lose(f"runner-{number}")
        world.start()
        await world.reruns._store.load()
        await world.lose("runner-1")
        await world.lose("runner-2")
        assert world.states == [RerunState.PENDING] * 2 + [RerunState.EXHAUSTED]
        assert world.count(EVICTION_RETRIES, cause="eviction") == 2
        assert world.count(EVICTION_RETRIES_EXHAUSTED, cause="eviction") == 1
        assert world.told == ["EvictionRetriesExhausted"]

    run(main())


def test_what_an_earlier_agent_lost_is_rerun_by_the_next_one() -> None:
    async def main() -> None:
        world = World()
        await world.lose()
        world.conclude()
        world.start()
        task = asyncio.create_task(world.reruns.run())
        await settle()
        await world.clock.advance(10)
        assert not world.looks, "its event would refer to nothing yet"
        world.reruns.know(GROUP)
        await world.clock.advance(1)
        assert world.rerun == [11]
        assert world.told == ["JobRerun"]
        task.cancel()

    run(main())


def test_a_rerun_that_an_earlier_agent_asked_for_is_not_asked_for_again() -> None:
    async def body(world: World) -> None:
        await world.lose()
        world.run = WorkflowRun(7, "completed", "success", 2)
        world.jobs = [replace(LOST, id=12, attempt=2, conclusion="success", runner_name="ci-cpu-9")]
        await world.clock.advance(40)
        assert not world.rerun
        assert world.states == [RerunState.UNNEEDED]

    playing(body)


def test_two_lost_jobs_of_a_run_are_rerun_one_after_the_other() -> None:
    async def body(world: World) -> None:
        other = replace(LOST, id=12, name="test", runner_name="ci-cpu-2")
        world.jobs = [LOST, other]
        await world.lose()
        await world.lose("ci-cpu-2", job_id=12)
        world.conclude()
        await world.clock.advance(5)
        assert 11 in world.rerun
        # GitHub carries the job that was not rerun over into the new attempt.
        world.run = WorkflowRun(7, "completed", "failure", 2)
        world.jobs = [replace(LOST, id=13, attempt=2, conclusion="success"), replace(other, conclusion="failure")]
        await world.clock.advance(600)
        assert world.rerun == [11, 12]
        assert world.states == [RerunState.REQUESTED] * 2

    playing(body)


@pytest.mark.parametrize(
    ("run_conclusion", "job_conclusion", "own", "state"),
    [
        ("failure", "failure", False, RerunState.REQUESTED),
        ("cancelled", "failure", False, RerunState.WITHHELD),
        ("failure", "cancelled", False, RerunState.WITHHELD),
        ("cancelled", "cancelled", True, RerunState.REQUESTED),
        ("failure", "success", False, RerunState.UNNEEDED),
        ("cancelled", "success", True, RerunState.UNNEEDED),
    ],
)
def test_what_a_person_cancelled_and_what_succeeded_is_left_alone(
    run_conclusion: str, job_conclusion: str, own: bool, state: RerunState
) -> None:
    async def body(world: World) -> None:
        await world.lose(own=own)
        world.conclude(run_conclusion, job_conclusion)
        await world.clock.advance(40)
        assert world.states == [state]
        assert world.rerun == ([11] if state is RerunState.REQUESTED else [])

    playing(body)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(900.0, RerunState.REQUESTED), (None, RerunState.REQUESTED), (300.0, RerunState.WITHHELD)],
)
def test_a_job_of_no_worker_that_is_cancelled_before_github_s_limit_is_a_person_s_doing(
    seconds: float | None, state: RerunState
) -> None:
    async def body(world: World) -> None:
        await world.lose()
        await world.reruns.never_started(RunIdentity("octo/demo", 7, 1, 11, "build"), "ci-cpu-1")
        world.conclude("cancelled", "cancelled")
        world.jobs = [replace(job, seconds=seconds) for job in world.jobs]
        await world.clock.advance(40)
        assert world.states == [state]

    playing(body)


def test_a_job_without_an_id_is_known_by_its_runner() -> None:
    async def body(world: World) -> None:
        world.jobs = [replace(LOST, id=99, runner_name="other"), LOST]
        await world.lose(job_id=None)
        world.conclude()
        await world.clock.advance(40)
        assert world.rerun == [11]

    playing(body)


@pytest.mark.parametrize("problem", [NotFound("gone", status=404), RerunRefused("no", status=403)])
def test_what_github_does_not_rerun_is_told(problem: GitHubError) -> None:
    async def body(world: World) -> None:
        await world.lose()
        world.conclude()
        (world.rerun_problems if isinstance(problem, RerunRefused) else world.problems).append(problem)
        await world.clock.advance(40)
        assert world.states == [RerunState.REFUSED]
        assert world.told == ["RerunFailed"]

    playing(body)


@pytest.mark.parametrize(
    "problem",
    [
        RunNotConcluded("already running", status=403),
        ServerError("down", status=503),
        RateLimited("slow", wait_seconds=60.0, status=429),
        Unauthorized("old token", status=401),
    ],
)
def test_what_passes_is_asked_again(problem: GitHubError) -> None:
    async def body(world: World) -> None:
        await world.lose()
        world.conclude()
        world.rerun_problems = [problem]
        await world.clock.advance(10)
        assert not world.rerun
        await world.clock.advance(120)
        assert world.rerun == [11]
        assert bool(world.rejected) is isinstance(problem, Unauthorized)

    playing(body)


def test_a_loss_that_another_agent_wrote_down_is_looked_up() -> None:
    async def main() -> None:
        world = World()
        first = asyncio.create_task(world.reruns.run())
        other = world.reruns
        await settle()
        world.start()
        second = asyncio.create_task(world.reruns.run())
        await settle()
        identity = RunIdentity("octo/demo", 7, 1, 11, "build")
        await other.lost(Loss(identity, "ci-cpu-1", Cause.LOCK_LOST, False, False, GROUP, 2, 5.0))
        world.conclude()
        world.ask("token-1 ci-cpu-1")
        await world.clock.advance(60)
        assert world.rerun == [11]
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    run(main())


def test_a_group_that_is_gone_keeps_no_rerun_from_being_asked_for() -> None:
    async def main() -> None:
        world = World()
        await world.lose()
        world.conclude()
        world.start()
        task = asyncio.create_task(world.reruns.run())
        await world.clock.advance(31)
        assert world.rerun == [11]
        task.cancel()

    run(main())


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize(
    "problem",
    [
        PermissionMissing("not accessible by integration", status=403),
        Suspended("suspended", status=403),
        Forbidden("forbidden", status=403),
    ],
)
def test_what_github_forbids_is_told_once_and_given_up_after_a_day(problem: GitHubError, is_read: bool) -> None:
    async def body(world: World) -> None:
        await world.lose()
        world.conclude()
        problems = world.problems if is_read else world.rerun_problems
        problems += [problem] * 1000
        await world.clock.advance(40)
        assert world.told == ["RerunForbidden"]
        assert ("actions: write" in world.texts[0]) is isinstance(problem, PermissionMissing)
        await world.clock.advance(25 * 3600)
        assert world.told == ["RerunForbidden", "RerunFailed"]
        assert str(problem) in world.texts[1]
        assert world.count(RERUNS, outcome="expired") == 1
        assert not world.rerun

    playing(body)


def test_what_github_forbade_is_asked_for_once_it_is_allowed() -> None:
    async def body(world: World) -> None:
        await world.lose()
        world.conclude()
        world.rerun_problems = [PermissionMissing("no", status=403)] * 3
        await world.clock.advance(600)
        assert world.rerun == [11]
        assert world.told == ["RerunForbidden", "JobRerun"]

    playing(body)


def test_without_a_token_a_lost_job_is_given_up_after_a_day_too() -> None:
    async def body(world: World) -> None:
        world.has_token = False
        await world.lose()
        await world.clock.advance(25 * 3600)
        assert not world.looks
        assert world.count(RERUNS, outcome="expired") == 1
        assert "token" in world.texts[0]

    playing(body)


def test_a_rerun_waits_for_the_first_token_and_no_longer() -> None:
    async def body(world: World) -> None:
        world.has_token = False
        await world.lose()
        world.conclude()
        await world.clock.advance(100)
        assert not world.rerun
        world.has_token = True
        await world.clock.advance(30)
        assert world.rerun == [11]

    playing(body)


def test_a_loss_without_its_run_is_counted_and_told() -> None:
    async def body(world: World) -> None:
        await world.reruns.lost(Loss(RunIdentity(), "ci-cpu-1", Cause.DELETION, False, False, GROUP, 2, 5.0))
        assert world.count(RERUNS, outcome="unidentified") == 1
        assert world.told == ["RerunImpossible"]
        assert world.map is None

    playing(body)


def test_only_the_last_job_of_a_run_is_ended_by_cancelling_the_run() -> None:
    async def body(world: World) -> None:
        identity = RunIdentity("octo/demo", 7, 1, 11, "build")
        mine = replace(LOST, status="in_progress", conclusion="")
        world.jobs = [mine, replace(LOST, id=12, runner_name="other", status="in_progress")]
        assert not await world.reruns.end_unstarted(identity, "ci-cpu-1")
        world.jobs = [mine, replace(LOST, id=12, runner_name="other")]
        assert await world.reruns.end_unstarted(identity, "ci-cpu-1")
        assert world.cancelled == [7]
        world.jobs = [replace(LOST, id=12, runner_name="other", status="in_progress")]
        assert not await world.reruns.end_unstarted(identity, "ci-cpu-1")
        assert not await world.reruns.end_unstarted(RunIdentity(), "ci-cpu-1")

    playing(body)


def test_a_job_in_progress_is_found_by_its_runner() -> None:
    async def body(world: World) -> None:
        world.jobs = [replace(LOST, status="in_progress", conclusion="")]
        found = await world.reruns.find("ci-cpu-1", ["octo/demo"])
        assert found == RunIdentity("octo/demo", 7, 1, 11, "build")
        assert await world.reruns.find("stranger", ["octo/demo"]) is None
        world.problems = [ServerError("down", status=503)]
        with pytest.raises(ServerError):
            await world.reruns.find("ci-cpu-1", ["octo/demo"])

    playing(body)
