"""A queue of keys for level-triggered controllers.

Equal keys coalesce, a key is never worked twice at once, a key that is added while it is worked runs once more
afterwards, and a failing key backs off alone. The queue carries keys only: what to do is read anew by the worker.

Keys wait in lanes, so that a thousand beginnings do not delay what is half done: the first lane that has keys is
served, except that every eighth turn is the last one's, so that none starves.
"""

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from enum import IntEnum
from typing import Generic, TypeVar

from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import Clock

Key = TypeVar("Key", bound=Hashable)


_LAST_LANES_TURN = 8


class Lane(IntEnum):
    """What a key waits for, the most urgent first."""

    FOLLOW_UP = 0
    """Something happened to what has been begun."""
    NEW = 1
    """It is new."""
    BACKLOG = 2
    """It was there before: nothing may have changed at all."""


class WorkQueue(Generic[Key]):
    """Keys waiting for work; `get`/`done` bracket the work on one key."""

    def __init__(self, *, clock: Clock, rng: random.Random, backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._rng = rng
        self._backoff = backoff or Backoff()
        self._lanes: tuple[deque[Key], ...] = tuple(deque() for _ in Lane)
        """A key that moved to another lane leaves a trace behind, which is passed over."""
        self._queued: dict[Key, Lane] = {}
        self._turns = itertools.count(1)
        self._active: set[Key] = set()
        self._again: dict[Key, Lane] = {}
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._timers: list[tuple[float, int, Key]] = []
        """A heap of all wishes for a moment, outlived ones included."""
        self._timer_numbers = itertools.count()
        self._not_before: dict[Key, float] = {}
        """Moments before which the other side asked not to be bothered with a key."""
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def failing(self) -> int:
        """How many keys' last attempt failed."""
        return len(self._failures)

    def add(self, key: Key, lane: Lane = Lane.FOLLOW_UP) -> None:
        """Asks for work on `key` now; an earlier timed wish for it is fulfilled by this.

        A key that waits already moves up to a more urgent lane, never down. One for which the other side asked for
        patience waits until then, whatever changes meanwhile.
        """
        if (wait := self._not_before.get(key, 0.0) - self._clock.monotonic()) > 0:
            self.add_after(key, wait)
            return
        self._due.pop(key, None)
        if key in self._active:
            self._again[key] = min(lane, self._again.get(key, lane))
        elif key not in self._queued or lane < self._queued[key]:
            self._queued[key] = lane
            self._lanes[lane].append(key)
            self._changed.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Asks for work on `key` in `seconds`, or earlier if an earlier wish for it stands."""
        due = self._clock.monotonic() + max(0.0, seconds)
        if key not in self._due or due < self._due[key]:
            self._due[key] = due
            heapq.heappush(self._timers, (due, next(self._timer_numbers), key))
            self._changed.set()

    def retry(self, key: Key, *, asked_seconds: float | None = None) -> float:
        """Counts a failure of `key` and asks for another try after its back-off; returns the delay in seconds.

        `asked_seconds` is the least that the other side asked for.
        """
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._backoff.delay_seconds(self._failures[key], self._rng, asked_seconds=asked_seconds)
        if asked_seconds:
            self._not_before[key] = self._clock.monotonic() + delay
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """The last attempt of `key` succeeded: its back-off starts anew."""
        self._failures.pop(key, None)
        self._not_before.pop(key, None)

    async def get(self) -> Key:
        """The next key, which stays reserved until `done`; waits while there is none."""
        while True:
            self._promote_due()
            if self._queued:
                key = self._next()
                del self._queued[key]
                self._active.add(key)
                return key
            await self._wait_for_change()

    def done(self, key: Key) -> None:
        """Ends the reservation; a key that was added meanwhile is queued again."""
        self._active.discard(key)
        if (lane := self._again.pop(key, None)) is not None:
            self.add(key, lane)

    def _next(self) -> Key:
        """The first key of the lane whose turn it is; some key waits."""
        lanes = self._lanes if next(self._turns) % _LAST_LANES_TURN else self._lanes[::-1]
        for lane in lanes:
            while lane:
                key = lane.popleft()
                if key in self._queued and self._lanes[self._queued[key]] is lane:
                    return key
        raise AssertionError("a key is queued in no lane")

    def _promote_due(self) -> None:
        now = self._clock.monotonic()
        while self._timers and (self._timers[0][0] <= now or not self._is_wanted(self._timers[0])):
            timer = heapq.heappop(self._timers)
            if self._is_wanted(timer):
                del self._due[timer[2]]
                self.add(timer[2])

    def _is_wanted(self, timer: tuple[float, int, Key]) -> bool:
        due, _, key = timer
        return self._due.get(key) == due

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        if not self._timers:
            await self._changed.wait()
            return
        pause = self._timers[0][0] - self._clock.monotonic()
        changed = asyncio.ensure_future(self._changed.wait())
        timer = asyncio.ensure_future(self._clock.sleep(pause))
        try:
            await asyncio.wait({changed, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            timer.cancel()
            await asyncio.gather(changed, timer, return_exceptions=True)


async def work(
    queue: WorkQueue[Key],
    handle: Callable[[Key], Awaitable[float | None]],
    on_failure: Callable[[Key, Exception, float], None],
) -> None:
    """Works keys of `queue` for ever, one at a time; run several of these tasks for parallel keys.

    `handle` returns the seconds until the key wants another look, or None. An exception backs the key off, for at
    least its `retry_after_seconds` when it has such an attribute; `on_failure` gets the key, the exception and the
    delay in seconds, and is the only place that reports it.
    """
    while True:
        key = await queue.get()
        try:
            again_after_seconds = await handle(key)
        except Exception as failure:
            asked_seconds = getattr(failure, "retry_after_seconds", None)
            on_failure(key, failure, queue.retry(key, asked_seconds=asked_seconds))
        else:
            queue.forget(key)
            if again_after_seconds is not None:
                queue.add_after(key, again_after_seconds)
        finally:
            queue.done(key)
        # Work that asks nobody for anything never waits: a long queue of it would keep everything else from its turn,
        # and the leader from renewing its lease.
        await asyncio.sleep(0)
