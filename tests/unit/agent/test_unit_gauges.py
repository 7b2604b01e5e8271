"""A group's gauges before anything of it was looked at."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.runnergroups import unit as module
from actions_gateway.agent.runnergroups.unit import GroupUnit
from actions_gateway.agent.tunables import Tunables
from actions_gateway.metrics.catalog import JOBS_IN_FLIGHT, LOCK_REMAINING, Component
from actions_gateway.metrics.registry import Metrics
from support.clock import ManualClock


def test_a_new_group_has_no_lock_that_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(Component.AGENT, "test")
    basics = Basics("team-a", "agent-1", ManualClock(), random.Random(1), metrics, Tunables())
    anything: Any = SimpleNamespace(run=lambda: None)
    for name in ("Admission", "TemplateProof", "SessionPool"):
        monkeypatch.setattr(module, name, lambda *_, **__: anything)
    monkeypatch.setattr(GroupUnit, "update", lambda *_: None)
    services: Any = SimpleNamespace(
        basics=basics, pods=SimpleNamespace(of_group=lambda _: []), headroom=None, client=None, site=None
    )
    parts: Any = SimpleNamespace(basics=basics, registrar=None)
    tasks: Any = SimpleNamespace(create_task=lambda *_, **__: None)
    manifest = {"metadata": {"name": "ci-cpu", "uid": "u"}}
    GroupUnit(manifest, parts=parts, services=services, tasks=tasks, is_adopted=False, on_change=lambda: None)
    labels = basics.labels_of("ci-cpu")
    assert metrics.value(LOCK_REMAINING, **labels) == float("inf")
    assert metrics.value(JOBS_IN_FLIGHT, **labels) == 0
