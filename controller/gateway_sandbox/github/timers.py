"""Everything that GitHub does by itself after a while: one heap of due moments, one task that sleeps until the next."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from actions_gateway.engine.clock import Clock


@dataclass(slots=True)
class Timer:
    """A pending action; `cancel` is idempotent and harmless after the action ran."""

    action: Callable[[], None] | None

    def cancel(self) -> None:
        self.action = None


class Timers:
    """Runs plain callables at their moment of the given clock, in order."""

    def __init__(self, clock: Clock, *, after_each: Callable[[], None]) -> None:
        self._clock = clock
        self._after_each = after_each
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._nap: asyncio.Task[None] | None = None

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Runs `action` once, `seconds` from now; equal moments run in the order they were asked for."""
        timer = Timer(action)
        due = self._clock.monotonic() + max(0.0, seconds)
        is_next = not self._heap or due < self._heap[0][0]
        heapq.heappush(self._heap, (due, next(self._order), timer))
        if is_next and self._nap is not None:
            self._nap.cancel()
        return timer

    def fire_due(self) -> None:
        """Runs what is due by now; `run` calls it, and so may a simulation that owns the time."""
        while self._heap and self._heap[0][0] <= self._clock.monotonic():
            _, _, timer = heapq.heappop(self._heap)
            action, timer.action = timer.action, None
            if action is not None:
                action()
                self._after_each()

    async def run(self) -> None:
        """Fires timers until cancelled. An earlier timer than the one slept for cuts the nap short."""
        try:
            while True:
                self.fire_due()
                self._drop_cancelled()
                idle_seconds = self._heap[0][0] - self._clock.monotonic() if self._heap else 3600.0
                self._nap = asyncio.create_task(self._clock.sleep(idle_seconds), name="github-timer-nap")
                await asyncio.wait({self._nap})
                if not self._nap.cancelled():
                    self._nap.result()
        finally:
            if self._nap is not None:
                self._nap.cancel()

    def clear(self) -> None:
        self._heap.clear()

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
