"""How long a worker's pod is tried for when the API server does not take it: retries of a quota, and a deadline."""

from actions_gateway.agent.basics import Basics, Group
from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.kube.errors import KubeError, QuotaExceeded
from actions_gateway.metrics.catalog import QUOTA_RETRIES, QUOTA_RETRIES_EXHAUSTED


class Attempts:
    """The attempts of one job; the group's limits are read anew at each."""

    def __init__(self, group: Group, basics: Basics) -> None:
        self._group = group
        self._basics = basics
        self._labels = basics.labels_of(group.name)
        self._started = basics.clock.monotonic()
        self._failures = 0
        self.quota_refusals = 0
        """Those that count: what was tried early, since the quota had moved, costs no retry."""
        self.was_woken = False
        """The next attempt is an early one."""
        self.are_retries_exhausted = False

    def pause_after(self, problem: KubeError) -> float | None:
        """The seconds until the next attempt; None when there is to be none."""
        deadline = parse_duration_seconds(self._group.settings.pending_pod_deadline)
        is_over = self._basics.clock.monotonic() - self._started >= deadline
        if isinstance(problem, QuotaExceeded):
            return self._after_quota(is_over=is_over)
        self._failures += 1
        backoff, asked = self._basics.tunables.write_backoff, problem.retry_after_seconds
        delay = backoff.delay_seconds(self._failures, self._basics.rng, asked_seconds=asked)
        return None if is_over else delay

    def _after_quota(self, *, is_over: bool) -> float | None:
        settings, metrics = self._group.settings, self._basics.metrics
        delay = parse_duration_seconds(settings.quota_retry_delay)
        if self.was_woken and not is_over:
            return delay
        self.quota_refusals += 1
        if self.quota_refusals <= settings.max_quota_retries and not is_over:
            metrics.inc(QUOTA_RETRIES, 1, **self._labels)
            return delay
        if settings.max_quota_retries:
            # Without retries nothing is exhausted: the tenant wants none.
            metrics.inc(QUOTA_RETRIES_EXHAUSTED, 1, **self._labels)
            self.are_retries_exhausted = True
        return None
