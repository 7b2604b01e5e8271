"""gw health with a Prometheus that is absent, slow, wrong, another cluster's or out of reach: the rest stands."""

import asyncio
import json
import math
import re
from typing import Any

import pytest

from actions_gateway.api import names
from actions_gateway.kube import errors
from gw.sources import endpoints
from gw.sources import series as s
from gw.sources.places import open_http
from gw_alerts.catalog.watching import WATCHDOG
from gw_alerts.model import TEAM
from support.alertmanager import AlertmanagerDouble
from support.clock import START
from support.monitoring import HEALTHY, PrometheusDouble

from .double import ClusterDouble
from .objects import gateway, healthy_cluster, service
from .rig import Gw, check_golden, environment

URL = "http://prometheus.example:9090"
ALERTMANAGER_URL = "https://alerts.example/alertmanager"
NEEDING_SERIES = {
    *("reconcile.converging", "credential.refresh", "session.polling", "job.locks", "job.renewal"),
    *("retries.exhausted", "worker.latency", "github.budget"),
}


@pytest.fixture
def healthy() -> Gw:
    return Gw(ClusterDouble(*healthy_cluster()))


@pytest.fixture
def without() -> Gw:
    """Without monitoring in the cluster."""
    return Gw(ClusterDouble(*[each for each in healthy_cluster() if each["kind"] != "Service"]))


def outcomes(gw: Gw, *options: str) -> dict[str, Any]:
    answer = gw("health", *options, "-o", "json")
    assert answer.out, answer
    return {check["id"]: check for check in json.loads(answer.out)["checks"]}


def reason(gw: Gw, check_id: str, *options: str) -> str:
    check = outcomes(gw, "--check", check_id, *options)[check_id]
    assert check["outcome"] == "unknown", check
    return str(check["findings"][0]["summary"])


# -- what is found, and how it fails


def test_without_a_prometheus_the_rest_stands_and_the_report_says_what_was_not_seen(without: Gw) -> None:
    answer = without("health")
    assert answer.code == 3
    check_golden("health-without-prometheus.table.txt", answer.out)
    assert "for the same reason: " in answer.out
    found = outcomes(without)
    assert {check_id for check_id in NEEDING_SERIES if found[check_id]["outcome"] == "unknown"} == NEEDING_SERIES
    assert found["gateway.ready"]["outcome"] == "ok"
    assert found["session.open"]["outcome"] == "ok"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html><body>Log in</body></html>", "is no Prometheus: its answer is no JSON"),
        (404, b"<html>404 page not found</html>", "is no Prometheus: HTTP 404"),
        (302, b"", "is no Prometheus: it sends callers elsewhere, as a login does (HTTP 302)"),
        (200, b'{"kind": "Status"}', "is no Prometheus: its answer has another shape"),
        (200, b"[]", "is no Prometheus: its answer has another shape"),
        (200, b'{"status": "success", "data": {"resultType": "matrix"}}', "its answer has another shape"),
        (200, b'{"status": "success", "data": null}', "its answer has another shape"),
        (200, b'{"status": "error", "error": "unknown function"}', "is no Prometheus: unknown function"),
        (401, b"", "wants to know who asks (HTTP 401)"),
        (503, b"Service Unavailable", "cannot answer now (HTTP 503)"),
    ],
)
def test_what_is_no_prometheus_is_told_apart(without: Gw, status: int, body: bytes, words: str) -> None:
    without.http["prometheus.example:9090"] = lambda path, query: (status, body)
    text = reason(without, "session.polling", "--prometheus-url", URL)
    assert words in text
    assert URL in text


def test_a_prometheus_that_refuses_a_query_is_quoted(without: Gw) -> None:
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error"}).encode()
    without.http["prometheus.example:9090"] = lambda path, query: (400, body)
    assert reason(without, "job.locks", "--prometheus-url", URL).endswith("is no Prometheus: HTTP 400: parse error")


