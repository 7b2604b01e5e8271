"""The real Prometheus and the real Alertmanager: what gw asks of them, in their own words."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from actions_gateway.metrics import catalog as m
from actions_gateway.metrics.registry import Metrics
from actions_gateway.metrics.server import serve_exposition
from gateway_sandbox.controlplane.processes import Process
from gateway_sandbox.monitoring import configuration
from gateway_sandbox.nodes.ports import PortAllocator
from gw.checks.belonging import own_series
from gw.checks.catalog import observability
from gw.checks.catalog import series as checks
from gw.checks.engine import judge
from gw.checks.model import Outcome
from gw.sources import series as s
from gw.sources.alerting import AlertingFact, gather_alerting
from gw.sources.endpoints import ALERTMANAGER, PROMETHEUS, Endpoint, NoAnswer
from gw.sources.facts import Facts, Known
from gw.sources.gateways import GatewayFact, GroupFact, parse_gateway, parse_group
from gw.sources.monitoring import MonitoringFact, gather_monitoring
from gw.sources.places import direct
from gw.sources.pods import PodFact, PodRole
from gw.sources.prometheus import Prometheus
from gw.sources.series import SeriesFact, gather_series
from gw.sources.shiftseries import ShiftSeriesFact, gather_shift_series
from gw_alerts.catalog import ALERTS, PROBLEMS
from gw_alerts.catalog.watching import WATCHDOG
from gw_alerts.rules import rule_groups
from support.aio import run
from support.components import require_monitoring
from support.patience import HANG_SECONDS

HOST = configuration.HOST
TENANT = {"namespace": "team-a"}
GROUP = {**TENANT, "runner_group": "ci-cpu"}
GATEWAY: GatewayFact = parse_gateway(
    {"metadata": {"name": "ci", "namespace": "team-a", "uid": "uid-ci"}, "spec": {"runnerGroups": [{"name": "cpu"}]}}
)
RUNNER_GROUP: GroupFact = parse_group({"metadata": {"name": "ci-cpu", "namespace": "team-a"}})
AGENT = PodFact("team-a", "agent-1", PodRole.AGENT, "Running", None, is_ready=True)
FIRING = {"alertname": PROBLEMS[0].name, "alertstate": "firing", "severity": "page", "namespace": "team-a"}
FOREIGN = {"alertname": "NodeDown", "alertstate": "firing", "severity": "page"}
MANAGER = PodFact("gmc-system", "gmc-1", PodRole.MANAGER, "Running", None, is_ready=True)


@dataclass(frozen=True)
class Site:
    """Both servers, scraping a manager and an agent that this process plays."""

    manager: Metrics
    agent: Metrics
    prometheus: Endpoint
    alertmanager: Endpoint
    http: httpx.AsyncClient

    async def facts(self) -> Facts:
        series, monitoring, alerting = await asyncio.gather(
            gather_series(self.prometheus), gather_monitoring(self.prometheus), gather_alerting(self.alertmanager)
        )
        return Facts(
            series.at,
            gateways=Known((GATEWAY,)),
            groups=Known((RUNNER_GROUP,)),
            pods=Known((AGENT,)),
            manager_pods=Known((MANAGER,)),
            lost_jobs=Known(()),
            series=Known(series),
            monitoring=Known(monitoring),
            alerting=Known(alerting),
        )


def play(manager: Metrics, agent: Metrics) -> None:
    """What a healthy manager and agent export."""
    manager.set(m.GATEWAY_INFO, 1, **TENANT, name="ci", uid="uid-ci")
    manager.open(controller="gateway", resource="actionsgateways")
    agent.open(**TENANT)
    agent.open(**GROUP)
    agent.open(controller="runnergroup", resource="runnergroups")
    agent.set(m.LAST_POLL_TIMESTAMP, datetime.now(UTC).timestamp() - 900, **GROUP)
    agent.set(m.LISTENER_SLOTS, 1, **GROUP, state="polling")
    agent.set(m.LOCK_REMAINING, 120, **GROUP)
    agent.set(m.GITHUB_RATE_LIMIT_LIMIT, 5000, **TENANT)
    agent.set(m.GITHUB_RATE_LIMIT_REMAINING, 4000, **TENANT)


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    prometheus_program, alertmanager_program = require_monitoring()
    ports = PortAllocator(HOST, random.Random())
    scraped, probes = {"manager": ports.take(), "agent": ports.take()}, (ports.take(), ports.take())
    prometheus_port, alertmanager_port = ports.take(), ports.take()
    manager, agent = (Metrics(component, "1.0") for component in (m.Component.MANAGER, m.Component.AGENT))
    play(manager, agent)
    settings = configuration.prometheus_configuration(
        targets=folder / "none.json",
        rules=folder,
        own_url=f"http://{HOST}:{prometheus_port}",
        alertmanager_url=f"http://{HOST}:{alertmanager_port}",
        interval="1s",
    )
    # In their own minute the test would wait for the first evaluation.
    rules = {"groups": [{**group, "interval": "1s"} for group in rule_groups()]}
    (folder / "rules.yaml").write_text(configuration.render(rules))
    places = {"manager": ("gmc-system", "gmc-1"), "agent": ("team-a", "agent-1")}
    settings["scrape_configs"] = [
        {
            "job_name": f"actions-gateway-{name}",
            "honor_labels": name == "manager",
            "static_configs": [
                {"targets": [f"{HOST}:{scraped[name]}"], "labels": {"namespace": namespace, "pod": pod}}
            ],
        }
        for name, (namespace, pod) in places.items()
    ]
    commands = {}
    for name, program, content, port, flags in (
        ("prometheus", prometheus_program, settings, prometheus_port, configuration.prometheus_flags),
        (
            "alertmanager",
            alertmanager_program,
            configuration.alertmanager_configuration(),
            alertmanager_port,
            configuration.alertmanager_flags,
        ),
    ):
        (file := folder / f"{name}.yml").write_text(configuration.render(content))
        commands[name] = [program, *flags(folder, file, port)]

    def serve(metrics: Metrics, name: str, health_port: int) -> Any:
        return serve_exposition(
            metrics,
            host=HOST,
            health_port=health_port,
            metrics_port=scraped[name],
            is_alive=lambda: True,
            is_ready=lambda: True,
        )

    async with (
        httpx.AsyncClient(timeout=HANG_SECONDS) as http,
        serve(manager, "manager", probes[0]),
        serve(agent, "agent", probes[1]),
    ):
        processes = [Process(command, folder / f"{name}.log") for name, command in commands.items()]
        try:
            yield Site(
                manager,
                agent,
                direct(PROMETHEUS, http, f"http://{HOST}:{prometheus_port}"),
                direct(ALERTMANAGER, http, f"http://{HOST}:{alertmanager_port}"),
                http,
            )
        finally:
            for process in processes:
                await asyncio.to_thread(process.stop)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again, since nobody says when a server has scraped; the test's own deadline ends it."""
    while True:
        try:
            if await look():
                return
        except NoAnswer:
            pass
        await asyncio.sleep(0.1)


