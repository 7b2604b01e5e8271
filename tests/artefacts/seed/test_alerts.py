"""The alerts are those of the transcribed runbook: each row of its table, each line of its two lists, to the letter."""

from dataclasses import dataclass

import pytest

from gw_alerts.catalog import ALERTS, BY_NAME
from gw_alerts.expressions import GATEWAY, RUNNER_GROUP, TENANT
from gw_alerts.model import Alert, Arm
from gw_alerts.pages import WORTH
from gw_alerts.recordings import RECORDINGS
from gw_alerts.thresholds import Severity
from support.seed import Threshold as Row
from support.seed import production_runbook

RUNBOOK = production_runbook()
RECORDED = {recording.name: recording.expression for recording in RECORDINGS}
LATENCY = "actions_gateway_pod_creation_latency_seconds"


@dataclass(frozen=True, slots=True)
class Clause:
    """The part of a rule that is the row."""

    text: str
    by: str
    """What it is counted by: the row's `per namespace` or `for a RunnerGroup`, ours where it says neither."""
    arm: str = ""
    recorded: str = ""
    """What a recording that the text names computes."""


def once(*own: str) -> str:
    """What a process counts is taken once, however often it is scraped."""
    return f"max by ({', '.join((TENANT, *own, 'pod', 'instance'))})"


CLAUSES = {
    "actions_gateway_token_refresh_errors_total": Clause(
        f"round(sum by ({TENANT}) ({once()} (increase(actions_gateway_token_refresh_errors_total[1h])))) > 1", TENANT
    ),
    "actions_gateway_renewjob_errors_total": Clause(
        f"round(sum by ({TENANT}) ({once()} (rate(actions_gateway_renewjob_errors_total[3m]))) * 60, 0.01) > 5",
        TENANT,
        "errors",
    ),
    f"{LATENCY} p95": Clause(
        "actions_gateway:pod_creation_latency_seconds:p95 > 15",
        TENANT,
        recorded=f"round(histogram_quantile(0.95, sum by ({TENANT}, le) (rate({LATENCY}_bucket[30m]))), 0.001)",
    ),
    f"{LATENCY} p99": Clause(
        "actions_gateway:pod_creation_latency_seconds:p99 > 60",
        TENANT,
        "scheduled",
        recorded=f"round(histogram_quantile(0.99, sum by ({TENANT}, le) (rate({LATENCY}_bucket[30m]))), 0.001)",
    ),
    "actions_gateway_eviction_retries_exhausted_total": Clause(
        f"round(sum by ({RUNNER_GROUP}) ({once('runner_group', 'cause')}"
        " (increase(actions_gateway_eviction_retries_exhausted_total[15m])))) > 0",
        RUNNER_GROUP,
    ),
    "actions_gateway_active_sessions": Clause(
        f"max by ({RUNNER_GROUP}) (actions_gateway_active_sessions) == 0", RUNNER_GROUP, "none"
    ),
    "actions_gateway_reconcile_errors_total": Clause(
        f"round(sum by ({TENANT}) ({once('controller', 'resource')}"
        " (rate(actions_gateway_reconcile_errors_total[15m]))) * 300, 0.01) > 1",
        TENANT,
    ),
    # The condition is True after the ten minutes; the agent's own word is for the time without a manager.
    "ActionsGateway condition RateLimited=True": Clause(
        f"time() - min by ({TENANT}) (actions_gateway_rate_limited_since_timestamp_seconds > 0) > 600", TENANT
    ),
    "Proxy HPA TARGETS: <unknown>": Clause(
        f'min by ({GATEWAY}) (actions_gateway_proxy_hpa_metric_available{{exported_namespace=""}}) == 0', GATEWAY
    ),
    "AGC pod OOMKilled": Clause(
        f"round(sum by ({TENANT}) ({once('reason')} (increase(actions_gateway_agent_terminations_total"
        '{reason="OOMKilled",exported_namespace=""}[15m])))) > 0',
        TENANT,
    ),
}
"""By the row's first cell."""


def of_row(row: Row) -> Alert:
    (alert,) = [alert for alert in ALERTS if alert.seed == row.signal]
    return alert


def arm_of(alert: Alert, name: str) -> Arm:
    (arm,) = [arm for arm in alert.arms if arm.name == name]
    return arm


@pytest.mark.parametrize("row", RUNBOOK.thresholds, ids=lambda row: row.signal)
def test_a_row_is_one_alert_of_its_severity_threshold_and_comparison(row: Row) -> None:
    alert, clause = of_row(row), CLAUSES[row.signal]
    assert alert.severity.value == row.severity.lower()
    arm = arm_of(alert, clause.arm)
    assert row.text in {threshold.source for threshold in arm.thresholds}
    assert clause.text in arm.expression
    if clause.recorded:
        assert RECORDED[clause.text.partition(" ")[0]] == clause.recorded


@pytest.mark.parametrize("row", RUNBOOK.thresholds, ids=lambda row: row.signal)
def test_a_row_is_counted_by_what_it_says(row: Row) -> None:
    by, alert = CLAUSES[row.signal].by, of_row(row)
    assert set(by.split(", ")) <= set(alert.grouping)
    if "per namespace" in row.threshold:
        assert by == TENANT
    if "for a RunnerGroup" in row.threshold:
        assert by == RUNNER_GROUP


def test_no_alert_stands_for_a_row_that_is_not_there() -> None:
    signals = [alert.seed for alert in ALERTS if alert.seed]
    assert sorted(signals) == sorted(row.signal for row in RUNBOOK.thresholds) == sorted(CLAUSES)


def test_the_condition_of_a_rate_limit_is_the_row_by_itself() -> None:
    (arm,) = BY_NAME["ActionsGatewayRateLimited"].arms
    condition = (
        f'max by ({TENANT}) (actions_gateway_condition{{kind="ActionsGateway",type=~"RateLimited",status="True",'
        'exported_namespace=""})'
    )
    assert arm.expression.startswith(f"{condition} == 1 or ")


@pytest.mark.parametrize(
    ("lines", "severity"), [(RUNBOOK.page_worthy, Severity.PAGE), (RUNBOOK.ticket_worthy, Severity.TICKET)]
)
def test_each_line_of_a_list_has_alerts_of_the_lists_severity(lines: tuple[str, ...], severity: Severity) -> None:
    for line in lines:
        assert {alert.severity for alert in WORTH[line]} == {severity}, line


def test_the_lists_are_taken_whole_and_hold_every_row_of_the_table() -> None:
    assert list(WORTH) == [*RUNBOOK.page_worthy, *RUNBOOK.ticket_worthy]
    listed = {alert.name for alerts in WORTH.values() for alert in alerts}
    assert {of_row(row).name for row in RUNBOOK.thresholds} <= listed
