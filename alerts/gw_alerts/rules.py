"""Alert rules as data, and their form as Prometheus rule groups.

The first set: the rows of the production runbook's table whose metric is exported today. Number, comparison and
severity come from `thresholds`; `for` and windows are ours. Metrics are named through the catalogue only.

Grouping begins with `cluster`, which a fleet's Prometheus adds and a single one lacks: a missing label is empty in
PromQL, so the rules are right in both.
"""

from dataclasses import dataclass
from typing import Any

from actions_gateway.metrics import catalog as m
from gw_alerts import thresholds as t

GROUP = "actions-gateway"
TENANT = "cluster, namespace"
RUNNER_GROUP = f"{TENANT}, runner_group"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert."""

    name: str
    threshold: t.Threshold
    expression: str
    for_minutes: int
    """How long the expression holds before the alert fires."""
    summary: str
    description: str
    page: str
    """The runbook page, from the project's root."""

    def rule(self) -> dict[str, Any]:
        """The entry of a rule group."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": f"{self.for_minutes}m",
            "labels": {"severity": self.threshold.severity.value, "team": "ci-platform"},
            "annotations": {"summary": self.summary, "description": self.description, "runbook": self.page},
        }


_MEMORY = "24h"
"""For how long a manager that is gone is still believed: a night and the working day after its ticket."""


def _expected() -> str:
    """The groups that should poll by what the manager said last, now or before it was gone.

    What counts is the minute: a group is expected when it was so in the last minute that has anything of a manager.
    The last value alone would not do, since the series of a deleted group, or of an earlier leader, ends with a 1.
    """
    polling = f"max by ({RUNNER_GROUP}) ({m.EXPECTED_SESSIONS.name}) > 0"
    manager = f"max by (cluster) ({m.MANAGED_GATEWAYS.name})"
    return (
        f"max_over_time(timestamp({polling})[{_MEMORY}:1m])"
        f" >= on (cluster) group_left () (max_over_time(timestamp({manager})[{_MEMORY}:1m]) - 60)"
    )


def _no_active_sessions() -> str:
    """Of the groups that should poll, those without a session, be the agent's series at 0 or gone with the agent.

    The second arm is for groups of which no manager has said anything: there the agent's own 0 is enough.
    """
    active = f"max by ({RUNNER_GROUP}) ({m.ACTIVE_SESSIONS.name})"
    known = f"max by ({RUNNER_GROUP}) (last_over_time({m.EXPECTED_SESSIONS.name}[{_MEMORY}]))"
    bound = f"{t.NO_ACTIVE_SESSION.value:g}"
    return (
        f"(({_expected()}) unless on ({RUNNER_GROUP}) {active} > {bound})"
        f" or ({active} == {bound} unless on ({RUNNER_GROUP}) {known})"
    )


def events(metric: m.Metric, window: str, by: str = TENANT) -> str:
    """Whole events within `window`: what extrapolation adds to a single one must not make it more than one."""
    return f"round(sum by ({by}) (increase({metric.name}[{window}])))"


def errors(metric: m.Metric, window: str, seconds: int) -> str:
    """The rate over `window`, in the threshold's unit of so many seconds."""
    rate = f"sum by ({TENANT}) (rate({metric.name}[{window}]))"
    return f"round({rate} * {seconds}, 0.01)"


RENEWJOB_ERRORS = errors(m.RENEWJOB_ERRORS, "3m", 60)
TOKEN_ERRORS = events(m.TOKEN_REFRESH_ERRORS, "1h")
RECONCILE_ERRORS = errors(m.RECONCILE_ERRORS, "15m", 300)
SLOW_JOBS = 2
"""So many make a slow start a problem: one image pull at night is no incident."""


def pod_latency(quantile: float) -> str:
    """Over 30 minutes; NaN without a job in them."""
    buckets = f"sum by ({TENANT}, le) (rate({m.POD_CREATION_LATENCY.name}_bucket[30m]))"
    return f"histogram_quantile({quantile}, {buckets})"


