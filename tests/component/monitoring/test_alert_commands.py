"""gw alerts against a real Prometheus, a real Alertmanager and a receiver that takes what it is told, or refuses it."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
import yaml

from actions_gateway.engine.clock import SystemClock
from cli.double import ClusterDouble
from cli.rig import Answer, Gw, SteppingClock
from gateway_sandbox.controlplane.processes import Process
from gateway_sandbox.monitoring import configuration
from gateway_sandbox.nodes.ports import PortAllocator
from gw.sources.endpoints import PROMETHEUS
from gw.sources.monitoring import gather_monitoring
from gw.sources.places import direct, open_http
from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.artefacts import RULES, render_rules
from gw_alerts.values import Values, load_values
from support.aio import run
from support.alertmanager import EXAMPLE_VALUES
from support.components import require_monitoring
from support.patience import HANG_SECONDS
from support.running_sandbox import until

HOST = configuration.HOST
ALERT = "ActionsGatewayReconcileErrors"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
SWITCH_INTERVALS = {"group_interval": "6s", "repeat_interval": "1s"}
DAY = {"start_time": "00:00", "end_time": "24:00"}
WEBHOOK = {"url": f"http://{HOST}:9"}
VALUES: Values = load_values(EXAMPLE_VALUES)


class RealClock(SteppingClock):
    """The servers have no other."""

    now = SystemClock().now
    monotonic = SystemClock().monotonic
    sleep = SystemClock().sleep


@dataclass
class Receiver:
    """Takes webhooks below `/take`, gives no answer below `/hang` and refuses all others."""

    told: list[dict[str, Any]] = field(default_factory=list)
    """Groups, as Alertmanager's webhook tells them."""
    is_over: Event = field(default_factory=Event)
    """Nobody waits for an answer any more."""

    def server(self) -> ThreadingHTTPServer:
        """On a free port of loopback."""
        told, is_over = self.told, self.is_over

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_taken = self.path.startswith("/take")
                if self.path.startswith("/hang"):
                    is_over.wait()
                if is_taken:
                    told.append(json.loads(body))
                self.send_response(200 if is_taken else 400)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return ThreadingHTTPServer((HOST, 0), Handler)


@dataclass(frozen=True)
class Site:
    """Both servers and their files."""

    rules: Path
    routes: Path
    prometheus: str
    alertmanager: str
    receiver: Receiver
    receiver_url: str

    def gw(self, *arguments: str) -> Answer:
        """Of a cluster without gateways: nothing has to be scraped for it."""
        gw = Gw(ClusterDouble(), clock=RealClock(), open_http=open_http)
        gw.cluster.answers[WHO] = {"status": {"userInfo": {"username": "ada"}}}
        return gw(*arguments)

    def checked(self, *options: str) -> dict[str, Any]:
        """What `gw alerts check` says."""
        urls = ("--prometheus-url", self.prometheus, "--alertmanager-url", self.alertmanager)
        answer = self.gw("alerts", "check", *urls, *options, "-o", "json")
        assert answer.out, answer
        document: dict[str, Any] = json.loads(answer.out)
        return document

    def load_rules(self, text: str) -> None:
        self.rules.write_text(text)
        httpx.post(f"{self.prometheus}/-/reload", timeout=HANG_SECONDS).raise_for_status()

    def route_to(self, path: str, **others: str) -> None:
        """Has every receiver of the shipped routes at that path or its own, and pages told after a second."""
        routes = alertmanager_configuration(VALUES)
        routes["receivers"] = [
            {"name": each["name"], **(self._webhook(others.get(each["name"], path)) if len(each) > 1 else {})}
            for each in routes["receivers"]
        ]
        for route in routes["route"]["routes"]:
            route |= {"group_wait": "1s", **(SWITCH_INTERVALS if route["receiver"] == "dead-man" else {})}
        self.routes.write_text(yaml.safe_dump(routes))
        httpx.post(f"{self.alertmanager}/-/reload", timeout=HANG_SECONDS).raise_for_status()

    def _webhook(self, path: str) -> dict[str, Any]:
        return {"webhook_configs": [{"url": f"{self.receiver_url}{path}"}]}


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=HANG_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Prometheus tells this Alertmanager nothing: the dead-man's switch would be told in the same way as the page."""
    folder = tmp_path_factory.mktemp("monitoring")
    prometheus_program, alertmanager_program = require_monitoring()
    ports, receiver = PortAllocator(HOST, random.Random()), Receiver()
    prometheus, alertmanager = (f"http://{HOST}:{ports.take()}" for _ in range(2))
    (rules := folder / "rules").mkdir()
    (rules / RULES).write_text(render_rules())
    of_all = {"evaluation_interval": "1m", "external_labels": {"cluster": "prod-eu"}}
    settings = {"global": of_all, "rule_files": [str(rules / "*.yaml")]}
    (folder / "prometheus.yml").write_text(configuration.render(settings))
    (routes := folder / "alertmanager.yml").write_text(configuration.render(configuration.alertmanager_configuration()))
    server = receiver.server()
    Thread(target=server.serve_forever, daemon=True).start()
    port_of = {url: int(url.rpartition(":")[2]) for url in (prometheus, alertmanager)}
    processes = [
        Process(
            [
                prometheus_program,
                *configuration.prometheus_flags(folder, folder / "prometheus.yml", port_of[prometheus]),
                "--web.enable-lifecycle",
            ],
            folder / "prometheus.log",
        ),
        Process(
            [alertmanager_program, *configuration.alertmanager_flags(folder, routes, port_of[alertmanager])],
            folder / "alertmanager.log",
        ),
    ]
    try:
        here = Site(
            rules / RULES, routes, prometheus, alertmanager, receiver, f"http://{HOST}:{server.server_address[1]}"
        )
        until(lambda: is_up(prometheus) and is_up(alertmanager))
        here.route_to("/take")
        yield here
    finally:
        receiver.is_over.set()
        for process in processes:
            process.stop()
        server.shutdown()
        server.server_close()


