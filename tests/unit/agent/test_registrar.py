"""What is known of registrations, and how those that GitHub did not let go of are removed in the end."""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.registrations.strays import look_for_strays
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.names import runner_name
from actions_gateway.github.budgets import Budgets
from actions_gateway.github.errors import (
    AnswerTimeout,
    GitHubError,
    NameTaken,
    ProxyRefused,
    RateLimited,
    RunnerBusy,
    ServerError,
    Unreachable,
)
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import Registration, Runner
from actions_gateway.github.secrets import Secret
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

TOKEN = Secret("ghs_1")
UID = "6f1c2d3e-0000-4000-8000-000000000000"


class Rest:
    """GitHub's runners, by name; calls fail with the given problems first."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.records: dict[str, int] = {}
        self.busy: set[str] = set()
        self.online: set[str] = set()
        self.list_problems: list[GitHubError] = []
        self.refuses: list[GitHubError] = []
        """Of the next deletions."""
        self.loses: GitHubError | None = None
        """What the next registration ends with, although it is made."""
        self.deleted_at: list[float] = []
        self.listed: list[str] = []

    async def generate_jit_config(self, _token: Secret, name: str, _labels: object, _: object) -> Registration:
        self.records[name] = len(self.records) + 1
        if self.loses is not None:
            problem, self.loses = self.loses, None
            raise problem
        return Registration(self.records[name], name, cast("Any", None))

    async def delete_runner(self, _token: Secret, runner_id: int) -> bool:
        self.deleted_at.append(self._clock.monotonic())
        if self.refuses:
            raise self.refuses.pop(0)
        gone = [name for name, known in self.records.items() if known == runner_id]
        for name in gone:
            del self.records[name]
        return bool(gone)

    async def list_runners(self, _token: Secret, *, name: str = "") -> list[Runner]:
        self.listed.append(name)
        if self.list_problems:
            raise self.list_problems.pop(0)
        return [
            Runner(number, known, known in self.online, known in self.busy, ())
            for known, number in self.records.items()
        ]


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.rest = Rest(self.clock)
        self.budgets = Budgets(self.clock)
        self.told: list[str] = []
        self.has_token = True
        metrics = Metrics(Component.AGENT, "test")
        basics = self.basics = Basics("team-a", "agent-1", self.clock, random.Random(4), metrics, Tunables())
        tokens = self.tokens = SimpleNamespace(
            peek=lambda: TOKEN if self.has_token else None,
            verdict=SimpleNamespace(is_available=False),
            get=self._get,
            reject=lambda _: None,
            registration_accepted=lambda: None,
        )
        self.registrar = Registrar(
            cast("GitHubRest", self.rest), cast("InstallationTokens", tokens), basics, self.budgets
        )
        self.registrar.listen(self.told.append)

    async def _get(self) -> Secret:
        if not self.has_token:
            await asyncio.get_running_loop().create_future()
        return TOKEN

    async def register(self) -> Registration:
        return await self.registrar.register("ci-cpu", UID, ("linux",), TOKEN)

    def counts(self) -> tuple[int | None, int | None]:
        """For an open and for a closed group."""
        return (
            self.registrar.count(UID, with_uncertain=False),
            self.registrar.count(UID, with_uncertain=True),
        )


def running(body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World()
        task = asyncio.create_task(world.registrar.run())
        try:
            await settle()
            await body(world)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_a_registration_counts_from_its_answer_to_its_removal_or_its_jobs_end() -> None:
    async def body(world: World) -> None:
        removed, used = await world.register(), await world.register()
        assert world.counts() == (2, 2)
        await world.registrar.remove(removed)
        assert world.counts() == (1, 1)
        world.registrar.ended(used.name)
        assert world.counts() == (0, 0)
        assert world.told == ["ci-cpu"] * 4

    running(body)


def test_what_github_does_not_let_go_of_is_retried_up_to_once_a_minute_and_counts_until_then() -> None:
    async def body(world: World) -> None:
        world.rest.refuses = [ServerError("down", status=503)] * 12
        await world.registrar.remove(await world.register())
        await world.clock.advance(600)
        assert world.counts() == (0, 0)
        times = world.rest.deleted_at
        assert len(times) == 13
        assert all(later - earlier <= 60 for earlier, later in itertools.pairwise(times))
        assert times[-1] - times[-2] > 10

    running(body)


def test_githubs_wish_for_patience_is_honoured() -> None:
    async def body(world: World) -> None:
        world.rest.refuses = [ServerError("down", status=503), RateLimited("slow", wait_seconds=300.0)]
        await world.registrar.remove(await world.register())
        await world.clock.advance(299)
        assert world.counts() == (1, 1)
        await world.clock.advance(120)
        assert world.counts() == (0, 0)

    running(body)


def test_a_busy_runner_keeps_no_other_one_from_being_removed() -> None:
    async def body(world: World) -> None:
        busy, idle = await world.register(), await world.register()
        world.rest.refuses = [RunnerBusy("busy", status=422), ServerError("down", status=503), RunnerBusy("busy")]
        await world.registrar.remove(busy)
        await world.registrar.remove(idle)
        await world.clock.advance(1)
        assert list(world.rest.records) == [busy.name]
        await world.clock.advance(10)
        assert not world.rest.records

    running(body)


@pytest.mark.parametrize("problem", [AnswerTimeout("late"), ServerError("down", status=502)])
def test_a_registration_without_an_answer_counts_for_a_closed_group_until_it_is_looked_for(
    problem: GitHubError,
) -> None:
    async def body(world: World) -> None:
        world.rest.loses = problem
        with pytest.raises(type(problem)):
            await world.register()
        assert world.counts() == (0, 1)
        await world.clock.advance(2)
        assert not world.rest.records
        assert world.counts() == (0, 0)
        assert len(world.rest.listed) == 1

    running(body)


@pytest.mark.parametrize(
    "problem", [NameTaken("taken", status=409), Unreachable("down"), ProxyRefused("no", proxy_status=403)]
)
def test_a_registration_that_github_never_made_is_nothing_to_look_for(problem: GitHubError) -> None:
    async def body(world: World) -> None:
        world.rest.loses = problem
        with pytest.raises(type(problem)):
            await world.register()
        assert world.counts() == (0, 0)
        await world.clock.advance(60)
        assert not world.rest.listed

    running(body)


def test_a_registration_that_github_makes_after_its_answer_was_given_up_is_found_all_the_same() -> None:
    async def body(world: World) -> None:
        world.rest.loses = AnswerTimeout("late")
        with pytest.raises(AnswerTimeout):
            await world.register()
        late = dict(world.rest.records)
        world.rest.records.clear()
        await world.clock.advance(3)
        assert world.rest.listed
        assert world.counts() == (0, 1)
        world.rest.records.update(late)
        await world.clock.advance(5)
        assert not world.rest.records
        assert world.counts() == (0, 0)

    running(body)


def test_a_registration_without_an_answer_that_github_does_not_list_for_a_while_was_never_made() -> None:
    async def body(world: World) -> None:
        world.rest.loses = AnswerTimeout("late")
        with pytest.raises(AnswerTimeout):
            await world.register()
        world.rest.records.clear()
        await world.clock.advance(10)
        assert world.counts() == (0, 0)
        looks = len(world.rest.listed)
        await world.clock.advance(600)
        assert len(world.rest.listed) == looks

    running(body)


def test_a_session_that_has_no_time_for_its_runner_leaves_it_to_be_removed() -> None:
    async def body(world: World) -> None:
        unused, used = await world.register(), await world.register()
        world.registrar.ended(used.name)
        for each in (unused, used):
            world.registrar.remove_later(each)
        await world.clock.advance(2)
        assert list(world.rest.records) == [used.name]
        assert world.counts() == (0, 0)

    running(body)


def test_a_closed_group_is_looked_through_once_and_none_is_said_to_be_left_before() -> None:
    async def body(world: World) -> None:
        left, busy = runner_name("ci-cpu", UID, "0badcafe"), runner_name("ci-cpu", UID, "deadbeef")
        world.rest.records = {left: 7, busy: 8, "ci-cpu-00000000-0badcafe": 9}
        world.rest.busy = {busy}
        world.registrar.sweep("ci-cpu", UID)
        assert world.counts() == (None, None)
        await world.clock.advance(5)
        assert world.counts() == (0, 0)
        assert set(world.rest.records.values()) == {8, 9}
        await world.clock.advance(600)
        assert world.rest.listed == [""]

    running(body)


def test_without_a_token_an_agent_that_ends_waits_for_nothing() -> None:
    async def body(world: World) -> None:
        world.rest.refuses = [ServerError("down", status=503)] * 3
        await world.registrar.remove(await world.register())
        world.has_token = False
        await world.registrar.settle()
        assert world.counts() == (1, 1)

    running(body)


def test_without_a_token_nobody_says_that_a_closed_group_has_none_left_unless_it_opens_again() -> None:
    async def body(world: World) -> None:
        world.has_token = False
        world.registrar.sweep("ci-cpu", UID)
        await world.clock.advance(600)
        assert world.counts() == (None, None)
        world.registrar.reopen(UID)
        assert world.counts() == (0, 0)

    running(body)


def test_an_agent_that_ends_removes_what_is_owed_at_once() -> None:
    async def main() -> None:
        world = World()
        world.rest.refuses = [ServerError("down", status=503)] * 2
        await world.registrar.remove(await world.register())
        settling = asyncio.create_task(world.registrar.settle())
        await world.clock.advance(1.0)
        await settling
        assert not world.rest.records

    run(main())


# -- registrations without an owner


def looking(body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """With the search for strays beside the removals, from the agent's start."""

    async def scene(world: World) -> None:
        registrar = world.registrar
        rest, tokens = cast("GitHubRest", world.rest), cast("InstallationTokens", world.tokens)
        task = asyncio.create_task(look_for_strays(registrar, rest, tokens, world.basics))
        try:
            await body(world)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    running(scene)


