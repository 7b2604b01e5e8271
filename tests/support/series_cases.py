"""Cases of the checks that read Prometheus and Alertmanager, for tests/unit/gw/test_checks.py."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gw.checks.model import Outcome
from gw.sources import series as s
from gw.sources.facts import Known, Missing
from gw.sources.lostjobs import UNREADABLE, LostJobFact
from gw_alerts.catalog import ALERTS, PROBLEMS
from gw_alerts.catalog.components import TENANT_PAUSED
from gw_alerts.catalog.watching import WATCHDOG
from support.clock import START
from support.monitoring import ALERTING, MONITORING, SWITCH, alert, series, target

Case = tuple[str, str, dict[str, Any]]

POD_TARGETS = (target("agent-1"), target("proxy-1"), target("gmc-0", "gmc-system"), target("gmc-1", "gmc-system"))
OBSERVED: dict[str, Any] = {
    "series": Known(series()),
    "monitoring": Known(replace(MONITORING, targets=POD_TARGETS)),
    "alerting": Known(ALERTING),
}
"""The facts of a healthy gateway's monitoring."""


def measured(changes: dict[s.SeriesQuery, float | None]) -> dict[str, Any]:
    return {"series": Known(series(changes))}


def monitoring(**changes: Any) -> dict[str, Any]:
    return {"monitoring": Known(replace(MONITORING, **({"targets": POD_TARGETS} | changes)))}