def slow_jobs(threshold: t.Threshold) -> str:
    """How many jobs of 30 minutes were slower; the threshold is the bound of a bucket."""
    name, bound = m.POD_CREATION_LATENCY.name, threshold.value
    all_jobs = f"sum by ({TENANT}) (increase({name}_count[30m]))"
    fast = f'sum by ({TENANT}) (increase({name}_bucket{{le=~"{bound:g}([.]0)?"}}[30m]))'
    return f"round({all_jobs} - {fast})"


def _above(expression: str, threshold: t.Threshold) -> str:
    return f"{expression} > {threshold.value:g}"


def _slow_pods(threshold: t.Threshold, quantile: float) -> str:
    slow = f"{slow_jobs(threshold)} >= {SLOW_JOBS}"
    return f"{_above(pod_latency(quantile), threshold)} and on ({TENANT}) {slow}"


ALERTS: tuple[Alert, ...] = (
    Alert(
        "ActionsGatewayNoActiveSessions",
        t.NO_ACTIVE_SESSION,
        _no_active_sessions(),
        2,
        "No session is open for {{ $labels.namespace }}/{{ $labels.runner_group }}",
        "No listener polls, so its jobs wait at GitHub until one does.",
        "runbooks/checks/session.open.md",
    ),
    Alert(
        "ActionsGatewayTokenRefreshErrors",
        t.TOKEN_REFRESH_ERRORS_PER_HOUR,
        _above(TOKEN_ERRORS, t.TOKEN_REFRESH_ERRORS_PER_HOUR),
        1,
        "{{ $labels.namespace }} gets no installation token",
        "The current token ends within an hour; sessions fail then. {{ $value }} errors in the last hour.",
        "runbooks/checks/credential.available.md",
    ),
    Alert(
        "ActionsGatewayRenewJobErrors",
        t.RENEWJOB_ERRORS_PER_MINUTE,
        _above(RENEWJOB_ERRORS, t.RENEWJOB_ERRORS_PER_MINUTE),
        2,
        "{{ $labels.namespace }} cannot renew its jobs' locks",
        "A job whose lock runs out, after about 10 min, is cancelled. {{ $value }} errors a minute.",
        "runbooks/alerts/renewjob.md",
    ),
    Alert(
        "ActionsGatewayPodCreationLatencyP95",
        t.POD_CREATION_P95_SECONDS,
        _slow_pods(t.POD_CREATION_P95_SECONDS, 0.95),
        10,
        "Worker pods of {{ $labels.namespace }} start slowly",
        "p95 from a job's delivery to its pod scheduled is {{ $value | humanizeDuration }}; jobs are completing.",
        "runbooks/alerts/pod-creation-latency.md",
    ),
    Alert(
        "ActionsGatewayPodCreationLatencyP99",
        t.POD_CREATION_P99_SECONDS,
        _slow_pods(t.POD_CREATION_P99_SECONDS, 0.99),
        6,
        "Scheduling of worker pods of {{ $labels.namespace }} is stalled",
        "p99 from a job's delivery to its pod scheduled is {{ $value | humanizeDuration }}.",
        "runbooks/alerts/pod-creation-latency.md",
    ),
    Alert(
        "ActionsGatewayReconcileErrors",
        t.RECONCILE_ERRORS_PER_5_MINUTES,
        _above(RECONCILE_ERRORS, t.RECONCILE_ERRORS_PER_5_MINUTES),
        10,
        "Reconciles keep failing in {{ $labels.namespace }}",
        "What is written may be stale. {{ $value }} failures in 5 minutes.",
        "runbooks/alerts/reconcile.md",
    ),
)


def rule_groups() -> list[dict[str, Any]]:
    """The groups of a rule file, which are those of a PrometheusRule's spec, too."""
    return [{"name": GROUP, "interval": "1m", "rules": [alert.rule() for alert in ALERTS]}]
