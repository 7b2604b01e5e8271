"""What the parts of the simulated GitHub share: time, settings, numbers, records, and a way to await a change."""

import asyncio
import dataclasses
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from actions_gateway.engine.clock import Clock
from gateway_sandbox.github.models import Delivery, Job, Run, Runner, Session
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.timers import Timers

FIRST_MESSAGE_ID = (
    5714371765723164553  # above 2^53, as observed on github.com: a client must not pass it through a float
)


class Refused(Exception):
    """The simulated GitHub says no: an HTTP status, a body (JSON document or text) and headers."""

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Violation:
    """Something a client did that GitHub would frown at, or that the simulator does not serve."""

    at: datetime
    what: str
    detail: str


@dataclass(slots=True)
class State:
    """All mutable state but apps, queue and journal, each of which has one owner."""

    clock: Clock
    base_settings: SimulatorSettings
    rng: random.Random
    base_url: str = "https://github.invalid"
    settings: SimulatorSettings = field(init=False)
    timers: Timers = field(init=False)
    runners: dict[int, Runner] = field(default_factory=dict)
    """Registered runners that are not deleted."""
    sessions: dict[str, Session] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    """The latest delivery of every request id."""
    jobs: dict[int, Job] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    violations: deque[Violation] = field(default_factory=lambda: deque(maxlen=1000))
    tenant: str = ""
    _counters: dict[str, int] = field(default_factory=dict)
    _waiters: set[asyncio.Event] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.settings = self.base_settings
        self.timers = Timers(self.clock, after_each=self.changed)
        self.tenant = self.new_uuid()

    def override(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """Makes `settings` the base settings with the given fields replaced, later ones winning."""
        self.settings = self.base_settings
        for fields in changes:
            self.settings = dataclasses.replace(self.settings, **fields)

    def next_id(self, kind: str, first: int = 1) -> int:
        """The next number of a series."""
        self._counters[kind] = self._counters.get(kind, first - 1) + 1
        return self._counters[kind]

    def new_uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def new_secret(self, prefix: str) -> str:
        """An opaque token: `prefix` and 36 characters."""
        return prefix + "".join(
            self.rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=36)
        )

    def told_time(self) -> datetime:
        """What GitHub takes for the present."""
        return self.later(self.settings.clock_offset_seconds)

    def later(self, seconds: float) -> datetime:
        return self.clock.now() + timedelta(seconds=seconds)

    def violate(self, what: str, detail: str) -> None:
        self.violations.append(Violation(self.clock.now(), what, detail))

    def clear(self) -> None:
        """Forgets records and pending timers; numbers go on, so that nothing old is mistaken for something new."""
        for records in (self.runners, self.sessions, self.deliveries, self.jobs, self.runs):
            records.clear()
        self.violations.clear()
        self.timers.clear()
        self.changed()

    def changed(self) -> None:
        """Wakes those who wait for a condition; called after every call and timer, when the state is settled."""
        for waiter in self._waiters:
            waiter.set()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Returns once `condition` holds; it is looked at after every change and never polled."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            while not condition():
                waiter.clear()
                await waiter.wait()
        finally:
            self._waiters.discard(waiter)


def stamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with whole seconds, as the REST API writes it."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
