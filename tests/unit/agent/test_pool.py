"""Which of a group's sessions may go, whatever GitHub does to the others, and until when a limit of GitHub's counts."""

import contextlib
import math
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.sessions.pool import SessionPool
from actions_gateway.agent.sessions.session import SessionState
from actions_gateway.agent.sessions.throttling import Call, Throttle
from actions_gateway.agent.tunables import Tunables
from actions_gateway.github.errors import GitHubError, RateLimited, ServerError
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock

LISTENING, HOLDING, STARTING = SessionState.LISTENING, SessionState.HOLDING, SessionState.STARTING
BUSY = SessionState.BUSY
LIMIT = RateLimited("slow", wait_seconds=30.0)


def pool_of(*states: SessionState, is_open: bool = True) -> SessionPool:
    """With sessions in these states, of a group that grows no further."""
    metrics = Metrics(Component.AGENT, "test")
    basics = Basics("team-a", "agent-1", ManualClock(), random.Random(1), metrics, Tunables())
    settings = SimpleNamespace(runner_labels=(), max_listeners=1)
    group, parts, admission = (
        SimpleNamespace(name="ci-cpu", settings=settings),
        SimpleNamespace(basics=basics),
        Admission(),
    )
    admission.configure(ceiling=4, tiers=(), is_open=is_open)
    pool = SessionPool(cast("Any", group), admission, cast("Any", parts), accept=lambda _: None, on_change=lambda: None)
    pool._sessions = [
        cast("Any", SimpleNamespace(state=state, is_closing=False, labels=(), close=lambda: None)) for state in states
    ]
    return pool


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
    assert pool_of(*states).may_drain() is expected


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
