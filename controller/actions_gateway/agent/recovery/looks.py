"""When the run of a lost job is looked at: at growing distances, since GitHub reruns nothing of a run that goes on.

A job that is to be rerun is looked at every 30 s to 5 min. One that a person decides about is looked at more and more
rarely and by itself: an outage may have left as many as there were jobs, and they share GitHub's budget with the rest.
"""

import math
from collections.abc import Mapping

from actions_gateway.api.ledger import LostJob
from actions_gateway.engine.clock import Clock

Key = tuple[int, str]
"""Run and runner."""

LAST_LOOK_SECONDS = 300.0
NO_MORE = math.inf
"""The wait after a look that has told all there is."""
_FIRST_LOOK_SECONDS = 30.0
_LAST_MANUAL_LOOK_SECONDS = 3600.0
_MANUAL_GAP_SECONDS = 5.0
_IDLE_SECONDS = 3600.0


class Looks:
    """The next look at each open job, on the monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next: dict[Key, tuple[float, float]] = {}
        """When it is due, and the distance to the one after it."""
        self._manual_due = -math.inf
        """When a job that a person decides about may be looked at next."""

    def keep(self, jobs: Mapping[Key, LostJob]) -> None:
        """These are open now."""
        self._next = {key: look for key, look in self._next.items() if key in jobs}
        for key, job in jobs.items():
            # Another agent may have written down a request for what this one had nothing more to learn of.
            if key not in self._next or (job.is_pending and self._next[key][0] == NO_MORE):
                wait = (job.not_before - self._clock.now()).total_seconds()
                self._next[key] = (self._clock.monotonic() + max(0.0, wait), _FIRST_LOOK_SECONDS)

    def begin_anew(self, key: Key) -> None:
        """A person has asked for it."""
        self._next.pop(key, None)

    def in_order(self, jobs: Mapping[Key, LostJob]) -> list[Key]:
        """Those that are to be rerun first, then what has waited for longest."""
        return sorted(jobs, key=lambda key: (not jobs[key].is_pending, self._next[key]))

    def is_due(self, key: Key, job: LostJob) -> bool:
        """Whether it may be looked at now."""
        return self._due(key, job) <= self._clock.monotonic()

    def seconds_left(self, jobs: Mapping[Key, LostJob]) -> float:
        """Until one of them is due, at most an hour."""
        now = self._clock.monotonic()
        return max(0.0, min([_IDLE_SECONDS, *(self._due(key, job) - now for key, job in jobs.items())]))

    def looked(self, key: Key, job: LostJob, wait: float | None) -> None:
        """It was looked at; `wait` is how long GitHub asks to wait, if it does."""
        now, (_, distance) = self._clock.monotonic(), self._next[key]
        factor, longest = (1.5, LAST_LOOK_SECONDS) if job.is_pending else (2.0, _LAST_MANUAL_LOOK_SECONDS)
        self._next[key] = (now + (wait or distance), min(distance * factor, longest))
        if not job.is_pending:
            self._manual_due = now + _MANUAL_GAP_SECONDS

    def _due(self, key: Key, job: LostJob) -> float:
        due, _ = self._next[key]
        return due if job.is_pending else max(due, self._manual_due)
