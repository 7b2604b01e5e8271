"""Which of a group's sessions may go, whatever GitHub does to the others."""

import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.sessions.pool import SessionPool
from actions_gateway.agent.sessions.session import SessionState
from actions_gateway.agent.tunables import Tunables
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.clock import ManualClock

LISTENING, HOLDING, STARTING = SessionState.LISTENING, SessionState.HOLDING, SessionState.STARTING


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([LISTENING], False),
        ([LISTENING, LISTENING], True),
        ([LISTENING, HOLDING], True),
        # One that GitHub may never let open is no stand-in for the last that hears.
        ([LISTENING, STARTING], False),
        ([LISTENING, SessionState.BUSY], False),
    ],
)
def test_a_session_drains_only_when_another_one_hears(states: list[SessionState], expected: bool) -> None:
    metrics = Metrics(Component.AGENT, "test")
    basics = Basics("team-a", "agent-1", ManualClock(), random.Random(1), metrics, Tunables())
    group, parts = SimpleNamespace(name="ci-cpu"), SimpleNamespace(basics=basics)
    pool = SessionPool(
        cast("Any", group), Admission(), cast("Any", parts), accept=lambda _: None, on_change=lambda: None
    )
    pool._sessions = [cast("Any", SimpleNamespace(state=state, is_closing=False)) for state in states]
    assert pool.may_drain() is expected
