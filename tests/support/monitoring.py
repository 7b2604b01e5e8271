"""A Prometheus that answers over HTTP what a healthy gateway's would, and facts as gathered of it and of Alertmanager.

Shapes: Prometheus documentation, "HTTP API", as its version 2.42 answers (tests/component/monitoring asks a real one).
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.api import labels
from actions_gateway.metrics.catalog import Component
from gw.ops.alerting.expressions import duration_seconds
from gw.sources import series as s
from gw.sources.alerting import AlertFact, AlertingFact
from gw.sources.monitoring import MonitoringFact, TargetFact
from gw.sources.series import SeriesFact, SeriesQuery
from gw_alerts.catalog import ALERTS, PROBLEMS
from gw_alerts.catalog.watching import WATCHDOG
from gw_alerts.model import TEAM
from gw_alerts.rules import rule_groups
from support.clock import START

Manifest = Mapping[str, Any]
Reply = tuple[int, bytes]

HEALTHY: dict[SeriesQuery, float] = {
    s.POLL_AGE: 20.0,
    s.POLLING: 1.0,
    s.LOCK_LEFT: 590.0,
    s.EXHAUSTED: 0.0,
    s.RENEWAL_ERRORS: 0.0,
    s.TOKEN_ERRORS: 0.0,
    s.TOKEN_FAILURES: 0.0,
    s.LATENCY_P95: 2.5,
    s.LATENCY_P99: 4.0,
    s.SLOW_P95: 0.0,
    s.SLOW_P99: 0.0,
    s.RECONCILE_ERRORS: 0.0,
    s.BUDGET_LEFT: 4900.0,
    s.BUDGET: 5000.0,
    s.LIMITED_POLLS: 0.0,
    s.WAITING_CALLS: 0.0,
}
"""By query: what it says of every tenant or group; NOW, LAST_SEEN and GATEWAYS are the clusters' own."""

PLATFORM = "gmc-system"


def series(
    changes: Mapping[SeriesQuery, float | None] | None = None,
    *,
    group: tuple[str, str] = ("team-a", "ci-cpu"),
    gateway: tuple[str, str] = ("ci", "uid-ci"),
    cluster: str = "",
    seen_seconds_ago: float = 10.0,
    firing: Collection[tuple[str, str, str]] = (),
) -> SeriesFact:
    """As gathered of one tenant with one group; None leaves a series out."""
    namespace = group[0]
    values: dict[SeriesQuery, dict[tuple[str, ...], float]] = {
        s.LAST_SEEN: {(cluster,): START.timestamp() - seen_seconds_ago}
    }
    for query, value in {**HEALTHY, **(changes or {})}.items():
        keys = [(cluster, *group)] if "runner_group" in query.labels else [(cluster, namespace)]
        values[query] = {} if value is None else dict.fromkeys(keys, value)
    values[s.RECONCILE_ERRORS].setdefault((cluster, PLATFORM), 0.0)
    values[s.FIRING] = dict.fromkeys(((cluster, *key) for key in firing), 1.0)
    name, uid = gateway
    return SeriesFact("Prometheus at x", START, values, {(cluster, uid): f"{namespace}/{name}"})


def target(pod: str, namespace: str = "team-a", *, is_up: bool = True, error: str = "") -> TargetFact:
    return TargetFact("job", namespace, pod, is_up, error)


MONITORING = MonitoringFact(
    "Prometheus at x", "2.42.0", True, {alert.name: "ok" for alert in ALERTS}, (), alertmanager_count=1
)
SWITCH = AlertFact(
    *(WATCHDOG.name, WATCHDOG.severity, {"alertname": WATCHDOG.name, "team": TEAM}),
    *("It always fires", START, "active"),
)
ALERTING = AlertingFact("Alertmanager at y", "0.25.0", True, (SWITCH,), ())


def alert(severity: str = "page", state: str = "active", silenced_by: tuple[str, ...] = (), **more: str) -> AlertFact:
    """One that fires for the tenant's group."""
    about = {"namespace": "team-a", "runner_group": "ci-cpu", **more}
    rule = PROBLEMS[0]
    return AlertFact(rule.name, severity, about, "No session is open", START, state, silenced_by, rule.page)


