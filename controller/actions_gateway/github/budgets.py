"""What GitHub lets an installation ask of its REST API, kept before GitHub has to say so.

Source: GitHub REST docs, "Rate limits for the REST API" and "Best practices for using the REST API": at most 900 points
a minute (a read is 1, a write 5), at most 100 requests at once; the hourly budget is told by `x-ratelimit-*`. A write
that is too many waits here instead of failing there. What recovers jobs comes first, and a part is kept for it.

One `Budgets` serves all groups of an agent. Other agents and tools with the same installation are seen only through the
headers and through refusals: each refusal halves what this agent takes of the points, and half an hour gives all of it
back, so that those who share an installation find their parts by themselves. A fixed part for each of many gateways
would starve the few that have work; a platform that wants one sets `Limits.share` (GITHUB_BUDGET_SHARE).
Calls in the App's own name, and those that end a token, are not the installation's and are not kept back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from actions_gateway.engine.clock import Clock
from actions_gateway.github.answers import RateLimit

READ_POINTS, WRITE_POINTS = 1, 5

_WINDOW_SECONDS = 60.0
_LONGEST_HOUR_SECONDS = 3600.0
_LONGEST_NAP_SECONDS = 5.0
_SHORTEST_NAP_SECONDS = 0.001
_SMALLEST_PART = 1 / 64
_RECOVERY_SECONDS = 1800.0
"""From next to nothing back to the whole share."""


class Priority(StrEnum):
    """Whose turn is first; the values of the metric label `priority`."""

    VITAL = "vital"
    """What recovers jobs: runs are read, rerun and cancelled."""
    ROUTINE = "routine"
    """Registrations and their removal."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of an installation; None: not kept."""

    points_per_minute: int | None = 900
    at_once: int | None = 100
    registrations_per_minute: int | None = None
    """GitHub bounds what creates content at 80 a minute; nobody has seen that registrations count."""
    share: float = 1.0
    reserve: float = 0.05
    """The part of each budget that routine calls leave to the vital ones."""
    low_water: float = 0.2
    """The part of the hourly budget from which on routine calls are spread over the time until it is full again."""
    lifeline_seconds: float = 60.0
    """One registration of a group is let through at least so often, whatever is left of the hourly budget."""


@dataclass(slots=True, eq=False)
class Charge:
    """A call that was let through; it weighs on the budget until a minute after its answer."""

    points: int
    is_registration: bool
    until: float


@dataclass(slots=True, eq=False)
class _Waiter:
    points: int
    priority: Priority
    group: str
    """Whose registration it is; empty for other calls."""
    charge: Charge | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    """It was let through, or is the one that watches the time."""


OnWait = Callable[[Priority, int, float], None]
"""Hears of each change: the priority, how many wait now, and the seconds that one has waited which waits no more."""

OnHour = Callable[[RateLimit], None]
"""Hears of the hourly budget as each answer shows it."""


