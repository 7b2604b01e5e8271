"""One session from its registration to its end: it waits for one job, claims it, and stays to hear of a cancellation.

    STARTING -> LISTENING <-> HOLDING -> CLAIMING -> BUSY -> CLOSING        (any waiting state -> CLOSING)

A registration is good for one job, so a session that claimed one never waits again; the pool opens a successor as soon
as the claim begins.
"""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Admission, Reservation
from actions_gateway.agent.sessions.claiming import Claimer
from actions_gateway.agent.sessions.connection import Connection, RegistrationSpent
from actions_gateway.agent.sessions.deliveries import Deliveries, Waiting
from actions_gateway.agent.sessions.holding import Hold, after_poll
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.polling import DEAD_SESSION, Conversation, Poller
from actions_gateway.agent.sessions.throttling import Call, Throttle
from actions_gateway.agent.signals import first_of, within
from actions_gateway.github.broker import RunnerStatus
from actions_gateway.github.errors import GitHubError, RegistrationLost
from actions_gateway.github.messages import ForceTokenRefresh, JobCancellation, JobRequest
from actions_gateway.github.restmodels import Registration

log = structlog.get_logger(__name__)

T = TypeVar("T")

_KILL_LEAD_SECONDS = 15.0
"""So long before GitHub's own timeout the stock listener kills a cancelled worker (actions/runner
`src/Runner.Listener/JobDispatcher.cs`)."""


class SessionState(StrEnum):
    """What a session is doing."""

    STARTING = "starting"
    LISTENING = "listening"
    HOLDING = "holding"
    CLAIMING = "claiming"
    BUSY = "busy"
    CLOSING = "closing"


class End(StrEnum):
    """Why a session ended."""

    CLOSED = "closed"
    """It was asked to, or heard nothing for a while."""
    JOB_ENDED = "job ended"
    SPENT = "spent"
    """Its registration no longer works."""
    REJECTED = "rejected"
    """Its new registration never worked."""
    FAILED = "failed"
    """It could not be opened, or GitHub refuses its kind."""


class Closing(Exception):
    """The session was asked to close."""


class SessionOwner(Protocol):
    """What a session asks of its pool."""

    def changed(self) -> None:
        """The session's state moved."""

    def opened(self) -> None:
        """The session waits for work now."""

    def heard(self) -> None:
        """GitHub answered a poll of the session."""

    def may_drain(self) -> bool:
        """Whether a session that hears nothing is one too many; a yes gives its place among the waiting ones up."""

    def accept(self, claimed: ClaimedJob) -> None:
        """Takes over a claimed job."""


