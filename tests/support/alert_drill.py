"""Plays faults to a real Prometheus and a real Alertmanager with the rules and routes that ship, at a faster pace.

All at once, each in a cluster of its own: brought in when all is well, taken back when everybody was told, and over
when everybody was told of the end. What receivers are told arrives in the sandbox's own inbox.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from actions_gateway.engine.clock import SystemClock
from gateway_sandbox.controlplane.processes import Process
from gateway_sandbox.monitoring import configuration
from gateway_sandbox.monitoring.inbox import Inbox, Notification, receiver_url
from gateway_sandbox.nodes.ports import PortAllocator
from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.rules import rule_groups
from gw_alerts.scaling import Pace, paced_alertmanager, paced_groups
from gw_alerts.values import REQUIRED, Destinations, Values, Webhook
from support.alert_faults import AlertDrill
from support.alert_times import Told
from support.components import require_monitoring
from support.patience import HANG_SECONDS
from support.watched_fleet import PlayedCluster, serve_clusters

HOST = configuration.HOST
_TICK_SECONDS = 0.25
_LOOK_SECONDS = 1.0
WATCHDOG = "Watchdog"


@dataclass
class Played:
    """A play that is over."""

    fired: dict[str, set[str]] = field(default_factory=dict)
    """By cluster: the alerts that fired while all faults were in force."""
    notifications: list[Notification] = field(default_factory=list)
    began: float = 0.0
    """Unix time at which all faults were brought in."""
    ended: float = 0.0
    """And at which they were taken back."""

    def of(self, drill: AlertDrill) -> list[Notification]:
        """What receivers were told of the drill's cluster, the oldest first."""
        return [each for each in self.notifications if each["group"].get("cluster") == drill.name]

    def told(self, drill: AlertDrill, alert: str) -> Told:
        """When the alert fired and was told, and when its end was; raises StopIteration when it was not."""
        entries = [(each, one) for each in self.of(drill) for one in each["alerts"] if one["name"] == alert]
        first, fired = next(entry for entry in entries if entry[1]["status"] == "firing")
        last, _ = next(entry for entry in entries if entry[1]["status"] == "resolved")
        return Told(
            alert,
            drill.fault,
            first["receiver"],
            _unix(fired["starts_at"]) - self.began,
            _unix(first["at"]) - self.began,
            _unix(last["at"]) - self.ended,
        )


@dataclass
class _Site:
    """Both servers, and the clusters that they watch."""

    drills: Mapping[str, AlertDrill]
    clusters: Mapping[str, PlayedCluster]
    inbox: Inbox
    http: httpx.AsyncClient
    prometheus_url: str
    processes: Sequence[Process]
    ticks: int = 0

    async def alerts(self, state: str, within: str = "") -> dict[str, set[str]]:
        """The names of alerts that are, or were within so long, in that state; by cluster."""
        found: dict[str, set[str]] = {}
        chosen = f'ALERTS{{alertstate=~"{state}",alertname!="{WATCHDOG}"}}'
        for series in await self.query(f"last_over_time({chosen}[{within}])" if within else chosen):
            found.setdefault(series.get("cluster", ""), set()).add(series["alertname"])
        return found

    async def query(self, expression: str) -> list[dict[str, str]]:
        """The labels of what is found; raises httpx.HTTPError while nobody answers, which is not the same as none."""
        answer = await self.http.get(f"{self.prometheus_url}/api/v1/query", params={"query": expression})
        return [each["metric"] for each in answer.raise_for_status().json()["data"]["result"]]

    def tick(self) -> None:
        """The faults go on."""
        for drill in self.drills.values():
            drill.bring(self.clusters[drill.name], self.ticks)
        self.ticks += 1

    async def until(self, what: str, holds: Callable[[], Awaitable[set[str]]], *, is_faulty: bool) -> None:
        """Waits until nothing that `holds` names is missing; the play's own deadline ends it."""
        looked = 0.0
        missing = {"everything"}
        try:
            while missing:
                if is_faulty:
                    self.tick()
                if time.monotonic() - looked >= _LOOK_SECONDS:
                    looked = time.monotonic()
                    for process in self.processes:
                        process.require_running()
                    try:
                        missing = await holds()
                    except httpx.HTTPError as problem:
                        missing = {f"an answer ({problem!r})"}
                await asyncio.sleep(_TICK_SECONDS)
        except asyncio.CancelledError:
            raise AssertionError(f"{what}: still missing {sorted(missing)}") from None

    async def not_well(self) -> set[str]:
        """What a healthy fleet lacks, or says in excess."""
        seen = await self.query("count by (cluster) (actions_gateway_build_info) == 2")
        lacking = self.clusters.keys() - {each["cluster"] for each in seen}
        alerts = await self.alerts("pending|firing")
        # A dead man's switch that was heard has come the whole way.
        heard = {each["receiver"] for each in self.inbox.notifications if _is_watchdog(each)}
        return {*lacking, *_named(alerts), *({WATCHDOG} - ({WATCHDOG} if heard else set()))}

    async def not_told(self) -> set[str]:
        """The alerts of faults that nobody was told of yet, or that do not fire."""
        told = {
            f"{each['group'].get('cluster', '')}/{one['name']}"
            for each in self.inbox.notifications
            for one in each["alerts"]
            if one["status"] == "firing"
        }
        firing = _named(await self.alerts("firing"))
        wanted = {f"{drill.name}/{alert}" for drill in self.drills.values() for alert in drill.tells}
        silent = {
            f"{drill.name}/{alert}" for drill in self.drills.values() for alert in (*drill.silent, *drill.told_late)
        }
        return (wanted - told) | (silent - firing)

    async def not_over(self) -> set[str]:
        """What fires or waits still, and what people believe to fire."""
        believed: dict[str, str] = {}
        for each in self.inbox.notifications:
            for one in each["alerts"]:
                if one["name"] != WATCHDOG:
                    believed[f"{each['group'].get('cluster', '')}/{one['name']}/{sorted(one['labels'].items())}"] = one[
                        "status"
                    ]
        return {*_named(await self.alerts("pending|firing")), *(k for k, v in believed.items() if v == "firing")}


