"""Which of a group's sessions may go, whatever GitHub does to the others, and until when a limit of GitHub's counts."""

import contextlib
import math
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.headroom import Headroom
from actions_gateway.agent.sessions.pool import SessionPool
from actions_gateway.agent.sessions.session import End, SessionState
from actions_gateway.agent.sessions.sizing import Growth
from actions_gateway.agent.sessions.throttling import Call, Throttle
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.conditions import NO_ANSWER
from actions_gateway.github.errors import (
    GitHubError,
    RateLimited,
    ServerError,
    Unauthorized,
    Unreachable,
    VersionTooOld,
)
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock

LISTENING, HOLDING, STARTING = SessionState.LISTENING, SessionState.HOLDING, SessionState.STARTING
READY, BUSY = SessionState.READY, SessionState.BUSY
LIMIT = RateLimited("slow", wait_seconds=30.0)


class Session:
    """One in this state; those that wait for work have had their turn."""

    def __init__(self, state: SessionState) -> None:
        self.state = state
        self.labels = ()
        self.unanswered: GitHubError | None = None
        self.is_closing = False
        self.has_turn = state in (LISTENING, HOLDING)

    def close(self) -> None:
        self.is_closing = True

    def take_turn(self) -> None:
        self.has_turn = True


def pool_of(*states: SessionState, is_open: bool = True, max_listeners: int = 1, ceiling: int = 4) -> SessionPool:
    """With sessions in these states, of a group that grows no further."""
    metrics = Metrics(Component.AGENT, "test")
    basics = Basics("team-a", "agent-1", ManualClock(), random.Random(1), metrics, Tunables())
    settings = SimpleNamespace(runner_labels=(), max_listeners=max_listeners)
    group, parts, admission = (
        SimpleNamespace(name="ci-cpu", settings=settings),
        SimpleNamespace(basics=basics, registrar=SimpleNamespace(is_waiting=False)),
        Admission(basics, Headroom(cast("Any", None), basics)),
    )
    admission.configure(ceiling=ceiling, tiers=(), is_open=is_open)
    pool = SessionPool(cast("Any", group), admission, cast("Any", parts), accept=lambda _: None, on_change=lambda: None)
    pool._sessions = [cast("Any", Session(state)) for state in states]
    return pool


def adjusted(pool: SessionPool, growth: Growth) -> list[tuple[SessionState, bool, bool]]:
    """State, turn and closing of each session after a look; none is started."""
    pool._growth = growth
    pool._not_before = math.inf
    pool._adjust(cast("Any", None))
    return [(session.state, session.has_turn, session.is_closing) for session in pool._sessions]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([LISTENING], False),
        ([LISTENING, LISTENING], True),
        ([LISTENING, HOLDING], True),
        # One that GitHub may never let open is no stand-in for the last that hears.
        ([LISTENING, STARTING], False),
        ([LISTENING, BUSY], False),
    ],
)
def test_a_session_drains_only_when_another_one_hears(states: list[SessionState], expected: bool) -> None:
    pool = pool_of(*states)
    assert pool.may_drain(2) is False
    assert pool.may_drain(3) is expected


def test_a_wave_that_brings_nothing_closes_half_of_the_sessions_and_leaves_one() -> None:
    pool = pool_of(*[LISTENING] * 4, max_listeners=4)
    pool._growth = Growth(size=4)
    for expected in (2, 1, 1):
        for _ in range(pool.state.active):
            assert not pool.may_drain(1)
        pool._adjust(cast("Any", None))
        pool._sessions = [session for session in pool._sessions if not session.is_closing]
        assert pool.state.active == expected


# -- turns and bounds


def test_the_oldest_prepared_sessions_open_while_fewer_than_wanted_wait() -> None:
    pool = pool_of(BUSY, LISTENING, READY, READY, STARTING, max_listeners=2, ceiling=9)
    turns = [has_turn for _, has_turn, _ in adjusted(pool, Growth(size=2, is_burst=True))]
    assert turns == [False, True, True, False, False]


def test_prepared_sessions_go_first_when_the_places_become_few() -> None:
    pool = pool_of(LISTENING, READY, LISTENING, STARTING, HOLDING, max_listeners=3, ceiling=2)
    closing = [is_closing for _, _, is_closing in adjusted(pool, Growth(size=3, is_burst=True))]
    assert closing == [False, True, True, True, False]


def test_a_lowered_bound_closes_the_newest_that_wait_beyond_it() -> None:
    pool = pool_of(LISTENING, LISTENING, LISTENING, READY, max_listeners=2, ceiling=9)
    found = adjusted(pool, Growth(size=3, is_burst=True))
    assert [is_closing for _, _, is_closing in found] == [False, False, True, False]
    assert [has_turn for _, has_turn, _ in found] == [True, True, True, False]


def test_a_raised_bound_gives_the_prepared_ones_their_turn() -> None:
    pool = pool_of(LISTENING, READY, READY, READY, max_listeners=1, ceiling=9)
    growth = Growth(size=8, is_burst=True)
    assert [(turn, closing) for _, turn, closing in adjusted(pool, growth)] == [
        (True, False),
        (False, False),
        (False, False),
        (False, True),
    ]
    cast("Any", pool._group.settings).max_listeners = 3
    assert [turn for _, turn, closing in adjusted(pool, growth) if not closing] == [True, True, True]


# -- limits