def alerting(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {"alerting": Known(replace(ALERTING, alerts=(*alerts, SWITCH), **changes))}


def without_alert(state: str | None = None) -> dict[str, Any]:
    """The first rule is not loaded, or in that state."""
    rest = {each.name: "ok" for each in ALERTS[1:]}
    return monitoring(alerts=rest | ({ALERTS[0].name: state} if state else {}))


def without_switch() -> dict[str, Any]:
    """The dead-man's switch is loaded and not evaluated yet."""
    return monitoring(alerts=dict(MONITORING.alerts) | {WATCHDOG.name: "unknown"})


def owed(state: str, request: str = "") -> dict[str, Any]:
    """The ledger has a job in that state, after a person's request if one is given."""
    lost = LostJobFact(
        *("team-a", "octo/demo", 17, 1, "build", "ci-cpu", "ci-cpu-1", "eviction", 3, START, state),
        retries=2,
        request=request,
    )
    return {"lost_jobs": Known((lost,))}


def firing(namespace: str = "team-a", **more: Any) -> dict[str, Any]:
    """Prometheus has an alert that fires."""
    return {"series": Known(series(firing=[(PROBLEMS[0].name, namespace, "ci-cpu")], **more))}


def switches(*labels: dict[str, str]) -> Known[Any]:
    """Alertmanager hears one dead-man's switch with each of these labels besides its own."""
    heard = tuple(replace(SWITCH, labels={**SWITCH.labels, **each}) for each in labels)
    return Known(replace(ALERTING, alerts=heard))


UNHEARD = replace(ALERTING, alerts=())
PAUSED = replace(alert("info"), name=TENANT_PAUSED.name)
NO_MANAGER = {"manager_pods": Known(())}
NOBODY = Missing("Prometheus at x gives no answer: connection refused", "See.", is_down=True)
SLOW_P99 = {s.LATENCY_P99: 61.0, s.SLOW_P99: 2.0}
SLOW_P95 = {s.LATENCY_P95: 16.0, s.SLOW_P95: 2.0}
NO_TRAFFIC = {s.LATENCY_P95: math.nan, s.LATENCY_P99: math.nan}

FAILING: list[Case] = [
    ("reconcile.converging", "the agent's fail", {"namespace": "team-a"} | measured({s.RECONCILE_ERRORS: 1.01})),
    (
        "credential.refresh",
        "two in an hour, and no token since",
        measured({s.TOKEN_ERRORS: 2.0, s.TOKEN_FAILURES: 2.0}),
    ),
    ("session.polling", "the last is 181 s old", measured({s.POLL_AGE: 181.0})),
    ("job.locks", "299 s are left", measured({s.LOCK_LEFT: 299.0})),
    ("job.locks", "one has run out", measured({s.LOCK_LEFT: -5.0})),
    ("job.renewal", "5.01 a minute fail", measured({s.RENEWAL_ERRORS: 5.01})),
    ("retries.exhausted", "one job that is owed a rerun", measured({s.EXHAUSTED: 1.0}) | owed("exhausted")),
    ("retries.exhausted", "three that no ledger tells of", measured({s.EXHAUSTED: 3.0}) | {"lost_jobs": Known(())}),
    ("retries.exhausted", "one beside an ordinary loss", measured({s.EXHAUSTED: 1.0}) | owed("requested")),
    ("retries.exhausted", "two, and one was asked for", measured({s.EXHAUSTED: 2.0}) | owed("requested", "t1")),
    (
        "retries.exhausted",
        "GitHub refused what a person asked for",
        measured({s.EXHAUSTED: 1.0}) | owed("refused", "t1"),
    ),
    ("retries.exhausted", "an entry cannot be read", measured({s.EXHAUSTED: 1.0}) | owed(UNREADABLE)),
    ("worker.latency", "p95 is 16 s", measured({**SLOW_P95})),
    ("worker.latency", "p99 is 61 s", measured({**SLOW_P99})),
    ("github.budget", "499 of 5000 are left", measured({s.BUDGET_LEFT: 499.0})),
    ("github.budget", "polls are limited", measured({s.LIMITED_POLLS: 1.0})),
    ("github.budget", "calls wait", measured({s.WAITING_CALLS: 3.0})),
    ("monitoring.answers", "it starts", monitoring(is_ready=False)),
    ("monitoring.answers", "it is down", {"monitoring": NOBODY}),
    ("monitoring.rules", "none is loaded", monitoring(alerts={})),
    ("monitoring.rules", "one is not loaded", without_alert()),
    ("monitoring.rules", "one cannot be evaluated", without_alert(state="err")),
    ("monitoring.targets", "the agent is not scraped", NO_MANAGER | monitoring(targets=POD_TARGETS[1:])),
    (
        "monitoring.targets",
        "a proxy's scrape fails",
        NO_MANAGER | monitoring(targets=(POD_TARGETS[0], target("proxy-1", is_up=False, error="refused"))),
    ),
    ("monitoring.targets", "a manager is not scraped", {"pods": Known(())} | monitoring(targets=POD_TARGETS[:3])),
    ("monitoring.alertmanager", "it is down", {"alerting": replace(NOBODY, reason="Alertmanager at y is gone")}),
    ("monitoring.alertmanager", "it starts", alerting(is_ready=False)),
    ("monitoring.alertmanager", "Prometheus tells nobody", monitoring(alertmanager_count=0)),
    (
        "monitoring.alertmanager",
        "it does not hear the dead-man's switch",
        monitoring(switch_since=START - timedelta(seconds=181)) | {"alerting": Known(UNHEARD)},
    ),
    (
        "monitoring.alertmanager",
        "the switch that it hears is another cluster's",
        {
            "series": Known(series(cluster="prod-eu")),
            "alerting": switches({"cluster": "prod-us"}),
        },
    ),
    (
        "monitoring.alertmanager",
        "the switch that it hears is another cluster's than the external label's",
        monitoring(cluster="prod-eu") | {"alerting": switches({"cluster": "prod-us"}, {})},
    ),
    (
        "monitoring.alertmanager",
        "the switch that it hears is another project's",
        {"alerting": switches({"team": "nodes"}), **monitoring(cluster="")},
    ),
    ("alerts.firing", "one fires", alerting(alert())),
    ("alerts.firing", "its Alertmanager has not heard of one", firing()),
    ("alerts.firing", "both know of it", firing() | alerting(alert())),
    ("alerts.firing", "the manager's own fires", alerting(alert(namespace="gmc-system", runner_group=""))),
]

PASSING: list[Case] = [
    ("reconcile.converging", "one in 5 min", measured({s.RECONCILE_ERRORS: 1.0})),
    ("credential.refresh", "one in an hour", measured({s.TOKEN_ERRORS: 1.0, s.TOKEN_FAILURES: 1.0})),
    ("credential.refresh", "nine in an hour, and a token since", measured({s.TOKEN_ERRORS: 9.0})),
    ("retries.exhausted", "one job that a person had rerun", measured({s.EXHAUSTED: 1.0}) | owed("requested", "t1")),
    ("session.polling", "the last is 120 s old", measured({s.POLL_AGE: 120.0})),
    ("session.polling", "all sessions are busy", measured({s.POLL_AGE: 3600.0, s.POLLING: 0.0})),
    ("job.locks", "300 s are left", measured({s.LOCK_LEFT: 300.0})),
    ("job.locks", "no job runs", measured({s.LOCK_LEFT: math.inf})),
    ("job.renewal", "5 a minute fail", measured({s.RENEWAL_ERRORS: 5.0})),
    ("worker.latency", "one job alone was slow", measured({**SLOW_P99, s.SLOW_P99: 1.0})),
    ("worker.latency", "p95 is 15 s", measured({**SLOW_P95, s.LATENCY_P95: 15.0})),
    ("worker.latency", "no job came", measured({**NO_TRAFFIC})),
    ("github.budget", "500 of 5000 are left", measured({s.BUDGET_LEFT: 500.0})),
    ("github.budget", "GitHub has told of none yet", measured({s.BUDGET_LEFT: 0.0, s.BUDGET: 0.0})),
    ("alerts.firing", "the dead-man's switch alone fires", alerting()),
    ("alerts.firing", "what fires only inhibits", alerting(PAUSED)),
    (
        "monitoring.alertmanager",
        "of several switches one has the external label's cluster",
        monitoring(cluster="prod-eu") | {"alerting": switches({"cluster": "prod-us"}, {"cluster": "prod-eu"})},
    ),
    (
        "monitoring.alertmanager",
        "of several switches one has no cluster, as Prometheus has none",
        monitoring(cluster="") | {"alerting": switches({"cluster": "prod-us"}, {})},
    ),
    (
        "monitoring.alertmanager",
        "of several switches one has the cluster of its series",
        {
            "series": Known(series(cluster="prod-eu")),
            "alerting": switches({"cluster": "prod-us"}, {"cluster": "prod-eu"}),
        },
    ),
    ("monitoring.alertmanager", "no switch is to be heard yet", without_switch() | {"alerting": Known(UNHEARD)}),
    ("alerts.firing", "another tenant's fires", alerting(alert(namespace="team-z"))),
    ("alerts.firing", "another tenant's fires in Prometheus", firing("team-z")),
    (
        "session.polling",
        "a fleet's Prometheus has this cluster under a name",
        {"series": Known(series(cluster="prod-eu"))},
    ),
    (
        "alerts.firing",
        "another cluster's fires",
        {"series": Known(series(cluster="prod-eu"))} | alerting(alert(cluster="prod-us")),
    ),
]

FOREIGN = {"series": Known(series(gateway=("ci", "another")))}
OF_SERIES = (
    *("reconcile.converging", "credential.refresh", "session.polling", "job.locks", "job.renewal"),
    *("retries.exhausted", "worker.latency", "github.budget", "monitoring.rules", "monitoring.targets"),
)
_QUERIES: dict[str, s.SeriesQuery] = {
    "credential.refresh": s.TOKEN_ERRORS,
    "session.polling": s.POLL_AGE,
    "job.locks": s.LOCK_LEFT,
    "job.renewal": s.RENEWAL_ERRORS,
    "retries.exhausted": s.EXHAUSTED,
    "worker.latency": s.LATENCY_P95,
    "github.budget": s.BUDGET_LEFT,
}

UNDECIDED: list[tuple[str, str, Outcome, dict[str, Any]]] = [
    *((check_id, "the Prometheus is another cluster's", Outcome.UNKNOWN, FOREIGN) for check_id in OF_SERIES),
    *(
        (check_id, "the newest sample is 301 s old", Outcome.UNKNOWN, {"series": Known(series(seen_seconds_ago=301))})
        for check_id in OF_SERIES
    ),
    (
        "credential.refresh",
        "two in an hour, and no agent that would tell of a token since",
        Outcome.UNKNOWN,
        measured({s.TOKEN_ERRORS: 2.0, s.TOKEN_FAILURES: None}),
    ),
    ("job.locks", "its agent is gone", Outcome.UNKNOWN, measured({s.LOCK_LEFT: 1.0}) | {"pods": Known(())}),
    ("session.polling", "its agent is gone", Outcome.UNKNOWN, measured({s.POLL_AGE: 900.0}) | {"pods": Known(())}),
    ("github.budget", "its agent is gone", Outcome.UNKNOWN, measured({s.BUDGET_LEFT: 0.0}) | {"pods": Known(())}),
    (
        "monitoring.targets",
        "its first scrape is to come",
        Outcome.UNKNOWN,
        NO_MANAGER | monitoring(targets=(target("agent-1", is_up=False), *POD_TARGETS[1:])),
    ),
    (
        "session.polling",
        "nothing counts its sessions",
        Outcome.UNKNOWN,
        measured({s.POLL_AGE: 3600.0, s.POLLING: None}),
    ),
    ("alerts.firing", "no rule is loaded", Outcome.UNKNOWN, monitoring(alerts={})),
    ("alerts.firing", "one rule cannot be evaluated", Outcome.UNKNOWN, without_alert(state="err")),
    ("alerts.firing", "Prometheus tells nobody", Outcome.UNKNOWN, monitoring(alertmanager_count=0)),
    *((check_id, "it has no such series", Outcome.UNKNOWN, measured({q: None})) for check_id, q in _QUERIES.items()),
    *(
        (check_id, "no agent is there", Outcome.UNKNOWN, measured({q: None}) | {"pods": Known(())})
        for check_id, q in _QUERIES.items()
    ),
    *(
        (check_id, "there is no gateway", Outcome.SKIPPED, {"gateways": Known(()), "groups": Known(())})
        for check_id in OF_SERIES
    ),
    ("monitoring.rules", "one was not evaluated yet", Outcome.UNKNOWN, without_alert(state="unknown")),
    ("alerts.firing", "somebody silenced it", Outcome.SKIPPED, alerting(alert(silenced_by=("abc",)))),
    ("alerts.firing", "another stands for it", Outcome.SKIPPED, alerting(alert(state="suppressed"))),
    (
        "monitoring.alertmanager",
        "Prometheus has just begun to fire the switch",
        Outcome.UNKNOWN,
        monitoring(switch_since=START - timedelta(seconds=180)) | {"alerting": Known(UNHEARD)},
    ),
    (
        "monitoring.alertmanager",
        "it has just been started",
        Outcome.UNKNOWN,
        {"alerting": Known(replace(UNHEARD, started_at=START - timedelta(seconds=180)))},
    ),
    *(
        ("monitoring.alertmanager", f"{what}, and its external label is {told}", Outcome.UNKNOWN, facts)
        for told, cluster in (("none", ""), ("not told", None))
        for what, facts in (
            ("one cluster's switch is heard", monitoring(cluster=cluster) | {"alerting": switches({"cluster": "eu"})}),
            (
                "two clusters' switches are heard",
                monitoring(cluster=cluster) | {"alerting": switches({"cluster": "eu"}, {"cluster": "us"})},
            ),
        )
    ),
    (
        "monitoring.alertmanager",
        "two switches are heard, one without a cluster, and its external label is not told",
        Outcome.UNKNOWN,
        {"alerting": switches({"cluster": "eu"}, {})},
    ),
    ("monitoring.alertmanager", "it is slow", Outcome.UNKNOWN, {"alerting": Missing("it took longer than 4 s")}),
]
