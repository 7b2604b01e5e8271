"""Asks a real Prometheus what the boards ask, of clusters that this process plays: healthy ones, then faulty ones.

The faults are those of the alert drills; those that hide or end what another one changes have a cluster of their own.
Durations are divided as there, and alerts wait for nothing, so that what a board shows of them is there as soon as its
cause.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from actions_gateway.metrics import catalog as m
from gateway_sandbox.controlplane.processes import Process
from gateway_sandbox.monitoring import configuration
from gateway_sandbox.nodes.ports import PortAllocator
from gw_alerts import foreign
from gw_alerts.recordings import SESSIONS_AVAILABLE
from gw_alerts.rules import rule_groups
from gw_alerts.scaling import Pace, paced_groups
from gw_dashboards.promql import select
from support.alert_faults import DRILLS, AlertDrill
from support.board_queries import Answers, Asked, BoardQuestions, Sample, questions, questions_about
from support.components import require_monitoring
from support.patience import HANG_SECONDS
from support.watched_fleet import PlayedCluster, serve_clusters

HOST = configuration.HOST
PACE = Pace(720)
"""The longest step of a rule, an hour, is what a fault waits for to be seen."""
BUSY, IDLE, SINGLE = "busy", "idle", "single"
"""Healthy clusters, with and without jobs; series of the last have no label `cluster`, as where there is but one."""
UNLABELLED = ""
"""What is asked of SINGLE."""
FAULTY = "faulty"
"""The cluster of most faults."""
_ALONE = frozenset({"agent-down", "manager-down", "github-unreachable", "series-missing", "full-proxy", "paused"})
CLUSTERS = (BUSY, IDLE, SINGLE, FAULTY, *sorted(_ALONE))
_FULL = "full-proxy"
_TYPICAL = ("no-session", "polls-fail")
"""Drills with a page and with a ticket."""
_LOOK_SECONDS = 0.5
_TICK_SECONDS = 0.5
_ENOUGH_SECONDS = HANG_SECONDS
_BOUNDS = ('le="100"', 'le="+Inf"')
_BESIDE_ALERTS = (
    (foreign.TUNNELS_OPENED, ""),
    (foreign.SENT_BYTES, ""),
    (foreign.ALLOWED, ""),
    (foreign.IDLE_TIMEOUTS, ""),
    (foreign.TUNNEL_LENGTH_BUCKET, _BOUNDS[-1]),
    *((foreign.CONNECT_TIME_BUCKET, bound) for bound in _BOUNDS),
)
"""What proxies export and no alert reads."""


@dataclass
class Shown:
    """What the boards showed."""

    health: Answers = field(default_factory=dict)
    faults: Answers = field(default_factory=dict)
    variables: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By board and variable, in health."""


Judge = Callable[[Asked, list[Sample] | str], str | None]
"""What is wrong with an answer, if anything."""


def cluster_of(drill: AlertDrill) -> str:
    """Where its fault is brought in."""
    return drill.name if drill.name in _ALONE else FAULTY


def concerned(drill: AlertDrill) -> Iterable[Asked]:
    """The queries that can show the drill's fault: of panels that name its alerts, or count alerts of any name."""
    cluster = cluster_of(drill)
    yield from questions_about({*drill.tells, *drill.silent}, cluster)
    if drill.name in _TYPICAL:
        ours = foreign.ALERTS_SERIES.name
        yield from (asked for asked in questions((cluster,)) if asked.can_show and ours in asked.query.expression)


async def show(folder: Path, is_healthy: Judge, still_unseen: Callable[[Answers], list[Asked]]) -> Shown:
    """Both phases; each lasts until the boards show what they should, or for so long that they never will.

    `still_unseen` says what has to be asked again of faulty clusters.
    """
    shown = Shown()
    clusters = [PlayedCluster(name, time.time()) for name in CLUSTERS]
    by_name = {cluster.name: cluster for cluster in clusters}
    for cluster in clusters:
        for series, matchers in _BESIDE_ALERTS:
            cluster.other(series, 0, matchers)
        cluster.warm_up()
    async with _prometheus(folder, clusters) as ask:
        await _settle(lambda: ask.has(len(CLUSTERS), select(m.BUILD_INFO, f'component="{m.Component.AGENT}"')))
        for cluster in clusters:
            _expect_sessions(cluster)
        health = list(questions((BUSY, IDLE, UNLABELLED)))

        async def look_at_health() -> bool:
            wrong = [each for each in health if is_healthy(each, shown.health.get(each, "not asked yet"))]
            shown.health |= await ask.all(wrong)
            return not any(is_healthy(each, shown.health[each]) for each in health)

        def work(_: int) -> None:
            for name in (BUSY, SINGLE):
                _work(by_name[name])

        async with _again_and_again(work):
            await _settle(lambda: ask.has(len(CLUSTERS), f"{SESSIONS_AVAILABLE.name} == 1"))
            await _settle(look_at_health)
            shown.variables = await ask.variables()

        async def look_at_faults() -> bool:
            shown.faults |= await ask.all(still_unseen(shown.faults))
            return not still_unseen(shown.faults)

        def break_all(_: int) -> None:
            for drill in DRILLS:
                # As if it had just begun: what happens once would have left a window before it is asked about.
                drill.bring(by_name[cluster_of(drill)], 0)
            by_name[_FULL].other(foreign.BREAKER_OPEN, 1)

        async with _again_and_again(break_all):
            silent = select(SESSIONS_AVAILABLE, f'cluster="{FAULTY}"')
            await _settle(lambda: ask.has(1, f"{silent} == 0"))
            await _settle(look_at_faults)
    return shown