def test_nobody_at_the_named_address_is_a_problem_of_monitoring_and_leaves_the_rest_unknown(without: Gw) -> None:
    found = outcomes(without, "--prometheus-url", URL, "--alertmanager-url", ALERTMANAGER_URL)
    for check_id, place in (("monitoring.answers", URL), ("monitoring.alertmanager", ALERTMANAGER_URL)):
        (finding,) = found[check_id]["findings"]
        assert (finding["outcome"], finding["severity"]) == ("problem", "ticket")
        assert f"at {place} gives no answer: All connection attempts failed" in finding["summary"]
    assert found["session.polling"]["outcome"] == "unknown"


def test_a_slow_prometheus_costs_its_own_deadline_and_no_more(healthy: Gw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "TIMEOUT_SECONDS", 0.01)

    async def hang(path: str, *, query: dict[str, str] | None = None) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(healthy.cluster, "read", hang)
    found = outcomes(healthy)
    assert found["gateway.ready"]["outcome"] == "ok"
    for check_id in ("session.polling", "monitoring.answers", "monitoring.alertmanager"):
        assert found[check_id]["outcome"] == "unknown"
        assert "took longer than 0.01 s to answer" in found[check_id]["findings"][0]["summary"]


def test_a_service_without_pods_is_down(healthy: Gw) -> None:
    status = {"kind": "Status", "reason": "ServiceUnavailable", "message": 'no endpoints available for "prometheus"'}
    healthy.cluster.refusals["read", "services/proxy"] = errors.error_from_response(503, status)
    found = outcomes(healthy, "--fail-on", "ticket")
    assert found["monitoring.answers"]["outcome"] == "problem"
    assert "no endpoints available" in found["monitoring.answers"]["findings"][0]["summary"]
    assert found["monitoring.alertmanager"]["outcome"] == "problem"