def test_what_ships_comes_back_the_same_and_an_edited_rule_is_named(site: Site) -> None:
    until(lambda: bool(httpx.get(f"{site.prometheus}/api/v1/rules", timeout=HANG_SECONDS).json()["data"]["groups"]))
    found = site.checked()
    assert found["rules"]["differences"] == []
    assert not found["rules"]["too_old"]
    assert (found["routes"]["routes"], found["routes"]["inhibitions"]) == ([], [])

    site.load_rules(render_rules(VALUES.links))
    assert site.checked("--values", str(EXAMPLE_VALUES))["rules"]["differences"] == []
    assert site.checked()["rules"]["differences"] == [], "without values nobody knows the links"

    edited = yaml.safe_load(render_rules())
    rule = next(each for each in edited["groups"][-1]["rules"] if each.get("alert") == ALERT)
    rule |= {"expr": f"({rule['expr']}) * 1", "for": "3h", "keep_firing_for": "1d"}
    rule["labels"]["severity"] = "info"
    site.load_rules(yaml.safe_dump(edited))
    (difference,) = site.checked()["rules"]["differences"]
    assert (difference["kind"], difference["rule"]) == ("changed", ALERT)
    assert [each["field"] for each in difference["fields"]] == ["expr", "for", "keep_firing_for", "labels.severity"]
    assert difference["fields"][2] == {"field": "keep_firing_for", "ours": "0s", "theirs": "86400s"}
    site.load_rules(render_rules())


def test_hours_and_waits_are_found_in_what_alertmanager_has_loaded(site: Site) -> None:
    routes = alertmanager_configuration(VALUES)
    routes["time_intervals"] = [{"name": "always", "time_intervals": [{"times": [DAY]}]}]
    for route in routes["route"]["routes"]:
        if route["receiver"] == "oncall-sre":
            route |= {"mute_time_intervals": ["always"], "active_time_intervals": ["always"], "group_wait": "90m"}
    routes["inhibit_rules"].append({"source_match": {"severity": "critical"}, "target_match_re": {"severity": "page"}})
    routes["receivers"] = [{"name": each["name"], "webhook_configs": [WEBHOOK]} for each in routes["receivers"]]
    try:
        site.routes.write_text(yaml.safe_dump(routes))
        httpx.post(f"{site.alertmanager}/-/reload", timeout=HANG_SECONDS).raise_for_status()
        found = site.checked()["routes"]
    finally:
        site.route_to("/take")
    assert [(each["field"], each["theirs"]) for each in found["timing"]] == [
        ("mute_time_intervals", "always"),
        ("active_time_intervals", "always"),
        ("group_wait", "1h30m"),
    ]
    (foreign,) = found["foreign_inhibitions"]
    assert (foreign["source_matchers"], foreign["target_matchers"]) == (['severity="critical"'], ['severity=~"page"'])


def test_prometheus_tells_the_cluster_that_its_alerts_have(site: Site) -> None:
    async def ask() -> str | None:
        async with httpx.AsyncClient(timeout=HANG_SECONDS) as client:
            return (await gather_monitoring(direct(PROMETHEUS, client, site.prometheus))).cluster

    assert run(ask()) == "prod-eu"


