"""The sessions of one group: the classic protocol's acquirer.

One task looks at what there is and what there should be, after every change: it opens successors, grows with the load,
closes what is one too many, and waits out failures. It owns the sessions; their own state moves by themselves.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import AcquirerState, ClaimedJob
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.sessions.deliveries import Deliveries
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.session import End, RunnerSession, SessionState
from actions_gateway.agent.sessions.sizing import Growth, wanted_sessions
from actions_gateway.agent.sessions.throttling import Call, Throttle
from actions_gateway.agent.signals import Signal, first_of
from actions_gateway.metrics.catalog import ACTIVE_SESSIONS, AGENT_RECYCLE_ERRORS, AGENT_RECYCLES, LISTENER_SLOTS

log = structlog.get_logger(__name__)

_CLOSE_ORDER = (SessionState.STARTING, SessionState.LISTENING, SessionState.HOLDING)
"""Who waits, and who of them goes first: the one with the least to lose."""

_SLOT_STATES = {
    SessionState.STARTING: "recycling",
    SessionState.LISTENING: "polling",
    SessionState.HOLDING: "holding",
    SessionState.CLAIMING: "busy",
    SessionState.BUSY: "busy",
    SessionState.CLOSING: "recycling",
}
"""The values of the metric's label."""

_IDLE_SECONDS = 3600.0