LEFT, OTHER = runner_name("ci-cpu", UID, "0badcafe"), runner_name("ci-cpu", UID, "deadbeef")


def test_what_a_killed_agent_left_is_removed_after_two_looks_and_nothing_else() -> None:
    async def body(world: World) -> None:
        await world.clock.advance(0)
        foreign = {"ci-cpu-00000000-0badcafe": 3, "build-machine": 4, f"x-{UID[:8]}-0badcafe": 5, "a-b": 6}
        world.rest.records = {LEFT: 1, OTHER: 2} | foreign
        world.rest.busy = {OTHER}
        own = await world.register()
        await world.clock.advance(301)
        assert LEFT in world.rest.records, "it was seen once"
        await world.clock.advance(300)
        assert world.rest.records == {OTHER: 2, own.name: 7} | foreign
        assert world.counts() == (1, 1)

    looking(body)


def test_what_was_there_at_the_start_is_removed_five_minutes_later() -> None:
    async def body(world: World) -> None:
        await world.register()
        await world.clock.advance(310)
        assert LEFT not in world.rest.records
        looks = len(world.rest.listed)
        await world.clock.advance(1700)
        assert len(world.rest.listed) == looks == 2
        await world.clock.advance(200)
        assert len(world.rest.listed) == 3

    async def scene(world: World) -> None:
        world.rest.records = {LEFT: 1}
        await body(world)

    looking(scene)