@pytest.mark.parametrize(
    "value",
    [{"resultType": "vector", "result": []}, {"resultType": "scalar", "result": [0, "NaN"]}],
    ids=["no time", "a time that is no number"],
)
def test_a_prometheus_that_does_not_say_what_time_it_has_leaves_the_rest(healthy: Gw, value: Any) -> None:
    ours = healthy.cluster.prometheus

    def timeless(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        body = json.dumps({"status": "success", "data": value}).encode()
        return (200, body) if query.get("query") == "time()" else ours.answer(path, query)

    healthy.cluster.behind["prometheus:9090"] = timeless
    found = outcomes(healthy)
    assert found["gateway.ready"]["outcome"] == "ok"
    assert "does not say what time it has" in found["job.locks"]["findings"][0]["summary"]


@pytest.mark.parametrize("query", [each for each in s.QUERIES if each in HEALTHY], ids=lambda each: each.name)
@pytest.mark.parametrize("value", [math.nan, math.inf], ids=["NaN", "Inf"])
def test_a_number_that_is_none_costs_one_check_at_most(healthy: Gw, query: s.SeriesQuery, value: float) -> None:
    healthy.cluster.prometheus.values[query] = value
    found = outcomes(healthy)
    assert found["gateway.ready"]["outcome"] == "ok"
    assert sum(check["outcome"] not in ("ok", "skipped") for check in found.values()) <= 1
    if math.isnan(value) and query not in (s.LATENCY_P95, s.LATENCY_P99):
        summaries = [finding["summary"] for check in found.values() for finding in check["findings"]]
        assert [words for words in summaries if re.search(r"\bnan\b", words)] == []


def test_alerts_with_labels_of_any_type_are_alerts(healthy: Gw) -> None:
    healthy.cluster.alertmanager.alerts = [
        {
            "labels": {"alertname": "ActionsGatewayNoActiveSessions", "namespace": "team-a", "severity": severity},
            "status": {"state": "active"},
        }
        for severity in (3, "page")
    ]
    findings = outcomes(healthy)["alerts.firing"]["findings"]
    assert [(each["outcome"], each["severity"]) for each in findings] == [("problem", "page")] * 2


def test_odd_facts_cost_the_checks_that_read_them(healthy: Gw) -> None:
    ledger = {"namespace": "team-a", "name": names.RERUN_LEDGER}
    entry = '{"repository": "octo/demo", "retries": 1e999, "jobs": []}'
    healthy.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": ledger, "data": {"17": entry}})
    odd = gateway()
    odd["status"]["activeSessions"] = "many"
    healthy.cluster.put(odd)
    found = outcomes(healthy)
    assert found["gateway.ready"]["findings"][0]["summary"] == (
        "could not list gateways: its answer cannot be read (ValueError)"
    )
    assert found["manager.running"]["outcome"] == found["worker.stable"]["outcome"] == "ok"
    assert outcomes(healthy, "team-a")["job.lost"]["outcome"] == "unknown"


@pytest.mark.parametrize("proxy", ["socks5://localhost:1", "gopher://localhost:1"])
def test_a_proxy_that_cannot_be_taken_is_named(without: Gw, proxy: str) -> None:
    without.open_http = open_http
    with environment(ALL_PROXY=proxy):
        found = outcomes(without, "--prometheus-url", URL)
    (finding,) = found["job.locks"]["findings"]
    assert finding["summary"].startswith(f"Prometheus at {URL} cannot be asked: ")
    assert "ALL_PROXY" in finding["next"]
    assert found["gateway.ready"]["outcome"] == "ok"


def test_an_alertmanager_to_which_prometheus_does_not_send_hides_no_alert(healthy: Gw) -> None:
    healthy.http["alerts.example"] = lambda path, query: AlertmanagerDouble().answer(
        path.removeprefix("/alertmanager"), query
    )
    command = ("health", "team-a", "--check", "alerts.firing", "--alertmanager-url", ALERTMANAGER_URL)
    assert healthy(*command).code == 0
    healthy.cluster.prometheus.firing = [("ActionsGatewayNoActiveSessions", "team-a", "team-a-cpu")]
    answer = healthy(*command)
    assert answer.code == 1, answer
    assert f"Alertmanager at {ALERTMANAGER_URL} has not heard of it" in answer.out


def test_nobody_waits_for_what_only_a_right_or_an_address_brings(without: Gw) -> None:
    assert without("health", "--wait", "5m").code == 3
    assert without.clock.slept_seconds == 0
    without.http["prometheus.example:9090"] = lambda path, query: (503, b"it starts")
    assert without("health", "--prometheus-url", URL, "--check", "job.locks", "--wait", "5m").code == 5
    assert without.clock.slept_seconds == 300


# -- rights


def forbidden(what: str) -> errors.Forbidden:
    return errors.Forbidden(f'User "eve" cannot {what}', status=403, reason="Forbidden")


def test_a_missing_right_to_the_proxy_is_named(healthy: Gw) -> None:
    words = 'get resource "services/proxy" in API group "" in the namespace "monitoring"'
    healthy.cluster.refusals["read", "services/proxy"] = forbidden(words)
    (finding,) = outcomes(healthy, "--check", "job.locks")["job.locks"]["findings"]
    assert 'User "eve" cannot get resource "services/proxy"' in finding["summary"]
    assert "the right to get services/proxy in monitoring" in finding["next"]
    assert "--prometheus-url" in finding["next"]


def test_a_healthy_tenant_without_rights_on_monitoring_is_fine_and_is_told_what_was_left_out(healthy: Gw) -> None:
    healthy.cluster.refusals["read", "services/proxy"] = forbidden('get resource "services/proxy"')
    own = healthy("health", "team-a", "-o", "json")
    assert own.code == 0, own
    found = {check["id"]: check for check in json.loads(own.out)["checks"]}
    for check_id in (*NEEDING_SERIES, "monitoring.answers", "alerts.firing"):
        assert found[check_id]["outcome"] == "skipped"
        assert "the platform's owners look at this; " in found[check_id]["findings"][0]["summary"]
    assert "is out of reach" in reason(healthy, "job.locks", "team-a"), "who names a check wants its answer"
    assert healthy("health", "team-a", "--check", "job.locks").code == 3
    assert healthy("health").code == 3


def only_in(gw: Gw, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services may be listed in that namespace alone."""
    listed = gw.cluster.list

    async def restricted(resource: Any, namespace: str | None = None, **selectors: Any) -> Any:
        if resource.plural == "services" and namespace != own:
            raise forbidden('list resource "services" at the cluster scope')
        return await listed(resource, namespace, **selectors)

    monkeypatch.setattr(gw.cluster, "list", restricted)


def test_a_tenant_finds_the_prometheus_of_its_own_namespace(healthy: Gw, monkeypatch: pytest.MonkeyPatch) -> None:
    only_in(healthy, "team-a", monkeypatch)
    assert 'cannot list resource "services"' in reason(healthy, "job.locks", "team-a")
    healthy.cluster.put(service("prometheus", 9090, "team-a"))
    assert outcomes(healthy, "team-a", "--check", "job.locks")["job.locks"]["outcome"] == "ok"
    assert 'cannot list resource "services"' in reason(healthy, "job.locks")


# -- whose series


def test_a_prometheus_of_another_cluster_says_nothing_of_this_one(healthy: Gw) -> None:
    healthy.cluster.prometheus.uid_prefix = "another-"
    healthy.cluster.prometheus.cluster = "prod-us"
    healthy.cluster.prometheus.values[s.LOCK_LEFT] = 1.0
    answer = healthy("health")
    assert answer.code == 3
    check_golden("health-foreign-prometheus.table.txt", answer.out)
    assert "is of another cluster: it knows the gateway team-a/team-a of cluster 'prod-us'" in answer.out


def test_one_that_scrapes_nothing_of_ours_says_so(healthy: Gw) -> None:
    empty = PrometheusDouble(list, seen_seconds_ago=10)
    healthy.cluster.behind["prometheus:9090"] = empty.answer
    assert "does not scrape the manager" in reason(healthy, "job.locks")


def test_old_samples_are_no_news(healthy: Gw) -> None:
    healthy.cluster.prometheus.seen_seconds_ago = 1200
    text = reason(healthy, "job.locks")
    assert "has nothing new of this cluster: the newest sample is 20 min old" in text


def test_of_a_fleets_prometheus_this_clusters_values_count(healthy: Gw) -> None:
    """Another cluster has a tenant of the same name, whose locks run out."""
    ours, theirs = healthy.cluster.prometheus, PrometheusDouble(healthy.cluster.objects.values)
    ours.cluster, theirs.cluster, theirs.uid_prefix = "prod-eu", "prod-us", "another-"
    theirs.values[s.LOCK_LEFT] = 1.0

    def fleet(path: str, query: dict[str, str]) -> tuple[int, bytes]:
        (status, one), (_, other) = ours.answer(path, query), theirs.answer(path, query)
        if path != "/api/v1/query" or query["query"] == "time()":
            return status, one
        merged, more = json.loads(one), json.loads(other)
        merged["data"]["result"] += more["data"]["result"]
        return status, json.dumps(merged).encode()

    healthy.cluster.behind["prometheus:9090"] = fleet
    found = outcomes(healthy, "--check", "job.locks")["job.locks"]
    assert {finding["outcome"] for finding in found["findings"]} == {"ok"}
    theirs.uid_prefix, ours.uid_prefix = "", "another-"
    assert outcomes(healthy, "--check", "job.locks")["job.locks"]["outcome"] == "problem"


SWITCH: dict[str, Any] = {"labels": {"alertname": WATCHDOG.name, "team": TEAM}, "status": {"state": "active"}}


def heard(gw: Gw, cluster: str) -> dict[str, Any]:
    """The check's finding when Alertmanager has that cluster's dead-man's switch alone."""
    switch = {**SWITCH, "labels": {**SWITCH["labels"], "cluster": cluster}}
    gw.cluster.alertmanager.alerts, gw.cluster.alertmanager.hears_switch = [switch], False
    (finding,) = outcomes(gw, "--check", "monitoring.alertmanager")["monitoring.alertmanager"]["findings"]
    return dict(finding)


def test_whose_switch_is_heard_is_known_by_prometheuss_external_label(healthy: Gw) -> None:
    """Its own series do not have the label, and what it sends does."""
    prometheus = healthy.cluster.prometheus
    named = "global:\n  external_labels:\n    cluster: prod-eu\nscrape_configs:\n- job_name: '{{'\n"
    prometheus.configuration = named
    assert heard(healthy, "prod-eu")["outcome"] == "ok"
    other = heard(healthy, "prod-us")
    assert other["outcome"] == "problem"
    assert "it hears that of another cluster: prod-us" in other["evidence"]
    for configuration, words in (
        ("global:\n  scrape_interval: 30s\n", "has no external label `cluster`"),
        ("", "does not tell its external labels"),
        ("global: [", "does not tell its external labels"),
        ("global:\n  [\n", "does not tell its external labels"),
    ):
        prometheus.configuration = configuration
        finding = heard(healthy, "prod-us")
        assert finding["outcome"] == "unknown"
        assert "hears the dead-man's switch of cluster prod-us" in finding["summary"]
        assert words in finding["summary"]
        assert finding["next"]


def test_another_projects_switch_is_none(healthy: Gw) -> None:
    healthy.cluster.alertmanager.hears_switch = False
    healthy.cluster.alertmanager.alerts = [{**SWITCH, "labels": {"alertname": WATCHDOG.name, "severity": "none"}}]
    check = outcomes(healthy, "--check", "monitoring.alertmanager")["monitoring.alertmanager"]
    assert check["outcome"] == "problem"


# -- what it counts


@pytest.mark.parametrize(
    ("query", "value", "check_id", "code"),
    [
        (s.POLL_AGE, 900.0, "session.polling", 1),
        (s.LOCK_LEFT, 120.0, "job.locks", 1),
        (s.RENEWAL_ERRORS, 6.0, "job.renewal", 1),
        (s.TOKEN_ERRORS, 3.0, "credential.refresh", 1),
        (s.BUDGET_LEFT, 10.0, "github.budget", 0),
        (s.RECONCILE_ERRORS, 4.0, "reconcile.converging", 0),
    ],
)
def test_what_prometheus_counts_is_found_alone(
    healthy: Gw, query: s.SeriesQuery, value: float, check_id: str, code: int
) -> None:
    healthy.cluster.prometheus.values |= {query: value, s.TOKEN_FAILURES: 3.0}
    answer = healthy("health", "-o", "json")
    assert answer.code == code
    found = {check["id"] for check in json.loads(answer.out)["checks"] if check["outcome"] == "problem"}
    assert found == {check_id}


def test_a_pod_that_is_not_scraped_is_named_with_the_reason(healthy: Gw) -> None:
    pod = "actions-gateway-controller-abc12"
    healthy.cluster.prometheus.down[pod] = "context deadline exceeded"
    (finding,) = outcomes(healthy, "--check", "monitoring.targets")["monitoring.targets"]["findings"]
    assert finding["summary"] == "not scraped: 1 of 3 pods"
    assert finding["evidence"] == [f"agent {pod}: context deadline exceeded"]


def test_alerts_count_unless_silenced_or_of_another_tenant(healthy: Gw) -> None:
    def firing(name: str, namespace: str, severity: str, silences: tuple[str, ...] = ()) -> dict[str, Any]:
        return {
            "labels": {"alertname": name, "namespace": namespace, "severity": severity},
            "annotations": {"summary": f"{name} fires", "runbook": "runbooks/checks/session.open.md"},
            "startsAt": START.isoformat(),
            "status": {"state": "suppressed" if silences else "active", "silencedBy": list(silences)},
        }

    healthy.cluster.alertmanager.alerts = [
        firing("ActionsGatewayNoActiveSessions", "team-a", "page", ("c4f",)),
        firing("ActionsGatewayReconcileErrors", "team-a", "ticket"),
        firing("ActionsGatewayReconcileErrors", "team-z", "ticket"),
        firing("NodeDown", "team-a", "page"),
    ]
    check = outcomes(healthy)["alerts.firing"]
    assert [(each["outcome"], each["severity"], each["subject"]) for each in check["findings"]] == [
        ("skipped", None, "ActionsGatewayNoActiveSessions, team-a"),
        ("problem", "ticket", "ActionsGatewayReconcileErrors, team-a"),
    ]
    assert healthy("health").code == 0


# -- where it is asked


def by_url(gw: Gw) -> None:
    gw.http["prometheus.example:9090"] = PrometheusDouble(gw.cluster.objects.values).answer
    gw.http["alerts.example"] = lambda path, query: AlertmanagerDouble().answer(
        path.removeprefix("/alertmanager"), query
    )


def source(gw: Gw, *options: str) -> str:
    check = outcomes(gw, "--check", "monitoring.answers", *options)["monitoring.answers"]
    return str(check["findings"][0]["summary"])


def test_a_url_by_option_variable_or_settings_file_beats_discovery(healthy: Gw, tmp_path: Any) -> None:
    by_url(healthy)
    assert "the Service monitoring/prometheus:9090" in source(healthy)
    settings = tmp_path / "config.yaml"
    settings.write_text("prometheus_url: http://nobody.example\n")
    with environment(GW_CONFIG=str(settings)):
        assert "http://nobody.example gives no answer" in source(healthy)
        assert f"{URL} answers" in source(healthy, "--prometheus-url", f"{URL}/")
    with environment(GW_CONFIG=str(settings), GW_PROMETHEUS_URL=URL):
        assert f"{URL} answers" in source(healthy)


def test_both_by_url_without_anything_in_the_cluster(without: Gw) -> None:
    by_url(without)
    answer = without("health", "--prometheus-url", URL, "--alertmanager-url", ALERTMANAGER_URL)
    assert answer.code == 0, answer


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("prometheus:9090", "is no base URL of http or https"),
        ("ftp://x", "is no base URL of http or https"),
        ("http://x/?query=up", "a base URL has no query and no fragment"),
        ("http://", "is no base URL of http or https"),
        ("http://[::1", "this is no URL"),
        ("https://admin:hunter2@x", "the URL holds a password"),
    ],
)
def test_what_is_no_address_is_refused_by_option(healthy: Gw, url: str, words: str) -> None:
    answer = healthy("health", "--prometheus-url", url)
    assert answer.code == 2, answer
    assert words in answer.err
    assert "--prometheus-url" in answer.err
    assert "hunter2" not in answer.err


