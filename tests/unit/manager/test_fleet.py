"""The series that the manager exports for its gateways."""

from typing import Any

from actions_gateway.manager.fleet import Fleet
from actions_gateway.metrics.catalog import (
    CONDITION,
    CONDITION_LAST_TRANSITION,
    EXPECTED_AGENTS,
    EXPECTED_SESSIONS,
    MANAGED_GATEWAYS,
    Component,
)
from actions_gateway.metrics.registry import Metrics
from support import manager_objects as make

Manifest = dict[str, Any]

KEY = ("team-a", "ci")
AGENT = {"namespace": "team-a", "name": "ci"}
SESSIONS = {"namespace": "team-a", "runner_group": "ci-cpu"}
READY = {"namespace": "team-a", "kind": "ActionsGateway", "name": "ci", "type": "Ready"}


def observed(owner: Manifest | None = None, *, is_served: bool = True) -> tuple[Fleet, Metrics]:
    metrics = Metrics(Component.MANAGER, "1.0")
    fleet = Fleet(metrics)
    owner = owner or gateway()
    fleet.observe(KEY, owner, groups(owner), is_served=is_served)
    return fleet, metrics


def gateway(status: str = "True", **changes: Any) -> Manifest:
    return make.gateway(status={"conditions": [make.condition("Ready", status, "AllAvailable")]}, **changes)


def groups(owner: Manifest) -> list[Manifest]:
    return [child for (kind, _), child in make.children_of(owner).items() if kind == "RunnerGroup"]


def test_a_served_gateway_expects_an_agent_and_a_session_per_group() -> None:
    _, metrics = observed()
    assert metrics.value(EXPECTED_AGENTS, **AGENT) == 1
    assert metrics.value(EXPECTED_SESSIONS, **SESSIONS) == 1
    assert metrics.value(MANAGED_GATEWAYS) == 1


def test_a_paused_gateway_expects_no_session() -> None:
    _, metrics = observed(gateway(paused=True))
    assert metrics.value(EXPECTED_SESSIONS, **SESSIONS) == 0


def test_a_refused_gateway_expects_nothing_but_shows_its_conditions() -> None:
    _, metrics = observed(is_served=False)
    assert metrics.value(EXPECTED_AGENTS, **AGENT) is None
    assert metrics.value(MANAGED_GATEWAYS) == 0
    assert metrics.value(CONDITION, **READY, status="True") == 1


def test_a_condition_has_all_three_statuses_and_the_objects_time() -> None:
    fleet, metrics = observed()
    fleet.observe(KEY, gateway("False"), [], is_served=True)
    values = {status: metrics.value(CONDITION, **READY, status=status) for status in ("True", "False", "Unknown")}
    assert values == {"True": 0, "False": 1, "Unknown": 0}
    assert metrics.value(CONDITION_LAST_TRANSITION, **READY) == 1767600000


def test_a_group_that_left_takes_its_series_along_and_only_its_own() -> None:
    fleet, metrics = observed()
    fleet.observe(KEY, gateway(), [], is_served=True)
    assert metrics.value(EXPECTED_SESSIONS, **SESSIONS) is None
    assert metrics.value(EXPECTED_AGENTS, **AGENT) == 1


def test_a_gateway_that_is_refused_later_keeps_its_conditions_series() -> None:
    fleet, metrics = observed()
    fleet.observe(KEY, gateway("False"), [], is_served=False)
    assert metrics.value(EXPECTED_AGENTS, **AGENT) is None
    assert metrics.value(CONDITION, **READY, status="False") == 1


def test_nothing_is_left_of_a_gateway_that_is_gone() -> None:
    fleet, metrics = observed()
    fleet.forget(KEY)
    assert b'namespace="team-a"' not in metrics.render()
    assert metrics.value(MANAGED_GATEWAYS) == 0
