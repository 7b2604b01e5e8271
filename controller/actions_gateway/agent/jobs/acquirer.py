"""The seam between how a job is claimed and how it is carried to its end.

An acquirer takes its capacity from the group's `Admission` and hands over each job it has claimed; the classic protocol
(`agent.sessions`) is one. After the hand-over the two sides speak through the job's `Line` only.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from actions_gateway.agent.jobs.admission import Reservation
from actions_gateway.agent.jobs.slots import Slot
from actions_gateway.agent.signals import Signal
from actions_gateway.api.waits import WaitReason
from actions_gateway.github.payload import RunIdentity


class Line:
    """What may be said about a claimed job after its claim."""

    def __init__(self) -> None:
        self.changed = Signal()
        self.cancel_deadline: datetime | None = None
        """By when the worker must have ended by itself; None while nobody cancelled the job."""
        self.ended = asyncio.Event()
        """The worker has ended; nothing said afterwards matters."""

    def cancel(self, deadline: datetime) -> None:
        """A person cancelled the job; the first deadline counts."""
        if self.cancel_deadline is None:
            self.cancel_deadline = deadline
            self.changed.notify()


class JobService(Protocol):
    """The job as its service keeps it. Both calls raise GitHubError."""

    async def renew(self) -> datetime | None:
        """Extends the lock and returns its end, None when the service named none; LockLost when it is gone."""

    async def complete(self, conclusion: str, *, title: str, message: str) -> bool:
        """Ends the job in place of its worker, with an annotation that people see; False when it has concluded."""


@dataclass(frozen=True, slots=True, eq=False)
class ClaimedJob:
    """A job that is ours, with its slot's Secret, which still lacks the worker's keys unless the job is adopted."""

    plan_id: str
    job_id: str
    """What a cancellation names."""
    request_id: str
    runner_name: str
    identity: RunIdentity
    """The workflow run it belongs to; nothing secret."""
    worker_keys: Mapping[str, bytes] = field(repr=False)
    """For the Secret; none at all when the job is too large for one."""
    slot: Slot
    reservation: Reservation
    service: JobService
    claimed: float
    """Seconds of the monotonic clock, as the next one."""
    first_delivered: float
    held_seconds: float
    """Of the time since the first delivery: what passed because the group was at its ceiling."""
    is_adopted: bool = False
    """An earlier agent process claimed it, and the slot holds the worker's keys."""
    refusal: str = ""
    """Why its worker must not run it and fails it with these words; empty when it may."""
    line: Line = field(default_factory=Line)


@dataclass(frozen=True, slots=True)
class AcquirerState:
    """What an acquirer is doing now."""

    listening: int = 0
    """Open sessions that can take a job; those that hold one are not among them."""
    holding: int = 0
    busy: int = 0
    """Sessions whose job is being claimed or runs."""
    pending_jobs: int = 0
    """Jobs that were delivered and are not claimed."""
    problem: str = ""
    """Why sessions cannot be opened at present; empty when they can."""
    silence: str = ""
    """Why no open session hears of jobs at present; empty while one may."""
    version_problem: str = ""
    """What the service says of a runner version that it no longer serves; empty when it serves it."""
    rejection: str = ""
    """Why runners, and the new ones in their place, are rejected; empty when they are not."""
    limited_since: float | None = None
    """From when on GitHub has limited the requests without a good answer (monotonic clock); None while it answers."""
    oldest: Mapping[WaitReason, float] = field(default_factory=dict)
    """When the first of the unclaimed jobs was delivered, by the reasons that there are (monotonic clock)."""
    unheld: Mapping[WaitReason, float] = field(default_factory=dict)
    """The same without the time for which the group's own ceiling held jobs that wait for something else now."""
    waiting: Mapping[WaitReason, int] = field(default_factory=dict)
    """How many jobs that is, by the same reasons."""

    @property
    def active(self) -> int:
        """Open sessions that can take a job."""
        return self.listening + self.holding


class Acquirer(Protocol):
    """A source of claimed jobs for one group."""

    @property
    def state(self) -> AcquirerState:
        """What it does now."""

    async def run(self) -> None:
        """Claims jobs as admission allows, until `close` has been called and everything idle is closed."""

    async def close(self) -> None:
        """Claims nothing more and closes what is open; returns when that is done."""
