"""Jobs that are delivered several times run once, and every delivery is completed with the result."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.outcome import Result
from actions_gateway.agent.jobs.plans import Plans
from actions_gateway.agent.jobs.slots import Slot
from actions_gateway.agent.tunables import Tunables
from actions_gateway.github.errors import GitHubError, NotAuthorizedForJob, ServerError
from actions_gateway.metrics.catalog import DUPLICATE_COMPLETIONS, DUPLICATE_DELIVERIES, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle


class Sibling:
    """The job under another delivery."""

    def __init__(self, *problems: GitHubError, is_concluded: bool = False) -> None:
        self.problems = list(problems)
        self.is_concluded = is_concluded
        self.completed: list[str] = []

    async def renew(self) -> None:
        raise AssertionError("only the one that runs is renewed")

    async def complete(self, conclusion: str, *, title: str, message: str) -> bool:
        if self.problems:
            raise self.problems.pop(0)
        self.completed.append(conclusion)
        return not self.is_concluded


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(Component.AGENT, "test")
        basics = Basics("team-a", "agent-1", self.clock, random.Random(1), self.metrics, Tunables())
        self.plans = Plans(basics, self)
        self.released: list[str] = []

    async def release(self, slot: Slot) -> None:
        self.released.append(slot.name)

    def join(self, plan_id: str, sibling: Sibling, *, age_seconds: float = 0.0) -> None:
        claimed = self.clock.monotonic() - age_seconds
        self.plans.join(plan_id, "ci-cpu", sibling, Slot(7, "job-0007", "uid"), claimed=claimed)

    def count(self, metric: Any, **labels: str) -> float:
        return self.metrics.value(metric, namespace="team-a", runner_group="ci-cpu", **labels) or 0


def playing(body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World()
        task = asyncio.create_task(world.plans.run())
        try:
            await settle()
            await body(world)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


@pytest.mark.parametrize("result", [Result.SUCCEEDED, Result.FAILED, Result.CANCELED])
def test_siblings_get_the_result_of_the_one_that_ran_and_not_before(result: Result) -> None:
    async def body(world: World) -> None:
        assert world.plans.claim("p")
        assert not world.plans.claim("p")
        siblings = [Sibling(), Sibling(is_concluded=True)]
        for sibling in siblings:
            world.join("p", sibling)
        await settle()
        assert not siblings[0].completed
        world.plans.ended("p", result)
        await settle()
        assert [sibling.completed for sibling in siblings] == [[result.value], [result.value]]
        assert world.count(DUPLICATE_DELIVERIES) == 2
        assert world.count(DUPLICATE_COMPLETIONS, outcome="completed") == 2
        assert world.released == ["job-0007"] * 2

    playing(body)


def test_a_job_that_outlasts_github_s_limit_has_its_other_deliveries_skipped_before() -> None:
    """GitHub cancels a job of which a claimed delivery is open for a quarter of an hour; a skipped one ends nothing."""

    async def body(world: World) -> None:
        world.plans.claim("p")
        sibling = Sibling()
        world.join("p", sibling, age_seconds=10)
        await world.clock.advance(799)
        assert not sibling.completed
        await world.clock.advance(2)
        assert sibling.completed == ["skipped"]
        assert not world.plans.claim("p"), "the job goes on"
        world.plans.ended("p", Result.SUCCEEDED)
        await settle()
        assert sibling.completed == ["skipped"]

    playing(body)


def test_a_delivery_that_is_found_before_its_job_waits_for_it() -> None:
    async def body(world: World) -> None:
        sibling = Sibling()
        world.join("p", sibling, age_seconds=60)
        await world.clock.advance(100)
        assert world.plans.claim("p"), "its job is adopted after it"
        await world.clock.advance(600)
        assert not sibling.completed
        world.plans.ended("p", Result.FAILED)
        await settle()
        assert sibling.completed == ["failed"]

    playing(body)


def test_a_delivery_whose_job_is_over_and_forgotten_is_skipped_soon() -> None:
    async def body(world: World) -> None:
        sibling = Sibling()
        world.join("p", sibling)
        await world.clock.advance(121)
        assert sibling.completed == ["skipped"]
        assert world.released == ["job-0007"]
        assert world.plans.claim("p")

    playing(body)


def test_of_a_job_that_was_lost_nothing_is_said() -> None:
    async def body(world: World) -> None:
        world.plans.claim("p")
        sibling = Sibling()
        world.join("p", sibling)
        world.plans.ended("p", Result.LOST)
        await world.clock.advance(60)
        assert not sibling.completed

    playing(body)


def test_a_lost_job_that_is_delivered_again_runs_and_its_siblings_get_the_new_result() -> None:
    async def body(world: World) -> None:
        world.plans.claim("p")
        world.plans.ended("p", Result.LOST)
        assert world.plans.claim("p")
        assert not world.plans.claim("p")
        sibling = Sibling()
        world.join("p", sibling)
        world.plans.ended("p", Result.SUCCEEDED)
        await settle()
        assert sibling.completed == ["succeeded"]

    playing(body)


def test_a_late_delivery_is_completed_at_once_and_never_run_for_five_minutes() -> None:
    async def body(world: World) -> None:
        world.plans.claim("p")
        world.plans.ended("p", Result.SUCCEEDED)
        await world.clock.advance(299)
        assert not world.plans.claim("p")
        sibling = Sibling()
        world.join("p", sibling)
        await settle()
        assert sibling.completed == ["succeeded"]
        await world.clock.advance(2)
        assert world.plans.claim("p")

    playing(body)


def test_an_outage_is_waited_out_and_a_refusal_counted() -> None:
    async def body(world: World) -> None:
        world.plans.claim("p")
        late, refused = Sibling(ServerError("down", status=503)), Sibling(NotAuthorizedForJob("no", status=401))
        world.join("p", late)
        world.join("p", refused)
        world.plans.ended("p", Result.FAILED)
        await world.clock.advance(10)
        assert late.completed == ["failed"]
        assert not refused.completed
        assert world.count(DUPLICATE_COMPLETIONS, outcome="error") == 1

    playing(body)