class SessionPool:
    """An `Acquirer`."""

    def __init__(
        self,
        group: Group,
        admission: Admission,
        parts: SessionParts,
        *,
        accept: Callable[[ClaimedJob], None],
        on_change: Callable[[], None],
    ) -> None:
        self._group = group
        self._admission = admission
        self._parts = parts
        basics = self._basics = parts.basics
        self._clock = basics.clock
        self._accept = accept
        self._on_change = on_change
        self._deliveries = Deliveries(memory_seconds=basics.tunables.delivery_memory_seconds)
        self._sessions: list[RunnerSession] = []
        """Oldest first."""
        self._throttle = Throttle(self._clock, on_change=on_change)
        self._growth = Growth()
        self._failures = 0
        self._not_before = 0.0
        self._problem = ""
        self._owed: list[str] = []
        """Why registrations that broke are to be replaced; the values of the metric's label."""
        self._is_closing = False
        self._changed = Signal()
        self._finished = asyncio.Event()
        self._labels = basics.labels_of(group.name)

    # -- as an acquirer ------------------------------------------------------------------------------------------

    @property
    def state(self) -> AcquirerState:
        """What the sessions do now; those that close do not count."""
        states = Counter(session.state for session in self._sessions if not session.is_closing)
        return AcquirerState(
            listening=states[SessionState.LISTENING],
            holding=states[SessionState.HOLDING],
            busy=states[SessionState.CLAIMING] + states[SessionState.BUSY],
            pending_jobs=self._deliveries.count(self._clock.monotonic()),
            problem=self._problem,
            limited_since=self._throttle.limited_since,
        )

    async def run(self) -> None:
        """Keeps the sessions until `close` was called and all of them have ended."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while not (self._is_closing and not self._sessions):
                    changed, places = self._changed.next, self._admission.changed.next
                    self._adjust(tasks)
                    wait = self._not_before - self._clock.monotonic()
                    await first_of(
                        changed.wait(), places.wait(), self._clock.sleep(wait if wait > 0 else _IDLE_SECONDS)
                    )
        finally:
            self._finished.set()

    async def close(self) -> None:
        """Closes every session, busy ones included (their jobs go on), and returns when they have ended."""
        self._is_closing = True
        self._changed.notify()
        await self._finished.wait()

    # -- as the sessions' owner ----------------------------------------------------------------------------------

    def changed(self) -> None:
        """A session's state moved."""
        self._report()
        self._changed.notify()
        self._on_change()

    def opened(self) -> None:
        """A session could be opened; if it takes the place of a broken one, that one is replaced."""
        self._problem = ""
        if self._owed:
            self._basics.metrics.inc(AGENT_RECYCLES, 1, **self._labels, trigger=self._owed.pop(0))

    def heard(self) -> None:
        """GitHub answered a poll: failures are over."""
        self._failures = 0

    def may_drain(self) -> bool:
        """Whether a waiting session more than the last one waits; the caller closes then."""
        # One that is still being opened cannot stand in: it may never get there.
        if self.state.active <= 1:
            return False
        self._growth = self._growth.drained()
        return True

    def accept(self, claimed: ClaimedJob) -> None:
        """Hands a claimed job on; its session's registration is used up."""
        self._growth = self._growth.delivered(self._group.settings.max_listeners)
        self._basics.metrics.inc(AGENT_RECYCLES, 1, **self._labels, trigger="post_job")
        self._accept(claimed)

    # -- sizing --------------------------------------------------------------------------------------------------

    def _waiting(self) -> list[RunnerSession]:
        return [session for session in self._sessions if session.state in _CLOSE_ORDER and not session.is_closing]

    def _adjust(self, tasks: asyncio.TaskGroup) -> None:
        for session in self._waiting():
            if session.labels != tuple(self._group.settings.runner_labels):
                session.close()
        waiting = self._waiting()
        wanted = wanted_sessions(
            self._growth,
            max_listeners=self._group.settings.max_listeners,
            free_places=self._admission.free,
            is_open=self._admission.is_open and not self._is_closing,
        )
        if len(waiting) > wanted:
            self._close(waiting, len(waiting) - wanted)
        elif self._clock.monotonic() >= self._not_before:
            for _ in range(self._startable(waiting, wanted)):
                self._start(tasks)
        self._forget_limits(wanted)
        if self._is_closing:
            for session in self._sessions:
                session.close()
        self._report()

    def _startable(self, waiting: list[RunnerSession], wanted: int) -> int:
        if not self._failures:
            return wanted - len(waiting)
        # After a failure one session tries the ground first.
        is_trying = any(session.state is SessionState.STARTING for session in waiting)
        return 0 if is_trying else min(1, wanted - len(waiting))

    def _forget_limits(self, wanted: int) -> None:
        """A limit ends, too, when what it was on is not asked for any more."""
        if self.state.active >= wanted and not any(one.state is SessionState.STARTING for one in self._sessions):
            self._throttle.relieved(Call.REGISTRATION, Call.SESSION)
        if not self._sessions and not wanted:
            self._throttle.relieved(Call.POLL)

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        session = RunnerSession(self, self._group, self._admission, self._deliveries, self._parts, self._throttle)
        self._sessions.append(session)
        tasks.create_task(self._run(session), name=f"session {self._group.name}")

    def _close(self, waiting: list[RunnerSession], count: int) -> None:
        # Among equals the newest goes first, so that the oldest hold is kept.
        newest_first = list(reversed(waiting))
        candidates = sorted(newest_first, key=lambda session: _CLOSE_ORDER.index(session.state))
        for session in candidates[:count]:
            session.close()

    async def _run(self, session: RunnerSession) -> None:
        end = End.FAILED
        try:
            end = await session.run()
        except Exception:
            log.exception("session task failed", runner_group=self._group.name)
        finally:
            self._sessions.remove(session)
        self._ended(session, end)
        self.changed()

    def _ended(self, session: RunnerSession, end: End) -> None:
        match end:
            case End.CLOSED | End.JOB_ENDED:
                return  # by intention
            case End.SPENT:
                self._owed.append("stale_session")
            case End.REJECTED:
                self._owed.append("startup")
            case End.FAILED:
                self._basics.metrics.inc(AGENT_RECYCLE_ERRORS, 1, **self._labels)
        self._back_off(session)

    def _back_off(self, session: RunnerSession) -> None:
        self._failures += 1
        self._problem = str(session.problem) if session.problem else "a session ended unexpectedly"
        pause = self._basics.tunables.start_backoff.delay_seconds(self._failures, self._basics.rng)
        asked = session.problem.retry_after_seconds if session.problem else None
        self._not_before = self._clock.monotonic() + max(pause, asked or 0.0)

    def _report(self) -> None:
        metrics, state = self._basics.metrics, self.state
        slots = Counter(_SLOT_STATES[session.state] for session in self._sessions)
        for name in set(_SLOT_STATES.values()):
            metrics.set(LISTENER_SLOTS, slots[name], **self._labels, state=name)
        metrics.set(ACTIVE_SESSIONS, state.active, **self._labels)
