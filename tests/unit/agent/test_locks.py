"""The schedule of lock renewals, and the task that follows it."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.renewing import Loss, Renewal, lock_life_seconds, next_renewal_seconds, retry_seconds
from actions_gateway.agent.tunables import Tunables
from actions_gateway.github.errors import GitHubError, LockLost, RateLimited, ServerError
from actions_gateway.metrics.catalog import RENEW_JOB_ERRORS, RENEWJOB_ERRORS, Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize("named", [None, datetime(1, 1, 1, tzinfo=UTC), after(-1)])
def test_a_lock_without_a_usable_end_is_worth_ten_minutes(named: datetime | None) -> None:
    assert lock_life_seconds(named, now=NOW, lock_seconds=600.0) == 600


def test_a_named_end_counts() -> None:
    assert lock_life_seconds(after(42), now=NOW, lock_seconds=600.0) == 42


@pytest.mark.parametrize("seed", range(20))
def test_a_ten_minute_lock_is_renewed_every_minute_with_a_tenth_of_jitter(seed: int) -> None:
    wait = next_renewal_seconds(600, interval_seconds=60.0, rng=random.Random(seed))
    assert 54 <= wait <= 66


def test_a_short_lock_is_renewed_at_half_its_life() -> None:
    assert next_renewal_seconds(30, interval_seconds=60.0, rng=random.Random(1)) == 15


def test_retries_come_sooner_than_renewals_and_slow_down() -> None:
    waits = [retry_seconds(n, life_seconds=600, margin_seconds=60.0) for n in (1, 2, 3, 20)]
    assert waits == [5.0, 10.0, 15.0, 30.0]


def test_a_lock_is_given_up_a_minute_before_its_end() -> None:
    assert retry_seconds(3, life_seconds=61, margin_seconds=60.0) == 1.0
    assert retry_seconds(3, life_seconds=60, margin_seconds=60.0) is None


def test_github_s_wish_to_wait_never_costs_the_lock() -> None:
    assert retry_seconds(1, life_seconds=100, margin_seconds=60.0, asked_seconds=300.0) == 40.0
    assert retry_seconds(1, life_seconds=600, margin_seconds=60.0, asked_seconds=20.0) == 20.0


class Service:
    """A run service that follows a script; its last line repeats."""

    def __init__(self, *answers: datetime | GitHubError | None) -> None:
        self._answers = list(answers)
        self.renewed_at: list[float] = []
        self.clock = ManualClock()

    async def renew(self) -> datetime | None:
        self.renewed_at.append(self.clock.monotonic())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, GitHubError):
            raise answer
        return answer

    async def complete(self, conclusion: str, *, title: str, message: str) -> None:
        raise AssertionError("a renewal completes nothing")


def renewal(service: Service, lost: asyncio.Event) -> tuple[Renewal, Metrics]:
    metrics = Metrics(Component.AGENT, "test")
    basics = Basics("team-a", "agent-1", service.clock, random.Random(1), metrics, Tunables())
    return Renewal(service, basics, request_id="r", on_loss=lost.set), metrics


def test_the_first_renewal_is_at_once_and_the_next_after_a_minute() -> None:
    async def main() -> None:
        service, lost = Service(None), asyncio.Event()
        kept, _ = renewal(service, lost)
        task = asyncio.create_task(kept.run())
        await settle()
        assert service.renewed_at == [0.0]
        await service.clock.advance(66)
        assert len(service.renewed_at) == 2
        assert not lost.is_set()
        task.cancel()

    run(main())


def test_a_lock_that_github_does_not_know_is_lost_at_once() -> None:
    async def main() -> None:
        service, lost = Service(None, LockLost("gone", status=404)), asyncio.Event()
        kept, metrics = renewal(service, lost)
        task = asyncio.create_task(kept.run())
        await service.clock.advance(70)
        await task
        assert kept.loss is Loss.JOB_NOT_FOUND
        assert lost.is_set()
        # The lock of a job that its worker has completed is gone, too: that is no error.
        assert metrics.value(RENEWJOB_ERRORS, namespace="team-a") in (None, 0)

    run(main())


def test_an_outage_is_retried_until_a_minute_before_the_lock_s_end() -> None:
    async def main() -> None:
        service, lost = Service(ServerError("down", status=503)), asyncio.Event()
        kept, metrics = renewal(service, lost)
        task = asyncio.create_task(kept.run())
        await service.clock.advance(535)
        assert kept.loss is None
        await service.clock.advance(10)
        await task
        assert kept.loss is Loss.LOCK_EXPIRED
        assert metrics.value(RENEWJOB_ERRORS, namespace="team-a") == len(service.renewed_at)
        assert metrics.value(RENEW_JOB_ERRORS, namespace="team-a") == len(service.renewed_at)

    run(main())


def test_a_throttle_is_honoured_and_the_lock_kept() -> None:
    async def main() -> None:
        service, lost = Service(RateLimited("slow down", wait_seconds=45.0), None), asyncio.Event()
        kept, _ = renewal(service, lost)
        task = asyncio.create_task(kept.run())
        await service.clock.advance(44)
        assert len(service.renewed_at) == 1
        await service.clock.advance(2)
        assert len(service.renewed_at) == 2
        assert kept.remaining_seconds > 590
        task.cancel()

    run(main())


class SetClock(ManualClock):
    """A clock whose wall time can be set."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


def test_a_wall_clock_that_is_set_during_an_outage_costs_no_lock() -> None:
    async def main() -> None:
        service, lost = Service(None, ServerError("down", status=503), None), asyncio.Event()
        service.clock = clock = SetClock()
        kept, _ = renewal(service, lost)
        task = asyncio.create_task(kept.run())
        await settle()
        clock.ahead = timedelta(hours=1)
        await clock.advance(120)
        assert len(service.renewed_at) >= 3
        assert kept.loss is None
        task.cancel()

    run(main())