def outcomes(facts: Facts) -> dict[str, Outcome]:
    return {result.check.id: result.outcome for result in judge((*checks.CHECKS, *observability.CHECKS), facts)}


def test_what_both_tell_is_judged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as here:
            facts = Facts(datetime.now(UTC))

            async def settled() -> bool:
                # What is judged below is what was seen here: on a busy machine a later look may miss a scrape.
                nonlocal facts
                facts = await here.facts()
                monitoring = facts.monitoring.value
                # A rate takes two scrapes; rules are healthy when they were evaluated.
                return (
                    bool(facts.series.value.values[s.RENEWAL_ERRORS])
                    and len(facts.series.value.values[s.RECONCILE_ERRORS]) == 2
                    and set(monitoring.alerts.values()) == {"ok"}
                    and all(target.is_up for target in monitoring.targets)
                    and monitoring.alertmanager_count == 1
                    and any(alert.name == WATCHDOG.name for alert in facts.alerting.value.alerts)
                )

            await until(settled)
            monitoring: MonitoringFact = facts.monitoring.value
            assert set(monitoring.alerts) == {alert.name for alert in ALERTS}
            assert {(target.namespace, target.pod) for target in monitoring.targets} == {
                ("team-a", "agent-1"),
                ("gmc-system", "gmc-1"),
            }
            assert (monitoring.is_ready, monitoring.alertmanager_count) == (True, 1)
            series: SeriesFact = facts.series.value
            assert series.gateways == {("", "uid-ci"): "team-a/ci"}
            own = own_series(facts)
            assert own.of(s.LOCK_LEFT) == {("team-a", "ci-cpu"): 120}
            assert own.of(s.POLL_AGE)["team-a", "ci-cpu"] > 890
            assert own.of(s.BUDGET_LEFT) == {("team-a",): 4000}
            assert set(own.of(s.RECONCILE_ERRORS)) == {("team-a",), ("gmc-system",)}
            found = outcomes(facts)
            problems = {check_id for check_id, outcome in found.items() if outcome is Outcome.PROBLEM}
            assert problems == {"session.polling", "job.locks"}
            assert Outcome.UNKNOWN not in found.values(), found

            foreign = replace(facts, gateways=Known((replace(GATEWAY, uid="another"),)))
            assert outcomes(foreign)["job.locks"] is Outcome.UNKNOWN

            now = datetime.now(UTC)
            tracks = await Prometheus(here.prometheus).query_range(
                m.LOCK_REMAINING.name, now - timedelta(seconds=5), now, 1
            )
            assert [track.labels["runner_group"] for track in tracks] == ["ci-cpu"]
            assert {value for track in tracks for _, value in track.points} == {120.0}

    run(scenario())