class RunnerSession:
    """One session; `run` is its task."""

    def __init__(
        self,
        owner: SessionOwner,
        group: Group,
        admission: Admission,
        deliveries: Deliveries,
        parts: SessionParts,
        throttle: Throttle,
    ) -> None:
        self._owner = owner
        self._throttle = throttle
        self._group = group
        self._admission = admission
        self._deliveries = deliveries
        self._parts = parts
        basics = self._basics = parts.basics
        self._clock = basics.clock
        self._tunables = basics.tunables
        self._close_requested = asyncio.Event()
        self._registration: Registration | None = None
        self._connection: Connection | None = None
        self._conversation: Conversation | None = None
        self.labels = tuple(group.settings.runner_labels)
        """What its runner is registered with."""
        self._is_used = False
        """The registration has had its job: GitHub removes it."""
        self.state = SessionState.STARTING
        self.problem: GitHubError | None = None
        """Why it failed."""

    def close(self) -> None:
        """Asks the session to close; a claim is carried to its end first."""
        self._close_requested.set()

    @property
    def is_closing(self) -> bool:
        """Whether it was asked to close, or closes by itself."""
        return self._close_requested.is_set() or self.state is SessionState.CLOSING

    async def run(self) -> End:
        """Registers, waits, works and closes; raises nothing but cancellation."""
        bound = log.bind(runner_group=self._group.name)
        try:
            return await self._live()
        except Closing:
            return End.CLOSED
        except RegistrationSpent as problem:
            bound.info("registration spent", reason=str(problem))
            return End.SPENT
        except GitHubError as problem:
            self.problem = problem
            bound.warning("session failed", problem=str(problem))
            return End.FAILED
        finally:
            self._to(SessionState.CLOSING)
            await self._clean_up()

    async def _live(self) -> End:
        token = await self._unless_closing(self._parts.tokens.get())
        if not self._admission.is_open:
            # From the moment a group is closed no registration begins, so that its status may say that none is left.
            raise Closing
        # Not cut short: a registration whose answer is not awaited would be left behind.
        with self._throttle.noting(Call.REGISTRATION):
            registration = await self._parts.registrar.register(self._group.name, self._group.uid, self.labels, token)
        self._registration = registration
        connection = self._connection = Connection(registration, self._parts)
        try:
            with self._throttle.noting(Call.SESSION):
                await self._unless_closing(connection.open())
        except (*DEAD_SESSION, RegistrationLost) as problem:
            self.problem = problem
            log.warning("new runner rejected", runner_group=self._group.name, problem=str(problem))
            return End.REJECTED
        self._to(SessionState.LISTENING)
        self._owner.opened()
        self._conversation = Conversation(Poller(connection, self._group.name, self._parts, self._throttle))
        return await self._listen(self._conversation, Claimer(connection, self._group, self._parts))

    async def _clean_up(self) -> None:
        if self._conversation is not None:
            await self._conversation.stop()
        if not await within(self._tunables.session_close_seconds, self._close_at_github(), self._clock):
            log.warning("session not closed in time", runner_group=self._group.name)

    async def _close_at_github(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._registration is not None and not self._is_used:
            await self._parts.registrar.remove(self._registration)

    # -- waiting -------------------------------------------------------------------------------------------------

    async def _listen(self, conversation: Conversation, claimer: Claimer) -> End:
        empty_polls = 0
        while True:
            await self._unless_closing(conversation.arrived(RunnerStatus.ONLINE))
            message = conversation.take()
            self._owner.heard()
            match message:
                case JobRequest() as request:
                    empty_polls = 0
                    job = await self._serve(request, conversation, claimer)
                    if job is not None:
                        self._owner.accept(job)
                        await self._accompany(job, conversation)
                        return End.JOB_ENDED
                case ForceTokenRefresh():
                    self._forget_token()
                case None:
                    empty_polls += 1
                    if empty_polls >= self._tunables.empty_polls_before_drain and self._owner.may_drain():
                        return End.CLOSED
                case _:
                    log.debug("message ignored", runner_group=self._group.name, message=type(message).__name__)

    async def _serve(self, request: JobRequest, conversation: Conversation, claimer: Claimer) -> ClaimedJob | None:
        """Claims the delivered job, at once or when a place is free; None when it is not to be ours."""
        waiting = self._deliveries.seen(request.request_id, self._clock.monotonic())
        if waiting.is_claiming:
            # Another session of the group is at it.
            await self._pause()
            return None
        reservation = self._admission.reserve()
        if reservation is not None:
            return await self._claim(request, waiting, reservation, claimer)
        self._to(SessionState.HOLDING)
        held = await self._hold(Hold(request, self._clock.monotonic(), self._clock.monotonic()), conversation)
        if held is not None:
            return await self._claim(*held, claimer)
        self._to(SessionState.LISTENING)
        return None

    async def _hold(
        self, hold: Hold | None, conversation: Conversation
    ) -> tuple[JobRequest, Waiting, Reservation] | None:
        """Waits for a place for the held job; None when its offer is over before there is one."""
        while hold is not None:
            places = self._admission.changed.next
            waiting = self._deliveries.seen(hold.request.request_id, self._clock.monotonic())
            waiting.hold(self._clock.monotonic())
            try:
                if not waiting.is_claiming and (reservation := self._admission.reserve()) is not None:
                    return hold.request, waiting, reservation
                hold = await self._hold_on(hold, conversation, places)
            finally:
                waiting.unhold(self._clock.monotonic())
        return None

    async def _hold_on(self, hold: Hold, conversation: Conversation, places: asyncio.Event) -> Hold | None:
        """One wait: for a place, for the next poll or its answer, for the end of the offer."""
        now = self._clock.monotonic()
        left = hold.window_left(now, window_seconds=self._tunables.claim_window_seconds)
        if left <= 0:
            return None
        due = hold.poll_due_in(now, interval_seconds=self._tunables.hold_poll_interval_seconds)
        waits: list[Coroutine[Any, Any, object]] = [places.wait(), self._close_requested.wait()]
        if conversation.is_open or due <= 0:
            waits += [conversation.arrived(RunnerStatus.ONLINE), self._clock.sleep(left)]
        else:
            waits.append(self._clock.sleep(min(due, left)))
        await first_of(*waits)
        if self._close_requested.is_set():
            raise Closing
        return after_poll(hold, conversation.take(), self._clock.monotonic()) if conversation.has_arrived else hold

    async def _claim(
        self, request: JobRequest, waiting: Waiting, reservation: Reservation, claimer: Claimer
    ) -> ClaimedJob | None:
        waiting.is_claiming = True
        self._to(SessionState.CLAIMING)
        job = None
        try:
            job = await claimer.claim(request, reservation, waiting)
        finally:
            waiting.is_claiming = False
            if job is None:
                reservation.release()
        if job is None:
            self._to(SessionState.LISTENING)
            await self._pause()
            return None
        self._is_used = True
        self._deliveries.claimed(request.request_id)
        self._to(SessionState.BUSY)
        return job

    async def _pause(self) -> None:
        await self._unless_closing(self._clock.sleep(self._tunables.refused_claim_pause_seconds))

    # -- busy ----------------------------------------------------------------------------------------------------

    async def _accompany(self, job: ClaimedJob, conversation: Conversation) -> None:
        """Listens for a cancellation until the job's worker has ended."""
        line, is_connected = job.line, True
        while not line.ended.is_set() and not self._close_requested.is_set():
            waits: list[Coroutine[Any, Any, object]] = [line.ended.wait(), self._close_requested.wait()]
            if is_connected:
                waits.append(conversation.arrived(RunnerStatus.BUSY))
            await first_of(*waits)
            if is_connected and conversation.has_arrived:
                is_connected = self._hear(job, conversation)

    def _hear(self, job: ClaimedJob, conversation: Conversation) -> bool:
        """Takes a busy session's message; False when it hears no more, which a worker that has reported causes, too."""
        try:
            message = conversation.take()
        except (RegistrationSpent, GitHubError) as problem:
            log.info("busy session lost", runner_group=self._group.name, reason=str(problem))
            return False
        match message:
            case JobCancellation(job_id=job_id, timeout_seconds=timeout) if job_id.lower() == job.job_id.lower():
                job.line.cancel(self._clock.now() + timedelta(seconds=timeout - _KILL_LEAD_SECONDS))
            case ForceTokenRefresh():
                self._forget_token()
            case _:
                pass
        return True

    # -- common --------------------------------------------------------------------------------------------------

    def _forget_token(self) -> None:
        if self._connection is not None:
            self._connection.forget_token()

    def _to(self, state: SessionState) -> None:
        if state is not self.state:
            self.state = state
            self._owner.changed()

    async def _unless_closing(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; abandons it and raises Closing when the session is asked to close."""
        task, closing = asyncio.ensure_future(work), asyncio.ensure_future(self._close_requested.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            if self._close_requested.is_set():
                raise Closing
            return task.result()
        finally:
            for future in (task, closing):
                future.cancel()
            await asyncio.gather(task, closing, return_exceptions=True)