class Budgets:
    """Lets calls through in their order, as many as the limits allow."""

    def __init__(
        self,
        clock: Clock,
        limits: Limits | None = None,
        *,
        on_wait: OnWait | None = None,
        on_hour: OnHour | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._on_wait = on_wait
        self._on_hour = on_hour
        self._queue: list[_Waiter] = []
        """The vital ones first, each kind in its order; the first one watches the time for all."""
        self._charges: list[Charge] = []
        self._hourly: RateLimit | None = None
        self._hour_ends = 0.0
        self._limited_until = 0.0
        self._left_to_us = 1.0
        """Of the share, after the last refusal."""
        self._refused_at = 0.0
        self._last_routine = 0.0
        self._last_of: dict[str, float] = {}
        """When a group's last registration was let through."""
        at_once = self._part(self._limits.at_once, Priority.ROUTINE)
        self._gate = None if at_once is None else asyncio.Semaphore(max(1, at_once))

    @property
    def is_waiting(self) -> bool:
        """Whether calls wait for their turn."""
        return bool(self._queue)

    # -- what GitHub says ------------------------------------------------------------------------------------------

    def saw(self, hourly: RateLimit | None) -> None:
        """The hourly budget as the last answer showed it."""
        self._hourly = hourly
        if hourly is not None:
            left_seconds = (hourly.reset_at - self._clock.now()).total_seconds()
            self._hour_ends = self._clock.monotonic() + min(left_seconds, _LONGEST_HOUR_SECONDS)
            if self._on_hour is not None:
                self._on_hour(hourly)

    def refused(self, wait_seconds: float) -> None:
        """GitHub refused a call for its limits and asks for so much patience, with everything."""
        now = self._clock.monotonic()
        if now >= self._limited_until:  # else it is another answer to the same burst
            self._left_to_us, self._refused_at = max(_SMALLEST_PART, self._part_now(now) / 2), now
        self._limited_until = max(self._limited_until, now + min(wait_seconds, _LONGEST_HOUR_SECONDS))

    def _part_now(self, now: float) -> float:
        return min(1.0, self._left_to_us + (now - self._refused_at) / _RECOVERY_SECONDS)

    # -- calls -----------------------------------------------------------------------------------------------------

    async def turn(self, points: int, priority: Priority, *, group: str = "") -> Charge:
        """Waits until the call may be made; `group` (any name of it) says that it is a registration.

        A charge that is not used is only wasted.
        """
        waiter, since = _Waiter(points, priority, group), self._clock.monotonic()
        vital = sum(one.priority is Priority.VITAL for one in self._queue)
        self._queue.insert(vital if priority is Priority.VITAL else len(self._queue), waiter)
        try:
            self._let_through()
            if waiter.charge is None:
                self._tell(priority, 0.0)
            while waiter.charge is None:
                await self._wait(waiter)
        finally:
            if waiter in self._queue:
                self._queue.remove(waiter)
            if self._queue:
                self._queue[0].woken.set()
            self._tell(priority, self._clock.monotonic() - since)
        return waiter.charge

    @asynccontextmanager
    async def spend(self, points: int, priority: Priority, *, charge: Charge | None = None) -> AsyncIterator[None]:
        """Around a call, which waits for its turn here unless `charge` says that it had it."""
        charge = charge or await self.turn(points, priority)
        async with AsyncExitStack() as stack:
            if self._gate is not None and priority is Priority.ROUTINE:
                await stack.enter_async_context(self._gate)
            try:
                yield
            finally:
                # GitHub counted it at some moment between its start and now.
                charge.until = self._clock.monotonic() + _WINDOW_SECONDS

    async def _wait(self, waiter: _Waiter) -> None:
        if self._queue[0] is waiter:
            now = self._clock.monotonic()
            soonest = min(delay for _, delay in self._candidates(now))
            await self._clock.sleep(min(max(soonest, _SHORTEST_NAP_SECONDS), _LONGEST_NAP_SECONDS))
            self._let_through()
        else:
            await waiter.woken.wait()
            waiter.woken.clear()

    def _let_through(self) -> None:
        now = self._clock.monotonic()
        self._charges = [charge for charge in self._charges if charge.until > now]
        while (waiter := next((one for one, delay in self._candidates(now) if delay <= 0), None)) is not None:
            self._queue.remove(waiter)
            waiter.charge = Charge(waiter.points, bool(waiter.group), now + _WINDOW_SECONDS)
            self._charges.append(waiter.charge)
            if waiter.priority is Priority.ROUTINE:
                self._last_routine = now
            if waiter.group:
                self._last_of[waiter.group] = now
            waiter.woken.set()

    # -- decisions -------------------------------------------------------------------------------------------------

    def _candidates(self, now: float) -> Iterator[tuple[_Waiter, float]]:
        """Who may be next, and in how many seconds: the first one, and each group's first one as its lifeline."""
        if not self._queue:
            return
        first, groups = self._queue[0], set[str]()
        yield first, self._delay(first, now, is_first=True)
        # While a vital call waits for points, no other one takes them.
        for waiter in self._queue if first.priority is Priority.ROUTINE else ():
            if waiter.group and waiter.group not in groups and waiter is not first:
                yield waiter, self._delay(waiter, now, is_first=False)
            groups.add(waiter.group)

    def _delay(self, waiter: _Waiter, now: float, *, is_first: bool) -> float:
        limits = self._limits
        delay = max(self._limited_until - now, self._points_delay(waiter, now))
        if waiter.priority is Priority.VITAL:
            return delay
        since = self._last_of.get(waiter.group)
        lifeline = 0.0 if since is None else since + limits.lifeline_seconds - now
        pace = self._pace_delay(now) if is_first else float("inf")
        if waiter.group and limits.registrations_per_minute is not None:
            made = [(charge.until, 1) for charge in self._charges if charge.is_registration]
            delay = max(delay, _window_delay(made, 1, max(1, int(limits.registrations_per_minute * limits.share)), now))
        return max(delay, min(pace, lifeline) if waiter.group else pace)

    def _points_delay(self, waiter: _Waiter, now: float) -> float:
        most = self._part(self._limits.points_per_minute, waiter.priority)
        if most is None:
            return 0.0
        spent = [(charge.until, charge.points) for charge in self._charges]
        return _window_delay(spent, waiter.points, max(int(most * self._part_now(now)), WRITE_POINTS), now)

    def _part(self, limit: int | None, priority: Priority) -> int | None:
        if limit is None:
            return None
        return int(limit * self._limits.share * (1.0 if priority is Priority.VITAL else 1.0 - self._limits.reserve))

    def _pace_delay(self, now: float) -> float:
        """Of the next routine call: none above the low water, longer and longer towards the reserve, then all of it."""
        hourly, limits = self._hourly, self._limits
        if hourly is None:
            return 0.0
        left_seconds = self._hour_ends - now
        low, reserve = hourly.limit * limits.low_water, hourly.limit * limits.reserve
        if left_seconds <= 0 or hourly.remaining >= low:
            return 0.0
        spendable = (hourly.remaining - reserve) * limits.share
        if spendable < 1:
            return left_seconds
        spacing = left_seconds / spendable * (low - hourly.remaining) / (low - reserve)
        return min(left_seconds, self._last_routine + spacing - now)

    def _tell(self, priority: Priority, waited_seconds: float) -> None:
        if self._on_wait is not None:
            self._on_wait(priority, sum(one.priority is priority for one in self._queue), waited_seconds)


def _window_delay(spent: list[tuple[float, int]], wanted: int, most: int, now: float) -> float:
    """In how many seconds `wanted` more fit; `spent` holds when each amount is free again."""
    used = sum(amount for until, amount in spent if until > now)
    delay = 0.0
    for until, amount in sorted(spent):
        if used + wanted <= most:
            break
        if until > now:
            used -= amount
            delay = until - now
    return delay