def test_a_series_that_its_agent_has_ended_is_unknown_and_not_fine(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as here:
            await until(lambda: _has(here, s.LOCK_LEFT))
            here.agent.close(**GROUP)

            async def forgotten() -> bool:
                return not (await gather_series(here.prometheus)).values[s.LOCK_LEFT]

            await until(forgotten)
            assert outcomes(await here.facts())["job.locks"] is Outcome.UNKNOWN

    run(scenario())


def test_alerts_and_silences_are_read_as_alertmanager_has_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as here:
            base, now = here.alertmanager.place, datetime.now(UTC)

            async def is_up() -> bool:
                return await here.alertmanager.is_ready()

            await until(is_up)
            alerts = [
                {
                    "labels": {"alertname": name, "namespace": "team-a", "severity": "page"},
                    "annotations": {"summary": "s"},
                }
                for name in (PROBLEMS[0].name, PROBLEMS[1].name, "NodeDown")
            ]
            (await here.http.post(f"{base}/api/v2/alerts", json=alerts)).raise_for_status()
            silence = {
                "matchers": [
                    {"name": "alertname", "value": PROBLEMS[0].name, "isRegex": False, "isEqual": True},
                    {"name": "namespace", "value": "team-.*", "isRegex": True, "isEqual": True},
                    {"name": "severity", "value": "ticket", "isRegex": False, "isEqual": False},
                ],
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(hours=1)).isoformat(),
                "createdBy": "ada",
                "comment": "planned",
            }
            answer = (await here.http.post(f"{base}/api/v2/silences", json=silence)).json()

            async def silenced() -> bool:
                return any(each.silenced_by for each in (await gather_alerting(here.alertmanager)).alerts)

            await until(silenced)
            found: AlertingFact = await gather_alerting(here.alertmanager)
            told = {alert.name: alert for alert in found.alerts if alert.labels.get("namespace") == "team-a"}
            assert {name: alert.silenced_by for name, alert in told.items()} == {
                PROBLEMS[0].name: (answer["silenceID"],),
                PROBLEMS[1].name: (),
            }
            assert [(each.matchers, each.created_by, each.is_active) for each in found.silences] == [
                (f'alertname="{PROBLEMS[0].name}", namespace=~"team-.*", severity!="ticket"', "ada", True)
            ]
            assert found.version
            assert told[PROBLEMS[0].name].started_at is not None

            (await here.http.delete(f"{base}/api/v2/silence/{answer['silenceID']}")).raise_for_status()

            async def ended() -> bool:
                return (await gather_alerting(here.alertmanager)).silences[0].is_over

            await until(ended)
            (over,) = (await gather_alerting(here.alertmanager)).silences
            assert over.ends_at is not None
            assert (over.is_active, over.ends_at < datetime.now(UTC)) == (False, True)

    run(scenario())


def test_errors_alerts_and_the_beginning_of_its_data_are_read_as_prometheus_has_them(tmp_path: Path) -> None:
    # An alert's series as Prometheus itself writes it, without the minutes that a real one waits.
    rules = [{"record": "ALERTS", "expr": "vector(1)", "labels": each} for each in (FIRING, FOREIGN)]
    group = {"name": "played", "interval": "1s", "rules": rules}
    (tmp_path / "played.yaml").write_text(configuration.render({"groups": [group]}))

    async def scenario() -> None:
        async with site(tmp_path) as here:
            await until(lambda: _has(here, s.LOCK_LEFT))
            here.agent.inc(m.TOKEN_REFRESH_ERRORS, 1, **TENANT)

            async def counted() -> bool:
                found = await _shift(here)
                errors = found.token_errors.get("team-a")
                return bool(found.fired) and errors is not None and errors.last_hour >= 1

            await until(counted)
            found = await _shift(here)
            assert found.token_errors["team-a"].peak >= found.token_errors["team-a"].last_hour
            assert found.renew_errors["team-a"].last_hour == 0
            (fired,) = found.fired
            assert (fired.name, fired.severity, fired.subject, fired.is_firing) == (
                PROBLEMS[0].name,
                "page",
                "team-a",
                True,
            )
            assert own_series(await here.facts()).of(s.FIRING) == {(PROBLEMS[0].name, "team-a", ""): 1}
            assert {hole.component for hole in found.holes} == set(m.Component)
            recent = datetime.now(UTC) - timedelta(minutes=10)
            agents = [hole for hole in found.holes if hole.component is m.Component.AGENT]
            assert recent < max(hole.ends_at for hole in agents) < datetime.now(UTC), "it has just been started"
            assert [(each.subject, each.is_told) for each in found.gateways] == [("team-a/ci", True)]
            assert (await _shift(here, "another")).token_errors == {}

    run(scenario())


async def _has(here: Site, query: s.SeriesQuery) -> bool:
    return bool((await gather_series(here.prometheus)).values[query])


async def _shift(here: Site, cluster: str = "") -> ShiftSeriesFact:
    now = datetime.now(UTC)
    return await gather_shift_series(here.prometheus, now - timedelta(hours=12), now, (cluster,), None)
