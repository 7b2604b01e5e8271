"""A clock that stands still until the test moves it."""

import asyncio
import contextlib
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from actions_gateway.engine.clock import SystemClock

START = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)


class ManualClock:
    """Implements `Clock`; `await advance(seconds)` wakes the sleepers that fall due, in order."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        await future

    @property
    def sleeping(self) -> int:
        """How many sleepers wait for the clock."""
        return sum(1 for *_, future in self._sleepers if not future.done())

    async def advance(self, seconds: float) -> None:
        """Moves the time on by `seconds`; each sleeper that falls due runs at its own moment."""
        target = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._elapsed = max(self._elapsed, due)
            future.set_result(None)
            await settle()
        self._elapsed = target
        await settle()


class LeapingClock(SystemClock):
    """The system's clock, which a test sets ahead: sleepers that fall due wake at once."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0
        self._leapt = asyncio.Event()

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._ahead_seconds)

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead_seconds

    async def sleep(self, seconds: float) -> None:
        due = self.monotonic() + seconds
        while (rest := due - self.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leapt.wait(), rest)
        await asyncio.sleep(0)

    def leap(self, seconds: float) -> None:
        """Sets the clock ahead."""
        self._ahead_seconds += seconds
        self._leapt.set()
        self._leapt = asyncio.Event()


async def settle(rounds: int = 20) -> None:
    """Lets tasks that are ready run; enough rounds for chains of awaits that need no outside event."""
    for _ in range(rounds):
        await asyncio.sleep(0)
