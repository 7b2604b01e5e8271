"""Polling one session: pace, back-off, and when a registration is given up."""

import asyncio
import itertools
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.health import Health
from actions_gateway.agent.sessions.connection import Connection, RegistrationSpent
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.polling import Conversation, Poller
from actions_gateway.agent.sessions.throttling import Throttle
from actions_gateway.agent.tunables import Tunables
from actions_gateway.github.broker import RunnerStatus
from actions_gateway.github.errors import (
    ConnectionBroken,
    CredentialsRejected,
    EmptyAnswer,
    Forbidden,
    GitHubError,
    RateLimited,
    RunnerGone,
    ServerError,
    SessionExpired,
    Unauthorized,
    Unreachable,
    VersionTooOld,
)
from actions_gateway.github.messages import JobRequest, Message, Unanswered
from actions_gateway.metrics.catalog import LAST_POLL_TIMESTAMP, MESSAGE_POLL_ERRORS, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

JOB = JobRequest("job-a", "https://run.example/1")
Script = list[Message | GitHubError | None]


class Wire:
    """A connection whose polls follow a script; the last line repeats."""

    registration = SimpleNamespace(name="ci-cpu-1")

    def __init__(self, clock: ManualClock, script: Script, reopening: list[GitHubError | None]) -> None:
        self._clock = clock
        self._script = script
        self._reopening = reopening
        self.polled_at: list[float] = []
        self.reopened = 0

    async def poll(self, status: RunnerStatus) -> Message | None:
        self.polled_at.append(self._clock.monotonic())
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(line, GitHubError):
            raise line
        return line

    async def reopen(self) -> None:
        self.reopened += 1
        problem = self._reopening.pop(0) if self._reopening else None
        if problem is not None:
            raise problem


class World:
    def __init__(self, script: Script, reopening: list[GitHubError | None] | None = None) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(Component.AGENT, "test")
        self.wire = Wire(self.clock, script, reopening or [])
        basics = Basics("team-a", "agent-1", self.clock, random.Random(4), self.metrics, Tunables())
        self.health = Health(self.metrics, self.clock)
        parts = SimpleNamespace(basics=basics, health=self.health)
        self.changes = 0
        self.throttle = Throttle(self.clock, on_change=self._count)
        self.turns: list[bool] = []
        self.poller = Poller(
            cast("Connection", self.wire),
            "ci-cpu",
            cast("SessionParts", parts),
            self.throttle,
            on_turn=lambda: self.turns.append(self.poller.unanswered is not None),
        )

    def _count(self) -> None:
        self.changes += 1

    def errors(self, reason: str) -> float:
        return self.metrics.value(MESSAGE_POLL_ERRORS, namespace="team-a", reason=reason) or 0

    def next(self) -> "asyncio.Task[Message | None]":
        return asyncio.create_task(self.poller.next(RunnerStatus.ONLINE))


def test_a_message_comes_through_and_counts_as_a_sign_of_life() -> None:
    async def main() -> None:
        world = World([JOB])
        assert await world.poller.next(RunnerStatus.ONLINE) == JOB
        stamp = world.metrics.value(LAST_POLL_TIMESTAMP, namespace="team-a", runner_group="ci-cpu")
        assert stamp == world.clock.now().timestamp()

    run(main())


def test_empty_polls_that_are_not_held_are_a_tenth_of_a_second_apart() -> None:
    async def main() -> None:
        world = World([None])
        for _ in range(3):
            task = world.next()
            await world.clock.advance(0.1)
            assert await task is None
        assert world.wire.polled_at == pytest.approx([0.0, 0.1, 0.2])

    run(main())


def test_a_busy_session_that_is_gone_waits_for_its_job_s_end_before_it_is_opened_anew() -> None:
    async def main() -> None:
        world = World([Unauthorized("no", status=401), None])
        task = asyncio.create_task(world.poller.next(RunnerStatus.BUSY))
        await world.clock.advance(4.9)
        assert world.wire.reopened == 0
        await world.clock.advance(0.2)
        assert world.wire.reopened == 1
        assert await task is None

    run(main())


def test_a_poll_without_an_answer_is_harmless_and_counted() -> None:
    async def main() -> None:
        world = World([Unanswered()])
        assert await world.poller.next(RunnerStatus.ONLINE) is None
        assert world.errors("timeout") == 1
        assert world.metrics.value(LAST_POLL_TIMESTAMP, namespace="team-a", runner_group="ci-cpu") is None

    run(main())


