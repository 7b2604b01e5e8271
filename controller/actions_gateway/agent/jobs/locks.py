"""The schedule of lock renewals: pure arithmetic on the end of the lock that GitHub named last.

actions/runner `src/Runner.Listener/JobDispatcher.cs` renews at once and then every minute; a lock is worth about ten.
The end of the lock drives the schedule, so a short lock is renewed more often and an outage is retried for as long as
the lock lives, however many calls fail.
"""

import random
from datetime import datetime, timedelta

_RENEW_BEFORE_END_SECONDS = 300.0
_LEAST_WAIT_SECONDS = 1.0
_RETRY_STEP_SECONDS = 5.0
_RETRY_CAP_SECONDS = 30.0


def lock_end(named: datetime | None, *, now: datetime, lock_seconds: float) -> datetime:
    """The end of a lock renewed now; GitHub may name none, or one in the past (year 1 stands for unset)."""
    if named is None or named <= now:
        return now + timedelta(seconds=lock_seconds)
    return named


def next_renewal_seconds(
    locked_until: datetime, *, now: datetime, interval_seconds: float, rng: random.Random
) -> float:
    """How long to wait after a success: the interval with a tenth of jitter, less when the lock is a short one.

    Five minutes are kept for retries; of a lock shorter than that, half.
    """
    life = (locked_until - now).total_seconds()
    latest = life - _RENEW_BEFORE_END_SECONDS if life > 2 * _RENEW_BEFORE_END_SECONDS else life / 2
    return max(_LEAST_WAIT_SECONDS, min(interval_seconds * rng.uniform(0.9, 1.1), latest))


def retry_seconds(
    failures: int, *, locked_until: datetime, now: datetime, margin_seconds: float, asked_seconds: float | None = None
) -> float | None:
    """How long to wait after `failures` failures in a row, or None when the lock is to be given up.

    GitHub's own wish (Retry-After) is honoured as far as the lock lives.
    """
    left = (locked_until - now).total_seconds() - margin_seconds
    if left <= 0:
        return None
    wait = min(_RETRY_STEP_SECONDS * failures, _RETRY_CAP_SECONDS)
    return min(max(wait, asked_seconds or 0.0), left)