async def _settle(look: Callable[[], Awaitable[bool]]) -> None:
    """Looks again and again, since nobody says when a server has scraped and evaluated."""
    ends = time.monotonic() + _ENOUGH_SECONDS
    while time.monotonic() < ends:
        if await look():
            return
        await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def _again_and_again(play: Callable[[int], None]) -> AsyncIterator[None]:
    """What is counted goes on being counted while the context is open."""

    async def go_on() -> None:
        for before in itertools.count():
            play(before)
            await asyncio.sleep(_TICK_SECONDS)

    task = asyncio.create_task(go_on(), name="play")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _expect_sessions(cluster: PlayedCluster) -> None:
    """Only once its agent is seen: a manager that is scraped first would burn a budget that windows never give back."""
    for metric in (m.EXPECTED_AGENTS, m.EXPECTED_SESSIONS):
        cluster.set(metric, 1)


def _work(cluster: PlayedCluster) -> None:
    """What a healthy tenant counts while jobs run."""
    cluster.inc(m.JOBS_ACQUIRED)
    cluster.inc(m.GITHUB_REQUESTS, endpoint="poll", code_class="2xx")
    cluster.observe(m.POD_CREATION_LATENCY, 3)
    cluster.observe(m.RECONCILE_DURATION, 0.1)
    cluster.inc(m.RECONCILE_TOTAL, result="success")
    cluster.set(m.LOCK_REMAINING, 580)
    cluster.observe(m.JOB_DURATION, 100, result="succeeded")
    for bound in _BOUNDS:
        cluster.count(foreign.CONNECT_TIME_BUCKET, 1, bound)


@asynccontextmanager
async def _prometheus(folder: Path, clusters: Collection[PlayedCluster]) -> AsyncIterator[BoardQuestions]:
    program, _ = require_monitoring()
    ports = PortAllocator(HOST, random.Random())
    scraped, own = ports.take(), ports.take()
    settings = configuration.prometheus_configuration(
        targets=folder / "none.json",
        rules=folder,
        own_url=f"http://{HOST}:{own}",
        alertmanager_url=None,
        interval=PACE.scrape_interval,
    )
    targets = [target for cluster in clusters for target in _targets(cluster, f"{HOST}:{scraped}")]
    settings["scrape_configs"] = [{"job_name": "played", "honor_labels": True, "static_configs": targets}]
    (folder / "rules.yaml").write_text(configuration.render({"groups": list(_impatient())}))
    (file := folder / "prometheus.yml").write_text(configuration.render(settings))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve_clusters(clusters, HOST, scraped))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=HANG_SECONDS))
        flags = configuration.prometheus_flags(folder, file, own)
        process = Process([program, *flags], folder / "prometheus.log")
        stack.push_async_callback(asyncio.to_thread, process.stop)
        yield BoardQuestions(http, f"http://{HOST}:{own}", PACE)


def _targets(cluster: PlayedCluster, address: str) -> list[dict[str, Any]]:
    targets = cluster.targets(address)
    if cluster.name == SINGLE:
        for target in targets:
            del target["labels"]["cluster"]
    return targets


def _impatient() -> Iterable[dict[str, object]]:
    """The rules at the drill's pace; alerts fire, and end, with their cause."""
    for group in paced_groups(rule_groups(), PACE):
        rules = [
            {key: value for key, value in rule.items() if key not in ("for", "keep_firing_for")}
            for rule in group["rules"]
        ]
        yield {**group, "rules": rules}
