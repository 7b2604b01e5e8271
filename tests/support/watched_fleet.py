"""Clusters that this process plays for a real Prometheus: in each one healthy tenant, and whatever a drill does to it.

Each has a manager, an agent, a proxy and a monitoring with all that healthy ones export, so that a rule has something
to be wrong about. A drill changes series of them, and `heal` takes all of that back but what was counted.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from actions_gateway.api.names import TENANT_NAMESPACE_POLICY
from actions_gateway.metrics import catalog as m
from actions_gateway.metrics.registry import Metrics
from gw_alerts import foreign
from gw_alerts.catalog import GROUP_SIZES

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MANAGER, AGENT, OTHERS = "manager", "agent", "others"
"""The parts of a cluster that are scraped; the last is all that is not ours."""
RULE_GROUP = 'rule_group="/rules.yaml;actions-gateway"'
INTEGRATION = 'integration="webhook"'
ADMISSION = f'policy="{TENANT_NAMESPACE_POLICY}",policy_binding="{TENANT_NAMESPACE_POLICY}",enforcement_action="deny"'
_PROXY = {
    foreign.PROXY_LIVE: 1.0,
    foreign.TUNNELS: 3.0,
    foreign.RECEIVED_BYTES: 0.0,
    foreign.TUNNEL_LENGTH_COUNT: 0.0,
    foreign.LIFETIME_REACHED: 0.0,
    foreign.CONNECT_FAILURES: 0.0,
    foreign.DENIED: 0.0,
    foreign.BREAKER_OPEN: 0.0,
}
_SHORT_TUNNELS = 'le="1800000"'


@dataclass
class PlayedCluster:
    """One cluster with one tenant, whose namespace has the cluster's name."""

    name: str
    now: float
    """Unix time of its beginning."""
    expects_sessions: bool = False
    """Whether its manager expects an agent with a session. A scrape that a busy machine misses ends both."""
    silent: set[str] = field(default_factory=set)
    """Parts that answer nobody."""
    _metrics: dict[str, Metrics] = field(default_factory=dict)
    _others: dict[str, float] = field(default_factory=dict)
    _rendered: dict[str, bytes] = field(default_factory=dict)
    _ways_back: dict[object, Callable[[], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, component in ((MANAGER, m.Component.MANAGER), (AGENT, m.Component.AGENT)):
            self._metrics[part] = Metrics(component, "1.0")
            for names in _label_sets(component):
                self._metrics[part].open(**{name: self._values[name] for name in names})
        self._be_healthy()
        self._ways_back.clear()

    def set(self, metric: m.Metric, value: float, **labels: str) -> None:
        """A gauge of the tenant gets the value until the cluster is healed."""
        metrics, about = self._find(metric, labels)
        before = metrics.value(metric, **about)
        assert before is not None, f"a healthy cluster has no {metric.name} {about}"
        self._keep((metric.name, *about.items()), partial(metrics.set, metric, before, **about))
        metrics.set(metric, value, **about)

    def end(self, metric: m.Metric, **labels: str) -> None:
        """A gauge of the tenant is exported no more until the cluster is healed."""
        metrics, about = self._find(metric, labels)
        before = metrics.value(metric, **about)
        if before is not None:
            self._keep((metric.name, *about.items()), partial(metrics.set, metric, before, **about))
            metrics.end(metric, **about)
            self._rendered.clear()

    def inc(self, metric: m.Metric, amount: float = 1, **labels: str) -> None:
        """Counts."""
        metrics, about = self._find(metric, labels)
        metrics.inc(metric, amount, **about)
        self._rendered.clear()

    def observe(self, metric: m.Metric, value: float, **labels: str) -> None:
        """One observation of the tenant."""
        metrics, about = self._find(metric, labels)
        metrics.observe(metric, value, **about)
        self._rendered.clear()

    def condition(self, kind: str, value: str) -> None:
        """The gateway's condition gets the status."""
        for status in ("True", "False", "Unknown"):
            self.set(m.CONDITION, float(status == value), type=kind, status=status)

    def other(self, series: foreign.ForeignSeries, value: float, matchers: str = "") -> None:
        """A gauge of somebody else's gets the value until the cluster is healed."""
        name = _named(series, matchers)
        self._keep(name, partial(self._others.__setitem__, name, self._others.get(name, 0.0)))
        self._others[name] = value
        self._rendered.clear()

    def count(self, series: foreign.ForeignSeries, amount: float = 1, matchers: str = "") -> None:
        """Counts somebody else's."""
        self._others[_named(series, matchers)] += amount
        self._rendered.clear()

    def fall_silent(self, part: str) -> None:
        """The part answers nobody until the cluster is healed."""
        self.silent.add(part)
        self._keep(part, partial(self.silent.discard, part))

    def heal(self) -> None:
        """Takes back what was set."""
        for way_back in self._ways_back.values():
            way_back()
        self._ways_back.clear()
        self._rendered.clear()

    def render(self, part: str) -> bytes:
        """What a scrape of the part gets; what does not change is rendered once."""
        if part not in self._rendered:
            text = "".join(f"{series} {value}\n" for series, value in self._others.items())
            self._rendered[part] = text.encode() if part == OTHERS else self._metrics[part].render()
        return self._rendered[part]

    def warm_up(self) -> None:
        """Renders all parts, so that nothing is late when all clusters are scraped for the first time."""
        for part in (MANAGER, AGENT, OTHERS):
            self.render(part)

    def targets(self, address: str) -> list[dict[str, Any]]:
        """Static configurations of its parts."""
        places = {MANAGER: ("gmc-system", "gmc-1"), AGENT: (self.name, "agent-1"), OTHERS: (self.name, "proxy-1")}
        return [
            {
                "targets": [address],
                "labels": {
                    "__metrics_path__": f"/{self.name}/{part}",
                    "cluster": self.name,
                    "namespace": namespace,
                    "pod": pod,
                },
            }
            for part, (namespace, pod) in places.items()
        ]

    @property
    def _values(self) -> Mapping[str, str]:
        """Of every label that objects give."""
        return {
            "namespace": self.name,
            "runner_group": "ci-cpu",
            "name": "ci",
            "kind": "ActionsGateway",
            "type": "Ready",
            "controller": "runnergroup",
            "resource": "runnergroups",
            "quota": "compute",
            "key": "pods",
            "uid": f"uid-{self.name}",
            "version": "2.330.0",
        }

    def _find(self, metric: m.Metric, labels: Mapping[str, str]) -> tuple[Metrics, dict[str, str]]:
        self._rendered.clear()
        part = MANAGER if metric.components == (m.Component.MANAGER,) else AGENT
        free = {name: self._values[name] for name, known in metric.labels.items() if known is None}
        return self._metrics[part], {**free, **labels}

    def _keep(self, what: object, way_back: Callable[[], None]) -> None:
        """The first way back leads to health."""
        self._ways_back.setdefault(what, way_back)

    def _be_healthy(self) -> None:
        for kind in ("Paused", "RateLimited", "Degraded"):
            self._metrics[MANAGER].open(**self._condition_labels(kind))
            self.condition(kind, "False")
        self.condition("Ready", "True")
        for metric, value in (
            (m.MANAGED_GATEWAYS, 1.0),
            (m.EXPECTED_AGENTS, float(self.expects_sessions)),
            (m.EXPECTED_SESSIONS, float(self.expects_sessions)),
            (m.EXPECTED_PROXIES, 1.0),
            (m.PROXY_READY_REPLICAS, 1.0),
            (m.PROXY_HPA_METRIC_AVAILABLE, 1.0),
            (m.CREDENTIAL_REFERENCED, self.now),
            (m.ACTIVE_SESSIONS, 1.0),
            (m.LOCK_REMAINING, float("inf")),
            (m.LAST_POLL_TIMESTAMP, self.now),
            (m.GITHUB_RATE_LIMIT_LIMIT, 5000.0),
            (m.GITHUB_RATE_LIMIT_REMAINING, 4000.0),
            (m.TOKEN_EXPIRY_TIMESTAMP, self.now + 3600),
            (m.RUNNER_VERSION_RELEASED, self.now - 86400),
            (m.QUOTA_HARD, 10.0),
            (m.ROLLOUT_WAITING, 0.0),
        ):
            metrics, about = self._find(metric, {})
            metrics.set(metric, value, **about)
        for metrics in self._metrics.values():
            metrics.set(m.EVENT_LOOP_LAG, 0)
        self.set(m.LISTENER_SLOTS, 1, state="polling")
        for series, value in _PROXY.items():
            self.other(series, value)
        self.other(foreign.TUNNEL_LENGTH_BUCKET, 0, _SHORT_TUNNELS)
        self.other(foreign.ADMISSION_CHECKS, 0, ADMISSION)
        self.other(foreign.RULES_LOADED, sum(GROUP_SIZES.values()), RULE_GROUP)
        for series in (foreign.RULE_FAILURES, foreign.ITERATIONS_MISSED):
            self.other(series, 0, RULE_GROUP)
        for series in (foreign.NOTIFICATIONS, foreign.NOTIFICATIONS_FAILED):
            self.other(series, 0, INTEGRATION)

    def _condition_labels(self, kind: str) -> dict[str, str]:
        return {**{name: self._values[name] for name in ("namespace", "kind", "name")}, "type": kind}


@asynccontextmanager
async def serve_clusters(clusters: Iterable[PlayedCluster], host: str, port: int) -> AsyncIterator[None]:
    """Answers scrapes while the context is open."""
    by_name = {cluster.name: cluster for cluster in clusters}

    async def scrape(request: web.Request) -> web.Response:
        cluster, part = by_name[request.match_info["cluster"]], request.match_info["part"]
        if part in cluster.silent:
            raise web.HTTPServiceUnavailable
        return web.Response(body=cluster.render(part), headers={"Content-Type": _CONTENT_TYPE})

    application = web.Application()
    application.add_routes([web.get("/{cluster}/{part}", scrape)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _label_sets(component: m.Component) -> Iterable[tuple[str, ...]]:
    """The sets of labels that objects give, of all series of the component."""
    names = {
        tuple(name for name, known in metric.labels.items() if known is None)
        for metric in m.CATALOG
        if component in metric.components and metric is not m.BUILD_INFO
    }
    return filter(None, names)


def _named(series: foreign.ForeignSeries, matchers: str) -> str:
    """The series with its labels; what selects ours of them is labels as well."""
    return f"{series.name}{{{','.join(filter(None, (series.matchers, matchers)))}}}"