@dataclass
class PrometheusDouble:
    """Answers of gateways, groups and pods that it is shown; `values` and the rest are for tests to change."""

    objects: Callable[[], Iterable[Manifest]]
    values: dict[SeriesQuery, float] = field(default_factory=lambda: dict(HEALTHY))
    cluster: str = ""
    uid_prefix: str = ""
    """Makes its gateways those of another cluster."""
    seen_seconds_ago: float = 10.0
    is_ready: bool = True
    rules: dict[str, str] = field(default_factory=lambda: {alert.name: "ok" for alert in ALERTS})
    """Of alerts; one that is not there has no rule."""
    edited: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda groups: groups
    """What somebody has made of the rule groups."""
    version: str = "2.42.0"
    down: dict[str, str] = field(default_factory=dict)
    """By pod: why it is not scraped."""
    alertmanagers: list[str] = field(default_factory=lambda: ["http://10.0.0.9:9093/api/v2/alerts"])
    asked: list[str] = field(default_factory=list)
    tracks: list[tuple[str, Mapping[str, str], list[tuple[float, float]]]] = field(default_factory=list)
    """Of range queries: part of the expression, labels, and points as (seconds before now, value)."""
    firing: list[tuple[str, str, str]] = field(default_factory=list)
    """Alert, namespace and runner group."""
    kept_seconds: float = math.inf
    """For how long it has had anything."""
    configuration: str = "global:\n  scrape_interval: 30s\nscrape_configs: []\n"
    """As it tells it; empty where it does not."""

    def answer(self, path: str, query: Mapping[str, str]) -> Reply:
        self.asked.append(path)
        match path:
            case "/-/ready":
                return (200, b"Prometheus Server is Ready.\n") if self.is_ready else (503, b"Service Unavailable")
            case "/api/v1/query":
                return self._query(query["query"])
            case "/api/v1/query_range":
                return self._range(query)
            case "/api/v1/status/buildinfo":
                return _success({"version": self.version, "goVersion": "go1.19"})
            case "/api/v1/status/config" if self.configuration:
                return _success({"yaml": self.configuration})
            case "/api/v1/rules":
                return _success({"groups": self.edited(loaded_groups(self.rules))})
            case "/api/v1/targets":
                return _success({"activeTargets": [self._target(pod) for pod in self._pods()]})
            case "/api/v1/alertmanagers":
                return _success({"activeAlertmanagers": [{"url": url} for url in self.alertmanagers]})
        return 404, b"404 page not found\n"

    def _query(self, expression: str) -> Reply:
        query = next((query for query in s.QUERIES if query.expression == expression), None)
        at = START.timestamp()
        if query is None:
            return _success({"resultType": "vector", "result": []})
        if query is s.NOW:
            return _success({"resultType": "scalar", "result": [at, str(at)]})
        of_cluster = {"cluster": self.cluster} if self.cluster else {}
        entries: list[Manifest] = [
            {"metric": of_cluster | dict(zip(query.labels, key, strict=True)), "value": [at, _text(value)]}
            for key, value in self._results(query)
        ]
        return _success({"resultType": "vector", "result": entries})

    def _range(self, query: Mapping[str, str]) -> Reply:
        start, end, step = (float(query[key]) for key in ("start", "end", "step"))
        first = max(start, end - self.kept_seconds)
        scraped = [(end - start - count * step, 3.0) for count in range(int((end - start) / step) + 1)]
        kept = [point for point in scraped if end - point[0] >= first]
        of_cluster = {"cluster": self.cluster} if self.cluster else {}
        tracks = [
            *self.tracks,
            *(("_build_info", of_cluster | {"component": component.value}, kept) for component in Component),
        ]
        result = [
            {"metric": dict(about), "values": [[end - seconds_ago, _text(value)] for seconds_ago, value in points]}
            for part, about, points in tracks
            if part in query["query"]
        ]
        return _success({"resultType": "matrix", "result": result})

    def _results(self, query: SeriesQuery) -> Iterable[tuple[tuple[str, ...], float]]:
        about = [manifest["metadata"] | {"kind": manifest["kind"]} for manifest in self.objects()]
        gateways = [each for each in about if each["kind"] == "ActionsGateway"]
        if query is s.LAST_SEEN:
            yield (), START.timestamp() - self.seen_seconds_ago
        elif query is s.FIRING:
            yield from ((key, 1.0) for key in self.firing)
        elif query is s.GATEWAYS:
            for each in gateways:
                yield (each["namespace"], each["name"], f"{self.uid_prefix}{each['uid']}"), 1.0
        elif "runner_group" in query.labels:
            for each in about:
                if each["kind"] == "RunnerGroup":
                    yield (each["namespace"], each["name"]), self.values[query]
        else:
            for each in gateways:
                yield (each["namespace"],), self.values[query]
            if query is s.RECONCILE_ERRORS:
                yield (PLATFORM,), 0.0

    def _pods(self) -> Iterable[Manifest]:
        return (
            each["metadata"]
            for each in self.objects()
            if each["kind"] == "Pod" and labels.RUNNER_GROUP not in (each["metadata"].get("labels") or {})
        )

    def _target(self, pod: Manifest) -> Manifest:
        error = self.down.get(pod["name"], "")
        about = {"job": "actions-gateway", "namespace": pod["namespace"], "pod": pod["name"]}
        return {"labels": about, "health": "down" if error else "up", "lastError": error}


def loaded_groups(healths: Mapping[str, str]) -> list[dict[str, Any]]:
    """The shipped groups as a Prometheus tells them that has read them; alerts without a health are left out."""
    return [
        {
            "name": group["name"],
            "file": "/etc/prometheus/rules/actions-gateway.rules.yaml",
            "interval": duration_seconds(group["interval"]),
            "rules": [_loaded(rule, healths) for rule in group["rules"] if rule.get("alert", "") in {"", *healths}],
        }
        for group in rule_groups()
    ]


def _loaded(rule: Manifest, healths: Mapping[str, str]) -> dict[str, Any]:
    # An empty mapping is left out, and the expression is Prometheus's own writing of it.
    labels = {"labels": dict(rule["labels"])} if rule.get("labels") else {}
    if "record" in rule:
        return {"type": "recording", "name": rule["record"], "query": rule["expr"], "health": "ok", **labels}
    health = healths[rule["alert"]]
    return {
        "type": "alerting",
        "name": rule["alert"],
        "query": rule["expr"],
        "duration": duration_seconds(rule["for"]),
        "keepFiringFor": duration_seconds(rule.get("keep_firing_for", "0")),
        **labels,
        "annotations": dict(rule["annotations"]),
        "alerts": [],
        "health": health,
        **({"lastError": "many-to-many matching not allowed"} if health == "err" else {}),
    }


def _success(data: Any) -> Reply:
    return 200, json.dumps({"status": "success", "data": data}).encode()


def _text(value: float) -> str:
    """As Prometheus writes special numbers."""
    return "NaN" if math.isnan(value) else "+Inf" if value == math.inf else str(value)