def test_errors_back_off_in_two_tiers_and_a_good_poll_ends_that() -> None:
    async def main() -> None:
        world = World([ServerError("down", status=503)] * 7 + [JOB])
        task = world.next()
        await world.clock.advance(400)
        assert await task == JOB
        gaps = [later - earlier for earlier, later in zip(world.wire.polled_at, world.wire.polled_at[1:], strict=False)]
        assert all(15 <= gap <= 30 for gap in gaps[:5])
        assert all(30 <= gap <= 60 for gap in gaps[5:])
        assert world.errors("other") == 7

    run(main())


def test_a_broken_connection_is_made_anew_at_once_and_what_stays_unreachable_backs_off() -> None:
    async def main() -> None:
        world = World([JOB, ConnectionBroken("proxy gone"), *[Unreachable("no proxy")] * 3, JOB])
        assert await world.poller.next(RunnerStatus.ONLINE) == JOB
        task = world.next()
        await world.clock.advance(60)
        assert await task == JOB
        _, *times = world.wire.polled_at
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(gap <= limit for gap, limit in zip(gaps, (1, 2, 4), strict=False))
        assert 15 <= gaps[3] <= 30
        assert world.errors("other") == 4

    run(main())


@pytest.mark.parametrize("problem", [Unreachable("down"), ServerError("down", status=503)])
def test_only_a_broken_connection_is_made_anew_at_once(problem: GitHubError) -> None:
    async def main() -> None:
        world = World([problem, ConnectionBroken("again"), JOB])
        task = world.next()
        await world.clock.advance(60)
        assert await task == JOB
        assert 15 <= world.wire.polled_at[1] <= 30
        assert world.wire.polled_at[2] - world.wire.polled_at[1] >= 15

    run(main())


def test_a_limit_counts_from_its_first_answer_to_the_next_good_one() -> None:
    async def main() -> None:
        limit = RateLimited("slow", wait_seconds=300.0)
        world = World([limit, limit, ServerError("down", status=503), limit, JOB])
        task = world.next()
        await world.clock.advance(620)
        assert world.throttle.limited_since == 0.0
        assert world.changes == 1
        await world.clock.advance(400)
        assert await task == JOB
        assert world.throttle.limited_since is None
        assert world.changes == 2

    run(main())


def test_a_renewal_that_is_limited_is_noted_and_no_poll_takes_that_back() -> None:
    async def main() -> None:
        world = World([Unauthorized("x", status=401), JOB], [RateLimited("slow", wait_seconds=30.0)])
        with pytest.raises(RateLimited):
            await world.poller.next(RunnerStatus.ONLINE)
        await world.clock.advance(1)
        assert await world.poller.next(RunnerStatus.ONLINE) == JOB
        assert world.throttle.limited_since == 0.0

    run(main())


def test_a_throttle_is_honoured_up_to_five_minutes() -> None:
    async def main() -> None:
        world = World([RateLimited("slow", wait_seconds=40.0), RateLimited("slow", wait_seconds=7200.0), JOB])
        task = world.next()
        await world.clock.advance(340)
        assert await task == JOB
        assert world.wire.polled_at == pytest.approx([0.0, 40.0, 340.0])
        assert world.errors("rate_limited") == 2

    run(main())


@pytest.mark.parametrize(
    "problem", [Unauthorized("x", status=401), Forbidden("x", status=403), SessionExpired("x", status=410)]
)
def test_a_session_that_is_no_longer_accepted_is_renewed_once(problem: GitHubError) -> None:
    async def main() -> None:
        world = World([problem, JOB])
        task = world.next()
        await world.clock.advance(1)
        assert await task == JOB
        assert world.wire.reopened == 1
        assert world.errors("other") == 0

    run(main())


def test_a_session_that_a_renewal_did_not_help_gives_its_registration_up() -> None:
    async def main() -> None:
        world = World([Unauthorized("x", status=401)])
        task = world.next()
        await world.clock.advance(1)
        with pytest.raises(RegistrationSpent):
            await task
        assert world.wire.reopened == 1

    run(main())


def test_a_good_poll_allows_the_next_renewal() -> None:
    async def main() -> None:
        expired = SessionExpired("x", status=404)
        world = World([expired, None, expired, JOB])
        for expected in (None, JOB):
            task = world.next()
            await world.clock.advance(1)
            assert await task == expected
        assert world.wire.reopened == 2

    run(main())