def test_a_limit_counts_until_a_good_answer_to_the_same_kind_of_call() -> None:
    async def main() -> None:
        clock, told = ManualClock(), list[float | None]()
        throttle = Throttle(clock, on_change=lambda: told.append(throttle.limited_since))

        def call(kind: Call, problem: Exception | None = None) -> None:
            with contextlib.suppress(GitHubError), throttle.noting(kind):
                if problem is not None:
                    raise problem

        call(Call.REGISTRATION, LIMIT)
        await clock.advance(60)
        call(Call.POLL, LIMIT)
        await clock.advance(60)
        call(Call.REGISTRATION, LIMIT)
        call(Call.SESSION)
        call(Call.REGISTRATION, ServerError("down", status=503))
        assert throttle.limited_since == 0.0
        call(Call.REGISTRATION)
        assert throttle.limited_since == 60.0
        call(Call.POLL)
        call(Call.POLL)
        assert told == [0.0, 0.0, 60.0, None]

    run(main())


@pytest.mark.parametrize(
    ("states", "is_open", "expected"),
    [
        pytest.param([BUSY], True, 0.0, id="the busy one's successor is to be opened"),
        pytest.param([BUSY, STARTING], True, 0.0, id="its registration is under way"),
        pytest.param([BUSY, LISTENING], True, 5.0, id="all that are wanted are open"),
        pytest.param([BUSY], False, 5.0, id="closed, a session still polls"),
        pytest.param([STARTING], False, 0.0, id="closed while it registers"),
        pytest.param([], False, None, id="closed, and nothing is asked for"),
    ],
)
def test_a_limit_ends_when_what_it_was_on_is_not_asked_for_any_more(
    states: list[SessionState], is_open: bool, expected: float | None
) -> None:
    pool = pool_of(*states, is_open=is_open)
    pool._throttle._since = {Call.REGISTRATION: 0.0, Call.POLL: 5.0}
    pool._not_before = math.inf
    pool._adjust(cast("Any", None))
    assert pool.state.limited_since == expected


# -- what GitHub says of the group's runners


def ended(pool: SessionPool, end: End, problem: GitHubError | None = None) -> None:
    session = Session(STARTING)
    cast("Any", session).problem = problem
    pool._ended(cast("Any", session), end)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Unreachable("github.com refuses the connection"), f"{NO_ANSWER}: github.com refuses the connection"),
        (ServerError("HTTP 502", status=502), f"{NO_ANSWER}: HTTP 502"),
        (VersionTooOld("v2.1 is deprecated", status=403), "v2.1 is deprecated"),
    ],
)
def test_a_session_that_github_does_not_answer_is_told_as_that(problem: GitHubError, words: str) -> None:
    pool = pool_of()
    ended(pool, End.FAILED, problem)
    assert pool.state.problem == words


def test_a_group_is_deaf_when_github_answers_none_of_its_open_sessions() -> None:
    pool = pool_of(LISTENING, HOLDING, STARTING, max_listeners=4)
    hears, holds = pool._sessions[:2]
    cast("Any", hears).unanswered = Unreachable("refused")
    assert pool.state.silence == ""
    cast("Any", holds).unanswered = Unreachable("refused")
    assert pool.state.silence == f"{NO_ANSWER}: refused"
    hears.close()
    holds.close()
    assert pool.state.silence == ""


def test_a_version_that_is_too_old_is_tried_once_a_minute_and_told_until_a_session_is_good() -> None:
    pool = pool_of()
    for _ in range(3):
        ended(pool, End.FAILED, VersionTooOld("v2.1 is deprecated", status=403))
        assert pool._not_before - pool._clock.monotonic() >= 60
    pool.opened()
    assert pool.state.version_problem == "v2.1 is deprecated", "GitHub may open a session and refuse its polls"
    pool.heard()
    assert pool.state.version_problem == ""


def test_a_rejected_runner_is_told_when_the_one_in_its_place_is_rejected_too() -> None:
    pool, problem = pool_of(), Unauthorized("no", status=401)
    ended(pool, End.SPENT)
    ended(pool, End.SPENT)
    assert pool.state.rejection == "", "each of them had worked"
    ended(pool, End.REJECTED, problem)
    assert pool.state.rejection == "no"
    pool.opened()
    pool.heard()
    assert pool.state.rejection == ""
    ended(pool, End.REJECTED, problem)
    assert pool.state.rejection == ""


@pytest.mark.parametrize(("is_scarce", "started"), [(False, 3), (True, 1)])
def test_nothing_is_registered_ahead_while_registrations_wait_for_their_budget(
    monkeypatch: pytest.MonkeyPatch, is_scarce: bool, started: int
) -> None:
    pool = pool_of(LISTENING, max_listeners=2)
    pool._parts.registrar.is_waiting = is_scarce  # type: ignore[misc]
    pool._growth = Growth(2, is_burst=True)
    begun: list[None] = []
    monkeypatch.setattr(pool, "_start", lambda _: begun.append(None))
    pool._adjust(cast("Any", None))
    assert len(begun) == started


def test_deliveries_of_jobs_that_others_have_stop_no_group() -> None:
    pool = pool_of()
    for _ in range(20):
        ended(pool, End.DELIVERY_OVER)
    assert (pool._failures, pool._not_before) == (0, 0.0)
    ended(pool, End.SPENT)
    assert pool._not_before > 0.0


@pytest.mark.parametrize("is_open", [True, False])
def test_a_closed_group_says_nothing_of_its_runners_any_more(is_open: bool) -> None:
    pool = pool_of(LISTENING) if is_open else pool_of(is_open=False)
    for problem in (VersionTooOld("v2.1 is deprecated", status=403), Unauthorized("no", status=401)):
        for _ in range(2):
            ended(pool, End.REJECTED, problem)
    pool._not_before = math.inf
    pool._adjust(cast("Any", None))
    said = (pool.state.version_problem, pool.state.rejection)
    assert all(said) if is_open else said == ("", "")
