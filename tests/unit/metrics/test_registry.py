"""Metrics exist before their first event, carry catalogued labels only, and go with their object."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actions_gateway.api.gateway import MAX_RUNNER_GROUPS
from actions_gateway.metrics.catalog import (
    ACTIVE_SESSIONS,
    CATALOG,
    EVENT_LOOP_LAG,
    EXPECTED_SESSIONS,
    JOB_DURATION,
    JOBS_ACQUIRED,
    LISTENER_SLOTS,
    LOCK_REMAINING,
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


def test_a_single_series_ends_and_its_neighbours_stay() -> None:
    metrics = agent()
    metrics.open(**GROUP)
    metrics.end(LISTENER_SLOTS, **GROUP, state="busy")
    assert metrics.value(LISTENER_SLOTS, **GROUP, state="busy") is None
    assert metrics.value(LISTENER_SLOTS, **GROUP, state="polling") == 0
    metrics.end(LISTENER_SLOTS, **GROUP, state="busy")


def test_the_exposition_is_read_back_as_it_was_set() -> None:
    metrics = agent()
    odd = {"namespace": 'a"b\\c\nd', "runner_group": "g"}
    metrics.set(LOCK_REMAINING, float("inf"), **odd)
    metrics.set(EVENT_LOOP_LAG, 0.25)
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }
    assert samples[LOCK_REMAINING.name, tuple(odd.values())] == float("inf")
    assert samples[EVENT_LOOP_LAG.name, ()] == 0.25


def test_labels_that_the_catalogue_does_not_know_are_a_mistake() -> None:
    with pytest.raises(KeyError):
        agent().set(ACTIVE_SESSIONS, 1, namespace="team-a")


def test_presence_is_told_by_build_info() -> None:
    assert b'actions_gateway_build_info{component="agent",version="1.0"} 1.0' in agent().render()


def test_an_agent_with_every_group_a_gateway_may_have_stays_within_the_series_budget() -> None:
    metrics = agent()
    metrics.open(namespace="team-a")
    for number in range(MAX_RUNNER_GROUPS):
        metrics.open(namespace="team-a", runner_group=f"g-{number}")
    series = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    assert len(series) < 5_000
