"""Keeping the lock of one job, from before its pod exists until its worker has ended.

actions/runner `src/Runner.Listener/JobDispatcher.cs` renews at once and then every minute; a lock is worth about ten.
The life of the lock drives the schedule, so a short lock is renewed more often and an outage is retried for as long as
the lock lives, however many calls fail.
"""

import random
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.acquirer import JobService
from actions_gateway.github.errors import GitHubError, LockLost
from actions_gateway.metrics.catalog import RENEW_JOB_ERRORS, RENEWJOB_ERRORS

log = structlog.get_logger(__name__)

_RENEW_BEFORE_END_SECONDS = 300.0
_LEAST_WAIT_SECONDS = 1.0
_RETRY_STEP_SECONDS = 5.0
_RETRY_CAP_SECONDS = 30.0


class Loss(StrEnum):
    """Why a lock is no longer ours; the values of the metric's label."""

    JOB_NOT_FOUND = "job_not_found"
    """GitHub does not know it any more: the job has concluded, or somebody else has it."""
    LOCK_EXPIRED = "lock_expired"
    """It could not be renewed until shortly before its end."""


class Renewal:
    """Renews one lock until cancelled or lost."""

    def __init__(self, service: JobService, basics: Basics, *, request_id: str, on_loss: Callable[[], None]) -> None:
        self._service = service
        self._basics = basics
        self._clock = basics.clock
        self._tunables = basics.tunables
        self._on_loss = on_loss
        self._log = log.bind(request_id=request_id)
        self._failures = 0
        # On the monotonic clock: a wall clock that is set while GitHub is away must not cost the job its worker.
        self._lock_end = basics.clock.monotonic() + basics.tunables.lock_seconds
        self.loss: Loss | None = None

    @property
    def remaining_seconds(self) -> float:
        """How long the lock still holds."""
        return self._lock_end - self._clock.monotonic()

    async def run(self) -> None:
        """Renews at once and then on schedule; returns when the lock is lost."""
        while self.loss is None:
            wait = await self.renew_once()
            if wait is not None:
                await self._clock.sleep(wait)
        self._on_loss()

    async def renew_once(self) -> float | None:
        """One renewal; the seconds to wait for the next one, or None when the lock is lost (`loss` says why)."""
        try:
            named = await self._service.renew()
        except LockLost:
            self.loss = Loss.JOB_NOT_FOUND
            return None
        except GitHubError as problem:
            return self._after_failure(problem)
        self._failures = 0
        life = lock_life_seconds(named, now=self._clock.now(), lock_seconds=self._tunables.lock_seconds)
        self._lock_end = self._clock.monotonic() + life
        return next_renewal_seconds(life, interval_seconds=self._tunables.renew_interval_seconds, rng=self._basics.rng)

    def _after_failure(self, problem: GitHubError) -> float | None:
        self._failures += 1
        for metric in (RENEWJOB_ERRORS, RENEW_JOB_ERRORS):
            self._basics.metrics.inc(metric, namespace=self._basics.namespace)
        wait = retry_seconds(
            self._failures,
            life_seconds=self.remaining_seconds,
            margin_seconds=self._tunables.lock_margin_seconds,
            asked_seconds=problem.retry_after_seconds,
        )
        self._log.warning("renewal failed", failures=self._failures, problem=str(problem), retry_in_seconds=wait)
        if wait is None:
            self.loss = Loss.LOCK_EXPIRED
        return wait


def lock_life_seconds(named: datetime | None, *, now: datetime, lock_seconds: float) -> float:
    """The life of a lock renewed now; GitHub may name no end, or one in the past (year 1 stands for unset)."""
    return lock_seconds if named is None or named <= now else (named - now).total_seconds()


def next_renewal_seconds(life_seconds: float, *, interval_seconds: float, rng: random.Random) -> float:
    """How long to wait after a success: the interval with a tenth of jitter, less when the lock is a short one.

    Five minutes are kept for retries; of a lock shorter than that, half.
    """
    is_long = life_seconds > 2 * _RENEW_BEFORE_END_SECONDS
    latest = life_seconds - _RENEW_BEFORE_END_SECONDS if is_long else life_seconds / 2
    return max(_LEAST_WAIT_SECONDS, min(interval_seconds * rng.uniform(0.9, 1.1), latest))


def retry_seconds(
    failures: int, *, life_seconds: float, margin_seconds: float, asked_seconds: float | None = None
) -> float | None:
    """How long to wait after `failures` failures in a row, or None when the lock is to be given up.

    GitHub's own wish (Retry-After) is honoured as far as the lock lives.
    """
    left = life_seconds - margin_seconds
    if left <= 0:
        return None
    wait = min(_RETRY_STEP_SECONDS * failures, _RETRY_CAP_SECONDS)
    return min(max(wait, asked_seconds or 0.0), left)