async def play(
    folder: Path, drills: Sequence[AlertDrill], pace: Pace, *, without: Collection[str] = frozenset()
) -> Played:
    """All drills at once, from health to health, with the rules that ship but the alerts `without`."""
    result = Played()
    async with _site(folder, drills, _groups(pace, without), pace) as site:
        await site.until("the healthy fleet", site.not_well, is_faulty=False)
        result.began = time.time()
        await site.until("the faults", site.not_told, is_faulty=True)
        result.ended = time.time()
        result.fired = await site.alerts("firing", f"{round(result.ended - result.began)}s")
        for cluster in site.clusters.values():
            cluster.heal()
        await site.until("the end", site.not_over, is_faulty=False)
        result.notifications = site.inbox.notifications
    return result


@asynccontextmanager
async def _site(
    folder: Path, drills: Sequence[AlertDrill], groups: list[dict[str, Any]], pace: Pace
) -> AsyncIterator[_Site]:
    programs = dict(zip(("prometheus", "alertmanager"), require_monitoring(), strict=True))
    ports = PortAllocator(HOST, random.Random())
    scraped, told, prometheus, alertmanager = (ports.take() for _ in range(4))
    clusters = [PlayedCluster(drill.name, time.time(), drill.expects_sessions) for drill in drills]
    for cluster in clusters:
        cluster.warm_up()
    inbox = Inbox(SystemClock())
    (folder / "rules.yaml").write_text(configuration.render({"groups": groups}))
    flags: dict[str, list[str]] = {}
    for name, port, settings, flags_of in (
        (
            "prometheus",
            prometheus,
            _prometheus(folder, clusters, scraped, prometheus, alertmanager, pace),
            configuration.prometheus_flags,
        ),
        ("alertmanager", alertmanager, _alertmanager(f"http://{HOST}:{told}", pace), configuration.alertmanager_flags),
    ):
        (file := folder / f"{name}.yml").write_text(configuration.render(settings))
        flags[name] = flags_of(folder, file, port)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve_clusters(clusters, HOST, scraped))
        await stack.enter_async_context(inbox.serve(HOST, told))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=HANG_SECONDS))
        processes = [Process([program, *flags[name]], folder / f"{name}.log") for name, program in programs.items()]
        for process in processes:
            stack.push_async_callback(asyncio.to_thread, process.stop)
        by_name = {drill.name: drill for drill in drills}
        yield _Site(
            by_name, {each.name: each for each in clusters}, inbox, http, f"http://{HOST}:{prometheus}", processes
        )


def _groups(pace: Pace, without: Collection[str]) -> list[dict[str, Any]]:
    groups = paced_groups(rule_groups(), pace)
    return [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("alert") not in without]} for group in groups
    ]


def _prometheus(
    folder: Path, clusters: Sequence[PlayedCluster], scraped: int, own: int, alertmanager: int, pace: Pace
) -> dict[str, Any]:
    settings = configuration.prometheus_configuration(
        targets=folder / "none.json",
        rules=folder,
        own_url=f"http://{HOST}:{own}",
        alertmanager_url=f"http://{HOST}:{alertmanager}",
        interval=pace.scrape_interval,
    )
    targets = [target for cluster in clusters for target in cluster.targets(f"{HOST}:{scraped}")]
    # Its own rules' series are played.
    settings["scrape_configs"] = [{"job_name": "played", "honor_labels": True, "static_configs": targets}]
    return settings


def _alertmanager(inbox_url: str, pace: Pace) -> dict[str, Any]:
    anywhere = Destinations(webhook=(Webhook(url="http://receiver.example.com"),))
    values = Values(cluster="played", receivers=dict.fromkeys(REQUIRED, anywhere))
    shipped = paced_alertmanager(alertmanager_configuration(values), pace)
    return configuration.alertmanager_configuration(shipped, address_of=lambda name: receiver_url(inbox_url, name))


def _named(alerts: Mapping[str, set[str]]) -> set[str]:
    return {f"{cluster}/{name}" for cluster, names in alerts.items() for name in names}


def _is_watchdog(notification: Notification) -> bool:
    return all(alert["name"] == WATCHDOG for alert in notification["alerts"])


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