OPERATED = service("prometheus-operated", 9090, "a")
OPERATED["metadata"]["labels"] = {"operated-prometheus": "true"}


@pytest.mark.parametrize(
    ("more", "chosen"),
    [(service("prometheus-a", 80, "a"), "monitoring/prometheus:9090"), (OPERATED, "a/prometheus-operated:9090")],
    ids=["the one with its own port", "the first by namespace of equals"],
)
def test_of_several_services_one_is_taken_and_named(healthy: Gw, more: Any, chosen: str) -> None:
    healthy.cluster.put(more)
    healthy.cluster.behind["prometheus-operated:9090"] = healthy.cluster.prometheus.answer
    assert f"the Service {chosen}, the first of 2 such Services" in source(healthy)


def test_a_new_gateway_that_prometheus_has_not_heard_of_yet_is_unknown(healthy: Gw) -> None:
    healthy.cluster.put(gateway("team-b"))
    known = [each for each in healthy.cluster.objects.values() if each["metadata"].get("namespace") != "team-b"]
    healthy.cluster.behind["prometheus:9090"] = PrometheusDouble(lambda: known).answer
    found = outcomes(healthy, "--check", "job.renewal")["job.renewal"]["findings"]
    assert [(each["subject"], each["outcome"]) for each in found] == [
        ("team-a/team-a", "ok"),
        ("team-b/team-b", "unknown"),
    ]
