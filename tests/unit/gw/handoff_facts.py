"""Facts of a shift for the tests of the hand-over: a quiet one, and makers of what was not quiet."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from actions_gateway.api.ledger import RerunState
from cli.objects import gateway
from gw.checks.model import Category, Check, CheckResult, Finding, Scope, ok
from gw.ops.handoff.checklist import CHECK_IDS, Extra, judge_items
from gw.ops.handoff.model import Item
from gw.sources.alerting import AlertFact, AlertingFact, SilenceFact
from gw.sources.facts import Facts, Known, Missing
from gw.sources.gateways import parse_gateway
from gw.sources.incidents import IncidentsFact
from gw.sources.lostjobs import LostJobFact
from gw.sources.pods import PodFact, PodRole
from gw.sources.records import RecordsFact
from gw.sources.shift import ShiftFacts
from gw.sources.shiftseries import ShiftSeriesFact
from gw_alerts.thresholds import Severity
from support.clock import START
from support.monitoring import MONITORING, series

SINCE = START - timedelta(hours=12)
FORBIDDEN = Missing('could not list pods: User "eve" cannot list resource "pods"', "ask", is_forbidden=True)


def ago(**time: float) -> datetime:
    return START - timedelta(**time)


def check(check_id: str, severity: Severity = Severity.PAGE) -> Check:
    return Check(
        check_id,
        "It is fine",
        severity,
        Scope.TENANT,
        frozenset(),
        lambda _: (),
        category=Category.WORKERS,
        looks_at="pods",
    )


def results(**findings: Finding | tuple[Finding, ...]) -> tuple[CheckResult, ...]:
    """Every check of the checklist, fine unless it is named with dots as underscores."""
    told = {name.replace("__", "-").replace("_", "."): each for name, each in findings.items()}
    found = []
    for check_id in sorted({*CHECK_IDS, *told}):
        each = told.get(check_id, ok("team-a/ci", "fine"))
        found.append(CheckResult(check(check_id), each if isinstance(each, tuple) else (each,)))
    return tuple(found)


def facts(**more: Any) -> Facts:
    base: dict[str, Any] = {
        "gateways": Known(()),
        "pods": Known(()),
        "manager_pods": Known(()),
        "lost_jobs": Known(()),
        "alerting": Known(AlertingFact("Alertmanager at x", "0.27", True, (), ())),
        "monitoring": Known(MONITORING),
    }
    return Facts(START, **(base | more))


def shift(**more: Any) -> ShiftFacts:
    base: dict[str, Any] = {
        "gateways": Known(()),
        "quotas": Known(()),
        "deployments": Known(()),
        "records": Known(RecordsFact((), ())),
        "incidents": Known(IncidentsFact((), ())),
        "series": Known(SERIES),
    }
    return ShiftFacts(SINCE, **(base | more))


SERIES = ShiftSeriesFact("Prometheus at x", (), {}, {}, {}, (), ())


def items(found: tuple[CheckResult, ...], known: Facts | None = None, **extra: Extra) -> dict[int, Item]:
    return {
        item.number: item
        for item in judge_items(found, known or facts(), {int(key[1:]): each for key, each in extra.items()})
    }


def alert(severity: str = "page", **more: Any) -> AlertFact:
    labels = {"namespace": "team-a"} | more.pop("labels", {})
    return AlertFact("ActionsGatewayX", severity, labels, "no session", ago(hours=1), "active", **more)


def watched(*alerts: AlertFact, silences: tuple[SilenceFact, ...] = (), namespace: str | None = None) -> Facts:
    """Alerts of a Prometheus that watches team-a of this cluster."""
    known = facts(
        gateways=Known((parse_gateway(gateway("team-a")),)),
        alerting=alerting(*alerts, silences=silences),
        series=Known(series(gateway=("team-a", "uid-team-a"))),
    )
    return replace(known, namespace=namespace)


def alerting(*alerts: AlertFact, silences: tuple[SilenceFact, ...] = ()) -> Known[AlertingFact]:
    return Known(AlertingFact("Alertmanager at x", "0.27", True, alerts, silences))


AGENT = PodFact("team-a", "agent-1", PodRole.AGENT, "Running", ago(days=1), is_ready=True)
SILENCE = SilenceFact("s1", 'alertname="X"', "carol", "known", ago(hours=2), START + timedelta(hours=3), True)


def lost(**more: Any) -> LostJobFact:
    base: dict[str, Any] = {
        "namespace": "team-a",
        "repository": "octo/demo",
        "run_id": 17,
        "job_id": 5,
        "name": "build",
        "group": "cpu",
        "runner": "r1",
        "cause": "eviction",
        "attempt": 3,
        "lost_at": ago(hours=2),
        "state": RerunState.EXHAUSTED.value,
        "retries": 2,
    }
    return LostJobFact(**(base | more))