@pytest.mark.parametrize("problem", [Unauthorized("x", status=401), CredentialsRejected("x", status=400)])
def test_a_renewal_that_is_refused_gives_the_registration_up(problem: GitHubError) -> None:
    async def main() -> None:
        world = World([SessionExpired("x", status=404), JOB], [problem])
        with pytest.raises(RegistrationSpent):
            await world.poller.next(RunnerStatus.ONLINE)

    run(main())


def test_a_deleted_runner_is_given_up_without_a_renewal() -> None:
    async def main() -> None:
        world = World([RunnerGone("x", status=404)])
        with pytest.raises(RegistrationSpent):
            await world.poller.next(RunnerStatus.ONLINE)
        assert world.wire.reopened == 0

    run(main())


def test_a_version_that_is_too_old_is_told_to_the_pool() -> None:
    async def main() -> None:
        world = World([VersionTooOld("x", status=403)])
        with pytest.raises(VersionTooOld):
            await world.poller.next(RunnerStatus.ONLINE)

    run(main())


def test_three_empty_answers_in_a_row_mean_a_dead_session() -> None:
    async def main() -> None:
        world = World([EmptyAnswer("x")] * 3 + [JOB])
        task = world.next()
        await world.clock.advance(5)
        assert await task == JOB
        assert world.wire.reopened == 1

    run(main())


def test_an_outage_of_github_leaves_the_agent_alive() -> None:
    async def main() -> None:
        world = World([ServerError("down", status=503)])
        beating = asyncio.create_task(world.health.heartbeat.run())
        task = world.next()
        await world.clock.advance(600)
        assert world.health.is_alive()
        for running in (task, beating):
            running.cancel()

    run(main())


def test_a_poll_that_outlives_every_deadline_is_a_stuck_agent() -> None:
    async def main() -> None:
        world = World([JOB])
        beating = asyncio.create_task(world.health.heartbeat.run())

        async def stuck(_: RunnerStatus) -> Message | None:
            await asyncio.Event().wait()
            return None

        cast("Any", world.wire).poll = stuck
        task = world.next()
        await world.clock.advance(119)
        assert world.health.is_alive()
        await world.clock.advance(2)
        assert not world.health.is_alive()
        for running in (task, beating):
            running.cancel()
        await asyncio.gather(task, beating, return_exceptions=True)

    run(main())


def test_whoever_stops_waiting_for_a_poll_can_take_it_up_again() -> None:
    async def main() -> None:
        world = World([RateLimited("slow", wait_seconds=10.0), JOB])
        conversation = Conversation(world.poller)
        waiter = asyncio.create_task(conversation.arrived(RunnerStatus.ONLINE))
        await settle()
        waiter.cancel()
        await settle()
        assert conversation.is_open
        assert not conversation.has_arrived
        await world.clock.advance(11)
        assert conversation.has_arrived
        assert conversation.take() == JOB
        assert not conversation.is_open

    run(main())


def test_a_poll_that_takes_its_cancellation_for_a_broken_connection_is_stopped_all_the_same() -> None:
    async def main() -> None:
        world = World([JOB])
        polls = 0

        async def swallowing(_: RunnerStatus) -> Message | None:
            nonlocal polls
            polls += 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ConnectionBroken("broken") from None
            return None

        cast("Any", world.wire).poll = swallowing
        conversation = Conversation(world.poller)
        waiter = asyncio.create_task(conversation.arrived(RunnerStatus.ONLINE))
        await settle()
        waiter.cancel()
        await conversation.stop()
        assert polls == 1
        assert not conversation.is_open

    run(main())


@pytest.mark.parametrize("problem", [Unreachable("refused"), ServerError("down", status=502)], ids=["broken", "down"])
def test_polls_that_stay_unanswered_are_told_and_the_first_answer_ends_that(problem: GitHubError) -> None:
    async def main() -> None:
        world = World([problem, problem, problem, JOB])
        task = world.next()
        await settle()
        assert world.turns == []
        await world.clock.advance(30.0)
        assert (world.turns, world.poller.unanswered) == ([True], problem)
        await world.clock.advance(60.0)
        assert await task == JOB
        assert (world.turns, world.poller.unanswered) == ([True, False], None)

    run(main())


def test_a_limit_of_github_is_an_answer() -> None:
    async def main() -> None:
        limited = RateLimited("slow down", status=429, wait_seconds=5.0)
        world = World([limited, limited, limited, JOB])
        task = world.next()
        await world.clock.advance(60.0)
        assert await task == JOB
        assert world.turns == []

    run(main())
