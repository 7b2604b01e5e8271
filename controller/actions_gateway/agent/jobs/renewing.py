"""Keeping the lock of one job, from before its pod exists until its worker has ended."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.acquirer import JobService
from actions_gateway.agent.jobs.locks import lock_end, next_renewal_seconds, retry_seconds
from actions_gateway.github.errors import GitHubError, LockLost
from actions_gateway.metrics.catalog import RENEW_JOB_ERRORS, RENEWJOB_ERRORS

log = structlog.get_logger(__name__)


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
        self.locked_until = basics.clock.now() + timedelta(seconds=basics.tunables.lock_seconds)
        self.loss: Loss | None = None

    @property
    def remaining_seconds(self) -> float:
        """How long the lock still holds."""
        return (self.locked_until - self._clock.now()).total_seconds()

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
        now = self._clock.now()
        self._failures = 0
        self.locked_until = lock_end(named, now=now, lock_seconds=self._tunables.lock_seconds)
        return next_renewal_seconds(
            self.locked_until, now=now, interval_seconds=self._tunables.renew_interval_seconds, rng=self._basics.rng
        )

    def _after_failure(self, problem: GitHubError) -> float | None:
        self._failures += 1
        for metric in (RENEWJOB_ERRORS, RENEW_JOB_ERRORS):
            self._basics.metrics.inc(metric, namespace=self._basics.namespace)
        wait = retry_seconds(
            self._failures,
            locked_until=self.locked_until,
            now=self._clock.now(),
            margin_seconds=self._tunables.lock_margin_seconds,
            asked_seconds=problem.retry_after_seconds,
        )
        self._log.warning("renewal failed", failures=self._failures, problem=str(problem), retry_in_seconds=wait)
        if wait is None:
            self.loss = Loss.LOCK_EXPIRED
        return wait