def test_a_silence_is_placed_extended_and_ended_as_alertmanager_has_it(site: Site) -> None:
    at = ("--alertmanager-url", site.alertmanager)
    add = ("alerts", "silence", "add", "ActionsGatewayManagerDown", *at, "--yes", "-o", "json", "--comment", "moving")
    placed = json.loads(site.gw(*add, "--for", "1h").out)
    again = json.loads(site.gw(*add, "--for", "1h").out)
    longer = json.loads(site.gw(*add, "--for", "3h").out)
    assert placed["id"] == again["id"] == longer["id"]
    assert (placed["changed"], again["changed"], longer["changed"]) == (True, False, True)
    (silence,) = json.loads(site.gw("alerts", "silence", "list", *at, "-o", "json").out)["items"]
    assert (silence["matchers"], silence["by"]) == ('alertname="ActionsGatewayManagerDown"', "ada")
    assert silence["until"] == longer["until"]
    ended = site.gw("alerts", "silence", "expire", placed["id"][:8], *at, "--yes")
    assert ended.code == 0, ended
    assert "over" in site.gw("alerts", "silence", "list", "--all", *at).out
    assert site.gw("alerts", "silence", "list", *at).out == "No silence is in force or to come.\n"


def test_a_test_page_is_delivered_once_and_a_receiver_that_refuses_is_found_out(site: Site) -> None:
    command = ("alerts", "test", "--yes", "--alertmanager-url", site.alertmanager, "-o", "json")
    answer = site.gw(*command, "--timeout", "150s")
    assert answer.code == 0, answer
    (group,) = site.receiver.told
    (page,) = group["alerts"]
    assert (group["receiver"], page["labels"]["test"], page["labels"]["severity"]) == ("oncall-sre", "true", "page")
    assert "nothing is wrong" in page["annotations"]["summary"]
    alive = httpx.get(
        f"{site.alertmanager}/api/v2/alerts", params={"filter": 'test="true"'}, timeout=HANG_SECONDS
    ).json()
    assert alive == [], "taken back"

    site.route_to("/refuse")
    refused = site.gw(*command, "--cluster", "another-group", "--timeout", "150s")
    assert refused.code == 1, refused
    assert json.loads(refused.out)["outcome"] == "refused"
    assert "oncall-sre does not take it (webhook: 1 request failed" in refused.out
    site.route_to("/take")


def test_a_receiver_that_gives_no_answer_is_not_hidden_by_the_dead_mans_switch(site: Site) -> None:
    now = SystemClock().now()
    switch = {
        "labels": {"alertname": "Watchdog", "team": "ci-platform", "severity": "page"},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
    }
    site.route_to("/take", **{"oncall-sre": "/hang"})
    httpx.post(f"{site.alertmanager}/api/v2/alerts", json=[switch], timeout=HANG_SECONDS).raise_for_status()
    until(lambda: bool(httpx.get(f"{site.alertmanager}/api/v2/alerts/groups", timeout=HANG_SECONDS).json()))
    command = ("alerts", "test", "--yes", "--alertmanager-url", site.alertmanager, "-o", "json")
    try:
        hanging = site.gw(*command, "--cluster", "hanging", "--timeout", "8s")
        assert hanging.code == 3, hanging
        told = [group["receiver"] for group in site.receiver.told]
        assert told.count("dead-man") >= 2, "it was told while the page waited"
        site.route_to("/take")
        answered = site.gw(*command, "--cluster", "answered", "--timeout", "150s")
        assert answered.code == 0, answered
    finally:
        over = {**switch, "endsAt": SystemClock().now().isoformat()}
        httpx.post(f"{site.alertmanager}/api/v2/alerts", json=[over], timeout=HANG_SECONDS).raise_for_status()
        site.route_to("/take")


def test_what_fires_is_listed_with_its_silence(site: Site) -> None:
    now = SystemClock().now()
    alert = {
        "labels": {"alertname": ALERT, "severity": "ticket", "namespace": "team-a"},
        "annotations": {"summary": "s", "runbook": "runbooks/alerts/reconcile.md"},
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=5)).isoformat(),
    }
    httpx.post(f"{site.alertmanager}/api/v2/alerts", json=[alert], timeout=HANG_SECONDS).raise_for_status()
    at = ("--alertmanager-url", site.alertmanager)
    silence = ("alerts", "silence", "add", ALERT, "-A", "--for", "1h", "--comment", "known", "--yes", *at)
    assert site.gw(*silence).code == 0

    def listed() -> list[dict[str, Any]]:
        urls = (*at, "--prometheus-url", site.prometheus)
        items: list[dict[str, Any]] = json.loads(site.gw("alerts", "list", *urls, "-o", "json").out)["items"]
        return items

    until(lambda: any(each["silenced_by"] for each in listed()))
    (found,) = listed()
    assert (found["alert"], found["told"], found["silenced_by"][0]["by"]) == (ALERT, False, "ada")