@pytest.mark.parametrize("comes_back", ["online", "busy", "inherited"])
def test_a_runner_that_shows_life_or_has_a_job_of_ours_is_left_alone(comes_back: str) -> None:
    async def body(world: World) -> None:
        world.rest.records = {LEFT: 1}
        await world.register()
        await world.clock.advance(200)
        match comes_back:
            case "online":
                world.rest.online = {LEFT}
            case "busy":
                world.rest.busy = {LEFT}
            case _:
                world.registrar.inherit(LEFT, "ci-cpu", UID)
        await world.clock.advance(200)
        world.rest.online, world.rest.busy = set(), set()
        await world.clock.advance(250)
        assert LEFT in world.rest.records

    looking(body)


def test_a_look_that_fails_is_made_up_for() -> None:
    async def body(world: World) -> None:
        world.rest.records = {LEFT: 1}
        await world.register()
        world.rest.list_problems = [ServerError("down", status=503), RateLimited("slow", wait_seconds=900.0)]
        await world.clock.advance(299)
        assert LEFT in world.rest.records
        await world.clock.advance(2400)
        assert LEFT not in world.rest.records

    looking(body)


def test_registrations_wait_for_their_turn_before_anything_of_them_exists() -> None:
    async def body(world: World) -> None:
        world.budgets.refused(30.0)
        waiting = asyncio.create_task(world.register())
        await world.clock.advance(29)
        assert world.counts() == (0, 0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await world.clock.advance(60)
        assert not world.rest.records
        assert not world.rest.listed, "there is nothing to look for"

    running(body)
