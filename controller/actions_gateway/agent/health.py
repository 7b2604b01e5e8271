"""Liveness and readiness: what the probes tell, from memory alone.

Alive means that the event loop beats and that no poll task has outlived its own deadline; what GitHub answers plays no
part, so an outage of GitHub restarts nothing. Ready means that the watches are complete, that a first verdict on the
credential exists, good or bad, and that every group's status tells it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.heartbeat import Heartbeat
from actions_gateway.metrics.catalog import EVENT_LOOP_LAG
from actions_gateway.metrics.registry import Metrics


class Health:
    """The agent's health; `conditions` are added by those who know."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self.heartbeat = Heartbeat(clock, on_lag=partial(metrics.set, EVENT_LOOP_LAG))
        self._clock = clock
        self._deadlines: dict[object, float] = {}
        self._conditions: list[Callable[[], bool]] = []
        self.is_stopping = False

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """The code inside must end within `seconds`, whatever its own limits do; else the process counts as stuck."""
        key = object()
        self._deadlines[key] = self._clock.monotonic() + seconds
        try:
            yield
        finally:
            del self._deadlines[key]

    def ready_when(self, condition: Callable[[], bool]) -> None:
        """Adds a condition of readiness."""
        self._conditions.append(condition)

    def is_alive(self) -> bool:
        """For /healthz."""
        now = self._clock.monotonic()
        return self.heartbeat.is_alive() and all(now <= deadline for deadline in self._deadlines.values())

    def is_ready(self) -> bool:
        """For /readyz."""
        return not self.is_stopping and all(condition() for condition in self._conditions)
