"""One session from its registration to its end: it waits for one job, claims it, and stays to hear of a cancellation.

    STARTING -> READY -> OPENING -> LISTENING <-> HOLDING -> CLAIMING -> BUSY -> CLOSING  (any waiting state -> CLOSING)

A registration is good for one job, so a session that claimed one never waits again; the pool gives a successor its turn
as soon as the claim begins.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Admission, Reservation
from actions_gateway.agent.sessions.accompanying import accompany
from actions_gateway.agent.sessions.claiming import Claimer
from actions_gateway.agent.sessions.connection import Connection, DeliveryOver, RegistrationSpent
from actions_gateway.agent.sessions.deliveries import Deliveries, Waiting
from actions_gateway.agent.sessions.holding import Hold, after_poll
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.polling import DEAD_SESSION, Conversation, Poller
from actions_gateway.agent.sessions.throttling import Call, Throttle
from actions_gateway.agent.signals import first_of, within
from actions_gateway.api.waits import WaitReason
from actions_gateway.github.broker import RunnerStatus
from actions_gateway.github.errors import GitHubError, RegistrationLost
from actions_gateway.github.messages import ForceTokenRefresh, JobRequest
from actions_gateway.github.restmodels import Registration
from actions_gateway.metrics.catalog import JOBS_ADMISSION_REJECTED

log = structlog.get_logger(__name__)

T = TypeVar("T")


class SessionState(StrEnum):
    """What a session is doing."""

    STARTING = "starting"
    """Its runner is being registered."""
    READY = "ready"
    """It could open, and waits for its turn."""
    OPENING = "opening"
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
    DELIVERY_OVER = "delivery over"
    """It was given a job that another runner has."""
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

    def changed(self, session: "RunnerSession") -> None:
        """The session's state moved, or what it waits for."""

    def opened(self) -> None:
        """The session waits for work now."""

    def heard(self) -> None:
        """GitHub answered a poll of the session."""

    def may_drain(self, empty_polls: int) -> bool:
        """Whether a session that so many polls in a row brought nothing is one too many, and closes now."""

    def delivered(self) -> None:
        """The session has a job that it may claim."""

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
        self._closable: asyncio.Timeout | None = None
        """What it does that a request to close cuts short."""
        self._turn = asyncio.Event()
        self._registration: Registration | None = None
        self._connection: Connection | None = None
        self._conversation: Conversation | None = None
        self._poller: Poller | None = None
        self.labels = tuple(group.settings.runner_labels)
        """What its runner is registered with."""
        self._is_used = False
        """The registration has had its job: GitHub removes it."""
        self.state = SessionState.STARTING
        self.problem: GitHubError | None = None
        """Why it failed."""

    def close(self) -> None:
        """Asks the session to close; a claim is carried to its end first."""
        if not self._close_requested.is_set() and self._closable is not None:
            self._closable.reschedule(0.0)
        self._close_requested.set()

    def take_turn(self) -> None:
        """Lets the session open as soon as it is ready."""
        self._turn.set()

    @property
    def has_turn(self) -> bool:
        """Whether it is one of those that wait for work, or is about to be."""
        return self._turn.is_set()

    @property
    def is_closing(self) -> bool:
        """Whether it was asked to close, or closes by itself."""
        return self._close_requested.is_set() or self.state is SessionState.CLOSING

    @property
    def unanswered(self) -> GitHubError | None:
        """What keeps its polls from an answer; None while GitHub answers, and before the first."""
        return self._poller.unanswered if self._poller else None

    async def run(self) -> End:
        """Registers, waits, works and closes; raises nothing but cancellation."""
        bound = log.bind(runner_group=self._group.name)
        try:
            return await self._live()
        except Closing:
            return End.CLOSED
        except DeliveryOver as problem:
            bound.info("delivery over", reason=str(problem))
            return End.DELIVERY_OVER
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
        turn = await self._unless_closing(self._parts.registrar.turn(self._group.uid))
        if not self._admission.is_open:
            # From the moment a group is closed no registration begins, so that its status may say that none is left.
            raise Closing
        # Not cut short: a registration whose answer is not awaited would be left behind.
        with self._throttle.noting(Call.REGISTRATION):
            group = self._group
            registration = await self._parts.registrar.register(group.name, group.uid, self.labels, token, turn)
        self._registration = registration
        connection = self._connection = Connection(registration, self._parts)
        try:
            with self._throttle.noting(Call.SESSION):
                await self._unless_closing(connection.prepare())
            self._to(SessionState.READY)
            await self._unless_closing(self._turn.wait())
            self._to(SessionState.OPENING)
            with self._throttle.noting(Call.SESSION):
                await self._unless_closing(connection.open())
        except (*DEAD_SESSION, RegistrationLost) as problem:
            self.problem = problem
            log.warning("new runner rejected", runner_group=self._group.name, problem=str(problem))
            return End.REJECTED
        self._to(SessionState.LISTENING)
        self._owner.opened()
        self._poller = Poller(
            connection,
            self._group.name,
            self._parts,
            self._throttle,
            on_turn=lambda: self._owner.changed(self),
        )
        self._conversation = Conversation(self._poller)
        return await self._listen(self._conversation, Claimer(connection, self._group, self._parts))

    async def _clean_up(self) -> None:
        if self._conversation is not None:
            await self._conversation.stop()
        if not await within(self._tunables.session_close_seconds, self._close_at_github(), self._clock):
            log.warning("session not closed in time", runner_group=self._group.name)
            if self._registration is not None and not self._is_used:
                self._parts.registrar.remove_later(self._registration)

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
                        await accompany(
                            job,
                            conversation,
                            close_requested=self._close_requested,
                            forget_token=self._forget_token,
                            clock=self._clock,
                            group=self._group.name,
                        )
                        return End.JOB_ENDED
                case ForceTokenRefresh():
                    self._forget_token()
                case None:
                    empty_polls += 1
                    if self._owner.may_drain(empty_polls):
                        return End.CLOSED
                case _:
                    log.debug("message ignored", runner_group=self._group.name, message=type(message).__name__)

    async def _serve(self, request: JobRequest, conversation: Conversation, claimer: Claimer) -> ClaimedJob | None:
        """Claims the delivered job, at once or when admission lets it; None when it is not to be ours."""
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
        """Waits until the held job may be claimed; None when its offer is over before."""
        told = ""
        while hold is not None:
            woken = self._admission.changed.next, self._admission.headroom.moved.next
            waiting = self._deliveries.seen(hold.request.request_id, self._clock.monotonic())
            if not waiting.is_claiming and (reservation := self._admission.reserve()) is not None:
                return hold.request, waiting, reservation
            if (reason := self._admission.blocked_by) is not None:
                waiting.hold(self._clock.monotonic(), reason)
                if told != hold.request.request_id:
                    self._held(hold.request, reason)
                told = hold.request.request_id
                # How long it waits shows in the group's status, which looks only at changes.
                self._owner.changed(self)
            try:
                hold = await self._hold_on(hold, conversation, woken)
            finally:
                waiting.unhold(self._clock.monotonic())
        return None

    def _held(self, request: JobRequest, reason: WaitReason) -> None:
        labels = self._basics.labels_of(self._group.name)
        self._basics.metrics.inc(JOBS_ADMISSION_REJECTED, 1, **labels, reason=reason.value)
        detail = self._admission.shortage if reason is WaitReason.QUOTA else None
        log.info("job held", **labels, request_id=request.request_id, reason=reason.value, detail=detail)

    async def _hold_on(self, hold: Hold, conversation: Conversation, woken: Iterable[asyncio.Event]) -> Hold | None:
        """One wait: until the job may be claimed, for the next poll or its answer, for the end of the offer."""
        now = self._clock.monotonic()
        left = hold.window_left(now, window_seconds=self._tunables.claim_window_seconds)
        if left <= 0:
            return None
        due = hold.poll_due_in(now, interval_seconds=self._tunables.hold_poll_interval_seconds)
        left = min(left, self._admission.backoff_left_seconds or left)
        waits: list[Coroutine[Any, Any, object]] = [event.wait() for event in (*woken, self._close_requested)]
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
        waiting.claim()
        self._owner.delivered()
        self._to(SessionState.CLAIMING)
        job = None
        try:
            job = await claimer.claim(request, reservation, waiting)
        except DeliveryOver as problem:
            self._deliveries.claimed(request.request_id)
            if problem.is_duplicate and self._registration is not None:
                self._is_used = True
                self._parts.registrar.ended(self._registration.name)
            raise
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

    # -- common --------------------------------------------------------------------------------------------------

    def _forget_token(self) -> None:
        if self._connection is not None:
            self._connection.forget_token()

    def _to(self, state: SessionState) -> None:
        if state is not self.state:
            self.state = state
            self._owner.changed(self)

    async def _unless_closing(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; abandons it and raises Closing when the session is asked to close."""
        # Not a task beside one that waits for the request: hundreds of sessions wait here.
        try:
            async with asyncio.timeout(0.0 if self._close_requested.is_set() else None) as self._closable:
                result = await work
        except Exception:
            if not self._close_requested.is_set():
                raise
        finally:
            self._closable = None
        if self._close_requested.is_set():
            raise Closing
        return result
