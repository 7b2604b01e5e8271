"""Polling one session: pace, back-off and the first rungs of the heal ladder.

Source: actions/runner `src/Runner.Listener/BrokerMessageListener.cs` (two tiers of back-off). A session that GitHub no
longer accepts gets a new token and a new session once; if that does not bring a good poll, the registration is given up
and its owner registers anew.
"""

import asyncio
from collections.abc import Callable

import structlog

from actions_gateway.agent.sessions.connection import Connection, RegistrationSpent
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.throttling import Call, Throttle
from actions_gateway.github.broker import RunnerStatus
from actions_gateway.github.errors import (
    ConnectionBroken,
    EmptyAnswer,
    Forbidden,
    GitHubError,
    NotFound,
    RateLimited,
    RegistrationLost,
    ServerError,
    SessionExpired,
    Unauthorized,
    Unreachable,
    VersionTooOld,
)
from actions_gateway.github.messages import Message, Unanswered
from actions_gateway.metrics.catalog import LAST_POLL_TIMESTAMP, MESSAGE_POLL_ERRORS

log = structlog.get_logger(__name__)

_FIRST_ERRORS = 5
_FIRST_PAUSE_SECONDS = (15.0, 30.0)
_LATER_PAUSE_SECONDS = (30.0, 60.0)
_STALE_PAUSE_SECONDS = 1.0
_RECONNECT_SECONDS = (1.0, 2.0, 4.0)
"""At most, after a good poll's connection broke: a proxy went away with all its tunnels, and another one answers within
moments. Spread, since so many come at once; what is still unreachable afterwards is down."""
_UNANSWERED_ERRORS = 2
"""So many polls in a row that GitHub does not answer, tens of seconds apart, are an outage and no passing matter."""
_LONGEST_RATE_LIMIT_SECONDS = 300.0

DEAD_SESSION = (Unauthorized, Forbidden, NotFound, SessionExpired)
"""Answers after which a new token and a new session may help."""


