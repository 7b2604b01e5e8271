"""The sessions of one group: the classic protocol's acquirer.

One task looks at what there is and what there should be, after every change: it prepares successors and gives them
their turn, grows with the load, closes what is one too many, and waits out failures. It owns the sessions; their own
state moves by themselves.
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
from actions_gateway.api.conditions import NO_ANSWER
from actions_gateway.github.errors import ServerError, Unreachable, VersionTooOld
from actions_gateway.metrics.catalog import ACTIVE_SESSIONS, AGENT_RECYCLE_ERRORS, AGENT_RECYCLES, LISTENER_SLOTS

log = structlog.get_logger(__name__)

_UNOPENED = (SessionState.STARTING, SessionState.READY, SessionState.OPENING)
_OPEN = (SessionState.LISTENING, SessionState.HOLDING)
_CLOSE_ORDER = (*_UNOPENED, *_OPEN)
"""Who waits or will, and who of them goes first: the one with the least to lose."""

_SLOT_STATES = {
    SessionState.STARTING: "recycling",
    SessionState.READY: "recycling",
    SessionState.OPENING: "recycling",
    SessionState.LISTENING: "polling",
    SessionState.HOLDING: "holding",
    SessionState.CLAIMING: "busy",
    SessionState.BUSY: "busy",
    SessionState.CLOSING: "recycling",
}
_SLOT_NAMES = tuple(dict.fromkeys(_SLOT_STATES.values()))
"""The values of the metric's label."""

