"""The records of the simulated GitHub: runners, sessions, deliveries, jobs and runs, with the states they pass through.

    runner    IDLE -> ASSIGNED -> BUSY -> CONSUMED -> DELETED   (ASSIGNED -> IDLE; any but BUSY -> DELETED)
    delivery  OFFERED -> ACQUIRED -> RESOLVED                   (OFFERED -> VOID: lease or session over, cancelled)
    job       WAITING -> QUEUED -> OFFERED -> ACQUIRED -> STARTED -> CONCLUDED

Moments named `*_at` are aware UTC times; `*_due` and `*_seen` are seconds of the monotonic clock.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway_sandbox.github.timers import Timer
from gateway_sandbox.runner.workflow import PlannedJob


class RunnerState(StrEnum):
    IDLE = "idle"
    ASSIGNED = "assigned"
    BUSY = "busy"
    CONSUMED = "consumed"
    DELETED = "deleted"


class DeliveryState(StrEnum):
    OFFERED = "offered"
    ACQUIRED = "acquired"
    RESOLVED = "resolved"
    VOID = "void"


class JobState(StrEnum):
    WAITING = "waiting"
    QUEUED = "queued"
    OFFERED = "offered"
    ACQUIRED = "acquired"
    STARTED = "started"
    CONCLUDED = "concluded"


class Reach(NamedTuple):
    """Whom a runner serves, or what a job asks for: an account or `account/repository`, and lower-case labels."""

    scope: str
    labels: frozenset[str]

    def serves(self, job: "Reach") -> bool:
        return self.labels >= job.labels and self.scope in (job.scope, job.scope.partition("/")[0])


class Message(NamedTuple):
    """One broker message; `body` is the inner document, still unencoded."""

    message_id: int
    message_type: str
    body: dict[str, Any]


class Silence(StrEnum):
    """Polls that end without a message."""

    NOTHING = "nothing"
    STALE = "stale"
    """The empty 200 of a session whose runner is spent."""


@dataclass(slots=True, eq=False)
class Runner:
    id: int
    name: str
    scope: str
    labels: tuple[str, ...]
    group_id: int
    client_id: str
    public_key: RSAPublicKey
    registered_due: float
    """From when the token endpoint knows the client."""
    state: RunnerState = RunnerState.IDLE
    session: "Session | None" = None
    delivery: "Delivery | None" = None
    polled_seen: float | None = None
    stale_polls: int = 0
    assertion_ids: set[str] = field(default_factory=set)
    reach: Reach = field(init=False)

    def __post_init__(self) -> None:
        self.reach = Reach(self.scope, frozenset(label.lower() for label in self.labels))


@dataclass(slots=True, eq=False)
class Session:
    id: str
    runner: Runner
    owner_name: str
    last_seen: float
    is_active: bool = True
    outbox: deque[Message] = field(default_factory=deque)
    """Messages other than jobs; the first one leaves when its reply has been written."""
    poll: "Poll | None" = None


@dataclass(slots=True, eq=False)
class Poll:
    session: Session
    order: int
    is_online: bool
    """Whether it may carry a job: only polls with status Online do."""
    outcome: asyncio.Future[Any]
    """A `Message`, a `Silence`, or the refusal to raise."""
    timer: Timer | None = None


@dataclass(slots=True, eq=False)
class Delivery:
    """One offer of one job to one session, under one request id."""

    request_id: str
    job: "Job"
    runner: Runner
    offered_seen: float
    state: DeliveryState = DeliveryState.OFFERED
    is_acknowledged: bool = False
    is_started: bool = False
    offer_count: int = 0
    result: str | None = None
    """GitHub's conclusion for what the completion said, "skipped" kept apart."""
    token: str = ""
    lock_due: float = 0.0
    unstarted_due: float = 0.0
    lease: Timer | None = None
    lock: Timer | None = None


@dataclass(slots=True, eq=False)
class Job:
    id: int
    run: "Run"
    plan: PlannedJob
    attempt: int
    plan_id: str
    uuid: str
    """The payload's `jobId`."""
    created_at: datetime
    state: JobState = JobState.WAITING
    waiting_for: str | None = None
    is_cancelling: bool = False
    completion_count: int = 0
    """Completions that were accepted."""
    fanout: int = 1
    queue_order: int = 0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    conclusion: str | None = None
    runner: Runner | None = None
    timers: list[Timer] = field(default_factory=list)
    """What is pointless once the job has ended."""
    deliveries: list[Delivery] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    reach: Reach = field(init=False)

    def __post_init__(self) -> None:
        self.reach = Reach(self.run.repository, frozenset(label.lower() for label in self.plan.labels))

    @property
    def is_done(self) -> bool:
        return self.state is JobState.CONCLUDED

    @property
    def status(self) -> str:
        """GitHub's word for the state."""
        match self.state:
            case JobState.WAITING | JobState.QUEUED | JobState.OFFERED:
                return "queued"
            case JobState.ACQUIRED | JobState.STARTED:
                return "in_progress"
            case JobState.CONCLUDED:
                return "completed"


@dataclass(slots=True, eq=False)
class Run:
    id: int
    number: int
    repository: str
    path: str
    name: str
    sha: str
    created_at: datetime
    source: str | None = None
    """The checkout that `actions/checkout` lays out; only the sandbox knows such a thing."""
    notices: tuple[str, ...] = ()
    """What the workflow file asks for and the sandbox ignores."""
    attempt: int = 1
    attempt_started_at: datetime | None = None
    is_cancelled: bool = False
    completed_at: datetime | None = None
    jobs: list[Job] = field(default_factory=list)
    """The latest attempt, in the file's order; jobs that a rerun left alone are carried over."""
    earlier_jobs: list[Job] = field(default_factory=list)

    @property
    def status(self) -> str:
        if all(job.is_done for job in self.jobs):
            return "completed"
        return "queued" if all(job.status == "queued" for job in self.jobs) else "in_progress"

    @property
    def conclusion(self) -> str | None:
        """None until completed; failure before cancelled before success."""
        if self.status != "completed":
            return None
        found = {
            job.conclusion for job in self.jobs if not (job.plan.continue_on_error and job.conclusion == "failure")
        }
        if self.is_cancelled and "failure" not in found:
            return "cancelled"
        return next(
            (word for word in ("failure", "cancelled", "success") if word in found),
            "success" if not found else "skipped",
        )