class Poller:
    """The polls of one connection."""

    def __init__(
        self,
        connection: Connection,
        group: str,
        parts: SessionParts,
        throttle: Throttle,
        *,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._on_turn = on_turn
        self._parts = parts
        self._throttle = throttle
        basics = self._basics = parts.basics
        self._tunables = basics.tunables
        self._labels = basics.labels_of(group)
        self._log = log.bind(runner_group=group, runner=connection.registration.name)
        self._next_at = 0.0
        self._errors = 0
        self._reconnects = 0
        """Quick ones since the last good poll."""
        self._empty_answers = 0
        self._is_healed = False
        """The session was renewed since the last good poll."""
        self.unanswered: GitHubError | None = None
        """What keeps its polls from an answer; None while GitHub answers. `on_turn` hears of either turn."""

    async def next(self, status: RunnerStatus) -> Message | None:
        """The next message, or None after a poll that brought none; waits out whatever goes wrong.

        Raises RegistrationSpent when the registration is to be replaced, VersionTooOld when that would not help.
        """
        while True:
            await self._basics.clock.sleep(self._next_at - self._basics.clock.monotonic())
            started = self._basics.clock.monotonic()
            self._next_at = started + self._tunables.empty_poll_floor_seconds
            try:
                with self._parts.health.deadline(self._tunables.poll_deadline_seconds):
                    message = await self._connection.poll(status)
            except EmptyAnswer:
                await self._stale_answer(status)
            except RegistrationLost as problem:
                raise RegistrationSpent(str(problem)) from problem
            except VersionTooOld:
                raise
            except DEAD_SESSION as problem:
                await self._heal(problem, status)
            except GitHubError as problem:
                _end_if_cancelled()
                self._pause(problem)
            else:
                return self._good(message)

    def _good(self, message: Message | None) -> Message | None:
        if isinstance(message, Unanswered):
            # As harmless as an empty answer, but no sign of life.
            self._count_error("timeout")
            return None
        self._errors, self._reconnects, self._empty_answers, self._is_healed = 0, 0, 0, False
        self._throttle.relieved(Call.POLL)
        self._note(None)
        self._basics.metrics.set(LAST_POLL_TIMESTAMP, self._basics.clock.now().timestamp(), **self._labels)
        return message

    async def _stale_answer(self, status: RunnerStatus) -> None:
        self._empty_answers += 1
        if self._empty_answers >= self._tunables.stale_answers:
            await self._heal(None, status)
        else:
            self._next_at = self._basics.clock.monotonic() + _STALE_PAUSE_SECONDS

    async def _heal(self, problem: GitHubError | None, status: RunnerStatus) -> None:
        if self._is_healed:
            raise RegistrationSpent("a new session did not help") from problem
        if status is RunnerStatus.BUSY:
            # A job's end takes its session along, and shows at the pod some moments later.
            await self._basics.clock.sleep(self._tunables.busy_heal_seconds)
        self._is_healed, self._empty_answers = True, 0
        self._log.info("session renewed", problem=str(problem or "empty answers"))
        try:
            with self._throttle.noting(Call.SESSION):
                await self._connection.reopen()
        except (*DEAD_SESSION, RegistrationLost) as refusal:
            raise RegistrationSpent(str(refusal)) from refusal

    def _pause(self, problem: GitHubError) -> None:
        now = self._basics.clock.monotonic()
        if isinstance(problem, RateLimited):
            self._count_error("rate_limited")
            self._throttle.limited(Call.POLL)
            pause = min(problem.wait_seconds, _LONGEST_RATE_LIMIT_SECONDS)
        elif self._may_reconnect(problem):
            self._count_error("other")
            pause = self._basics.rng.uniform(0, _RECONNECT_SECONDS[self._reconnects])
            self._reconnects += 1
        else:
            self._errors += 1
            self._count_error("other")
            tier = _FIRST_PAUSE_SECONDS if self._errors <= _FIRST_ERRORS else _LATER_PAUSE_SECONDS
            pause = self._basics.rng.uniform(*tier)
            if isinstance(problem, Unreachable | ServerError) and self._errors >= _UNANSWERED_ERRORS:
                self._note(problem)
        self._next_at = now + pause
        self._log.warning("poll failed", problem=str(problem), retry_in_seconds=round(pause, 1))

    def _note(self, unanswered: GitHubError | None) -> None:
        has_turned = (unanswered is None) != (self.unanswered is None)
        self.unanswered = unanswered
        if has_turned:
            self._on_turn()

    def _may_reconnect(self, problem: GitHubError) -> bool:
        """Whether another way to GitHub may be open at once: a connection broke, and few new ones were tried since."""
        is_first = self._reconnects == 0 and self._errors == 0 and isinstance(problem, ConnectionBroken)
        is_next = 0 < self._reconnects < len(_RECONNECT_SECONDS) and isinstance(problem, Unreachable)
        return is_first or is_next

    def _count_error(self, reason: str) -> None:
        self._basics.metrics.inc(MESSAGE_POLL_ERRORS, namespace=self._basics.namespace, reason=reason)


def _end_if_cancelled() -> None:
    """Raises CancelledError where a cancellation met a connection's own end and was taken for that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Conversation:
    """The poll in flight. Waiting for it can be given up and taken up again; the poll itself goes on.

    An aborted poll may lose the message that the broker is just writing.
    """

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._poll: asyncio.Task[Message | None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a poll is in flight or its answer was not taken yet."""
        return self._poll is not None

    async def arrived(self, status: RunnerStatus) -> None:
        """Ends when there is an answer to `take`; polls if no poll is in flight."""
        if self._poll is None:
            self._poll = asyncio.ensure_future(self._poller.next(status))
        await asyncio.wait({self._poll})

    @property
    def has_arrived(self) -> bool:
        """Whether there is an answer to take."""
        return self._poll is not None and self._poll.done()

    def take(self) -> Message | None:
        """The answer; raises what the poll raised."""
        poll, self._poll = self._poll, None
        if poll is None or not poll.done():
            raise RuntimeError("no answer has arrived")
        return poll.result()

    async def stop(self) -> None:
        """Aborts the poll in flight; for a session that is closed anyway."""
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)