_IDLE_SECONDS = 3600.0
_OLD_VERSION_PAUSE_SECONDS = 60.0
"""What GitHub no longer serves is served again after an update only, or at the end of a brown-out."""
_REJECTIONS = 2
"""Registrations in a row that GitHub rejects: the second one was made in the place of the first."""


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
        """All but the busy ones, oldest first."""
        self._busy: dict[RunnerSession, None] = {}
        """In the order of their claims. Apart, since they may be hundreds and each change looks through the others."""
        self._throttle = Throttle(self._clock, on_change=on_change)
        self._growth = Growth()
        self._failures = 0
        self._not_before = 0.0
        self._problem = ""
        self._version_problem = ""
        self._rejections = 0
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
            busy=0 if self._is_closing else states[SessionState.CLAIMING] + len(self._busy),
            pending_jobs=self._deliveries.count(self._clock.monotonic()),
            problem=self._problem,
            silence=self._silence,
            version_problem=self._version_problem,
            rejection=self._problem if self._rejections >= _REJECTIONS else "",
            limited_since=self._throttle.limited_since,
            oldest=self._deliveries.oldest(self._clock.monotonic()),
            unheld=self._deliveries.unheld(self._clock.monotonic()),
            waiting=self._deliveries.counts(self._clock.monotonic()),
        )

    @property
    def _silence(self) -> str:
        heard = [session.unanswered for session in self._sessions if session.state in _OPEN and not session.is_closing]
        problems = [problem for problem in heard if problem is not None]
        return f"{NO_ANSWER}: {problems[0]}" if problems and len(problems) == len(heard) else ""

    async def run(self) -> None:
        """Keeps the sessions until `close` was called and all of them have ended."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while not (self._is_closing and not self._sessions and not self._busy):
                    woken = self._changed.next, self._admission.changed.next, self._admission.headroom.moved.next
                    self._adjust(tasks)
                    wait = self._not_before - self._clock.monotonic()
                    pause = self._clock.sleep(wait if wait > 0 else _IDLE_SECONDS)
                    await first_of(*(event.wait() for event in woken), pause)
        finally:
            self._report()
            self._finished.set()

    async def close(self) -> None:
        """Closes every session, busy ones included (their jobs go on), and returns when they have ended."""
        self._is_closing = True
        self._changed.notify()
        await self._finished.wait()

    # -- as the sessions' owner ----------------------------------------------------------------------------------

    def changed(self, session: RunnerSession) -> None:
        """A session's state moved, or what it waits for."""
        self._place(session)
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
        self._forget_problems()

    def _forget_problems(self) -> None:
        is_healed = self._version_problem or self._rejections >= _REJECTIONS
        self._version_problem, self._rejections = "", 0
        if is_healed:
            self._on_change()

    def may_drain(self, empty_polls: int) -> bool:
        """Whether the session goes, and another one stays; a whole wave of empty polls shrinks the group, too."""
        before, listening = self._growth, self.state.active
        self._growth = before.unheard(listening)
        if self._growth.size < before.size:
            self._changed.notify()
        # One that is still being opened cannot stand in: it may never get there.
        if empty_polls < self._basics.tunables.empty_polls_before_drain or listening <= 1:
            return False
        self._growth = self._growth.drained()
        return True

    def delivered(self) -> None:
        """A session begins to claim a job: successors follow."""
        self._growth = self._growth.delivered(
            self._group.settings.max_listeners,
            now=self._clock.monotonic(),
            burst_seconds=self._basics.tunables.burst_wave_seconds,
        )

    def accept(self, claimed: ClaimedJob) -> None:
        """Hands a claimed job on; its session's registration is used up."""
        self._basics.metrics.inc(AGENT_RECYCLES, 1, **self._labels, trigger="post_job")
        self._accept(claimed)

    # -- sizing --------------------------------------------------------------------------------------------------

    def _place(self, session: RunnerSession) -> None:
        is_busy = session.state is SessionState.BUSY
        if is_busy and session not in self._busy:
            self._sessions.remove(session)
            self._busy[session] = None
        elif not is_busy and session in self._busy:
            del self._busy[session]
            self._sessions.append(session)

    def _waiting(self) -> list[RunnerSession]:
        return [session for session in self._sessions if session.state in _CLOSE_ORDER and not session.is_closing]

    def _adjust(self, tasks: asyncio.TaskGroup) -> None:
        for session in self._waiting():
            if session.labels != tuple(self._group.settings.runner_labels):
                session.close()
        wanted = wanted_sessions(
            self._growth,
            max_listeners=self._group.settings.max_listeners,
            free_places=self._admission.claimable,
            is_open=self._admission.is_open and not self._is_closing,
            at_rest=self._basics.tunables.sessions_at_rest,
        )
        self._close(self._waiting(), to=wanted.registered)
        self._close([session for session in self._waiting() if session.has_turn], to=wanted.waiting)
        waiting = self._waiting()
        if self._clock.monotonic() >= self._not_before:
            # While registrations wait for GitHub's budget, one that is made ahead takes another one's turn.
            is_scarce = self._parts.registrar.is_waiting
            for _ in range(self._startable(waiting, wanted.waiting if is_scarce else wanted.registered)):
                self._start(tasks)
        self._give_turns(waiting, wanted.waiting)
        self._forget_limits(wanted.waiting)
        if self._is_closing:
            for session in (*self._sessions, *self._busy):
                session.close()
        self._report()

    def _startable(self, waiting: list[RunnerSession], wanted: int) -> int:
        if not self._failures:
            return wanted - len(waiting)
        # After a failure one session tries the ground first.
        is_trying = any(session.state in _UNOPENED for session in waiting)
        return 0 if is_trying else min(1, wanted - len(waiting))

    def _give_turns(self, waiting: list[RunnerSession], wanted: int) -> None:
        """As many sessions as are wanted open; the others are prepared to follow them."""
        ready = [session for session in waiting if session.state is SessionState.READY and not session.has_turn]
        for session in ready[: max(0, wanted - sum(session.has_turn for session in waiting))]:
            session.take_turn()

    def _forget_limits(self, wanted: int) -> None:
        """A limit, or a refusal of what a group has, ends, too, when that is not asked for any more."""
        is_asking = any(one.state in (SessionState.STARTING, SessionState.OPENING) for one in self._sessions)
        if self.state.active >= wanted and not is_asking:
            self._throttle.relieved(Call.REGISTRATION, Call.SESSION)
        if not self._sessions and not self._busy and not wanted:
            self._throttle.relieved(Call.POLL)
            self._forget_problems()

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        session = RunnerSession(self, self._group, self._admission, self._deliveries, self._parts, self._throttle)
        self._sessions.append(session)
        tasks.create_task(self._run(session), name=f"session {self._group.name}")

    def _close(self, waiting: list[RunnerSession], *, to: int) -> None:
        # Among equals the newest goes first, so that the oldest hold is kept.
        newest_first = list(reversed(waiting))
        candidates = sorted(newest_first, key=lambda session: _CLOSE_ORDER.index(session.state))
        for session in candidates[: max(0, len(waiting) - to)]:
            session.close()

    async def _run(self, session: RunnerSession) -> None:
        end = End.FAILED
        try:
            end = await session.run()
        except Exception:
            log.exception("session task failed", runner_group=self._group.name)
        finally:
            self._forget(session)
        self._ended(session, end)
        self._changed.notify()
        self._on_change()

    def _forget(self, session: RunnerSession) -> None:
        if session in self._busy:
            del self._busy[session]
        else:
            self._sessions.remove(session)

    def _ended(self, session: RunnerSession, end: End) -> None:
        match end:
            case End.CLOSED | End.JOB_ENDED:
                return  # by intention
            case End.DELIVERY_OVER:
                self._owed.append("stale_session")
                return  # nothing is wrong that waiting would mend
            case End.SPENT:
                self._rejections = min(self._rejections + 1, _REJECTIONS - 1)
                self._owed.append("stale_session")
            case End.REJECTED:
                self._rejections += 1
                self._owed.append("startup")
            case End.FAILED:
                self._basics.metrics.inc(AGENT_RECYCLE_ERRORS, 1, **self._labels)
        self._back_off(session)

    def _back_off(self, session: RunnerSession) -> None:
        self._failures += 1
        self._problem = str(session.problem) if session.problem else "a session ended unexpectedly"
        if isinstance(session.problem, Unreachable | ServerError):
            self._problem = f"{NO_ANSWER}: {self._problem}"
        pause = self._basics.tunables.start_backoff.delay_seconds(self._failures, self._basics.rng)
        asked = session.problem.retry_after_seconds if session.problem else None
        if isinstance(session.problem, VersionTooOld):
            self._version_problem, pause = str(session.problem), max(pause, _OLD_VERSION_PAUSE_SECONDS)
        self._not_before = self._clock.monotonic() + max(pause, asked or 0.0)

    def _report(self) -> None:
        metrics, state = self._basics.metrics, self.state
        slots = Counter(_SLOT_STATES[session.state] for session in self._sessions)
        slots["busy"] += len(self._busy)
        for name in _SLOT_NAMES:
            metrics.set(LISTENER_SLOTS, slots[name], **self._labels, state=name)
        metrics.set(ACTIVE_SESSIONS, state.active, **self._labels)
