"""Metrics exist before their first event, carry catalogued labels only, and go with their object."""

import re

import pytest

from actions_gateway.api.gateway import MAX_RUNNER_GROUPS
from actions_gateway.metrics.catalog import (
    ACTIVE_SESSIONS,
    CATALOG,
    EXPECTED_SESSIONS,
    JOB_DURATION,
    JOBS_ACQUIRED,
    MESSAGE_POLL_ERRORS,
    TOKEN_REFRESH_ERRORS,
    Component,
    Kind,
)
from actions_gateway.metrics.registry import Metrics

GROUP = {"namespace": "team-a", "runner_group": "team-a-cpu"}

RUNBOOK_NAMES = [
    "actions_gateway_token_refresh_errors_total",
    "actions_gateway_renewjob_errors_total",
    "actions_gateway_pod_creation_latency_seconds",
    "actions_gateway_active_sessions",
    "actions_gateway_reconcile_errors_total",
    "actions_gateway_jobs_acquired_total",
    "actions_gateway_job_acquisition_errors_total",
    "actions_gateway_message_poll_errors_total",
]


def agent() -> Metrics:
    return Metrics(Component.AGENT, "1.0")


@pytest.mark.parametrize("name", RUNBOOK_NAMES)
def test_the_catalogue_holds_the_names_of_the_production_runbook(name: str) -> None:
    assert name in {metric.name for metric in CATALOG}


def test_names_are_unique_and_follow_prometheus_conventions() -> None:
    names = [metric.name for metric in CATALOG]
    assert len(set(names)) == len(names)
    for metric in CATALOG:
        assert re.fullmatch(r"(actions_gateway|controller_runtime)_[a-z0-9_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM), metric.name


def test_opening_a_group_creates_all_its_series_at_zero() -> None:
    metrics = agent()
    assert metrics.value(JOBS_ACQUIRED, **GROUP) is None
    metrics.open(**GROUP)
    assert metrics.value(JOBS_ACQUIRED, **GROUP) == 0
    assert metrics.value(ACTIVE_SESSIONS, **GROUP) == 0
    assert metrics.value(JOB_DURATION, **GROUP, result="lost") == 0
    assert metrics.value(TOKEN_REFRESH_ERRORS, namespace="team-a") is None


def test_opening_a_namespace_creates_every_known_reason() -> None:
    metrics = agent()
    metrics.open(namespace="team-a")
    for reason in ("rate_limited", "timeout", "other"):
        assert metrics.value(MESSAGE_POLL_ERRORS, namespace="team-a", reason=reason) == 0


def test_closing_a_group_removes_its_series_and_no_other() -> None:
    metrics = agent()
    other = {**GROUP, "runner_group": "team-a-gpu"}
    for labels in (GROUP, other):
        metrics.open(**labels)
    metrics.close(**GROUP)
    assert metrics.value(JOBS_ACQUIRED, **GROUP) is None
    assert metrics.value(JOBS_ACQUIRED, **other) == 0
    assert b'runner_group="team-a-cpu"' not in metrics.render()


def test_a_metric_of_another_component_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        agent().set(EXPECTED_SESSIONS, 1, **GROUP)


def test_presence_is_told_by_build_info() -> None:
    assert b'actions_gateway_build_info{component="agent",version="1.0"} 1.0' in agent().render()


def test_an_agent_with_every_group_a_gateway_may_have_stays_within_the_series_budget() -> None:
    metrics = agent()
    metrics.open(namespace="team-a")
    for number in range(MAX_RUNNER_GROUPS):
        metrics.open(namespace="team-a", runner_group=f"g-{number}")
    series = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    assert len(series) < 5_000
