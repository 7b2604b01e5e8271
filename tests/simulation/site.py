"""What a Prometheus scrapes around a simulated tenant: its agents, the managers, its proxies, and itself.

The agents' series are their own. The leading manager's come from the manager's own functions, which see the
RunnerGroups as the agent reports them. Proxies, Prometheus and Alertmanager are played. All times are told from the
world's beginning on, since promtool's clock begins at zero.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from actions_gateway.api.names import AGENT_CONTAINER, MANAGER_NAMESPACE, PROXY
from actions_gateway.installation.monitoring import AGENT_JOB, MANAGER_JOB, PROXY_JOB
from actions_gateway.manager.fleet.export import Fleet
from actions_gateway.manager.gateway.conditions import decide_conditions
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.snapshot import Plan, Snapshot
from actions_gateway.manager.gateway.status import build_status
from actions_gateway.metrics.catalog import AGENT_TERMINATIONS, ROLLOUT_WAITING, Component, Kind
from actions_gateway.metrics.registry import Metrics
from gw_alerts import foreign
from gw_alerts.catalog import ALERTS, GROUP_SIZES
from gw_alerts.recordings import RECORDINGS
from gw_alerts.slos import long_recordings, recent_recordings
from simulation.loop import EPOCH
from simulation.recording import Key, key_of
from support import manager_objects as make

if TYPE_CHECKING:
    from simulation.week import Week

Labels = Mapping[str, str]

_READ = set(
    re.findall(
        r"\b(?:actions_gateway|controller_runtime)_\w+",
        " ".join(
            [arm.expression for alert in ALERTS for arm in alert.arms]
            + [each.expression for each in (*RECORDINGS, *recent_recordings(), *long_recordings())]
        ),
    )
)
"""Series that a rule names; the others would only be carried along."""
_MATCHER = re.compile(r'(\w+)="([^"]*)"')
_MANAGER_RESTART_SECONDS = 40.0
_ELECTION_SECONDS = 20.0
_AGENT_TUNNELS = 3
_BYTES_PER_SECOND = 400
"""Of keep-alives and polls; a job adds far more."""


@dataclass
class _Proxy:
    name: str
    started: float


class Site:
    """Everything that is scraped."""

    def __init__(self, world: "Week") -> None:
        self._world = world
        self._namespace = world.cluster.namespace
        groups = [
            {"name": "cron", "runnerLabels": ["cron"]},
            {"name": "push", "runnerLabels": ["push"], "maxListeners": 3, "maxWorkers": 6},
        ]
        created = {"creationTimestamp": f"{EPOCH:%Y-%m-%dT%H:%M:%SZ}"}
        self._gateway = make.gateway(runnerGroups=groups, metadata=created)
        self._children = make.children_of(self._gateway)
        self._judged = ""
        self._leader = 0
        self._leads_from = 0.0
        self._proxies = [_Proxy(f"{PROXY}-{number}", 0.0) for number in range(2)]
        self._agents_seen = 0
        self._keys: dict[tuple[Any, ...], Key] = {}
        self.restart_manager()

    # -- events --------------------------------------------------------------------------------------------------

    def restart_manager(self) -> None:
        """Both managers begin anew."""
        self._leads_from = self._world.loop.time() + _MANAGER_RESTART_SECONDS
        self._metrics = [Metrics(Component.MANAGER, "simulated") for _ in range(2)]
        self._fleet: Fleet | None = None

    def elect(self) -> None:
        """The other manager leads, as if the node of the first one were gone for a while."""
        self._metrics[self._leader] = Metrics(Component.MANAGER, "simulated")
        self._leader, self._fleet = 1 - self._leader, None
        self._leads_from = self._world.loop.time() + _ELECTION_SECONDS

    def replace_proxy(self) -> None:
        """The older proxy gives way to a new one, with all its tunnels."""
        oldest = min(self._proxies, key=lambda proxy: proxy.started)
        self._proxies.remove(oldest)
        now = self._world.loop.time()
        self._proxies.append(_Proxy(f"{PROXY}-at-{now:.0f}", now))

    def refer_anew(self) -> None:
        """The gateway refers to another Secret."""
        owner = {"time": f"{self._world.clock.now():%Y-%m-%dT%H:%M:%SZ}", "fieldsV1": _REFERENCE}
        self._gateway["metadata"]["managedFields"] = [owner]

    # -- scrapes -------------------------------------------------------------------------------------------------

    def scrape(self) -> Iterator[tuple[Key, float]]:
        """Every series that a rule may read, with its present value."""
        for running in self._world.agents.alive:
            target = {"namespace": self._namespace, "pod": running.process.name, "container": AGENT_CONTAINER}
            yield from self._exported(running.metrics, {**target, "job": AGENT_JOB}, honours=False)
        self._lead()
        for number, metrics in enumerate(self._metrics):
            target = {"namespace": MANAGER_NAMESPACE, "pod": f"gmc-{number}", "container": "manager"}
            yield from self._exported(metrics, {**target, "job": MANAGER_JOB}, honours=True)
        for proxy in self._proxies:
            yield from self._proxy(proxy)
        yield from self._watching()

    def _exported(self, metrics: Metrics, target: Labels, *, honours: bool) -> Iterator[tuple[Key, float]]:
        """One process's own registry, with the labels of its target."""
        place = tuple(target.values())
        for name, gauge in metrics._gauges.items():
            if name in _READ:
                for values, number in gauge._values.items():
                    yield self._key(place, target, honours, name, gauge._names, values), _told(name, number)
        for name, family in metrics._families.items():
            for suffix, names, values, number in _parts(metrics, name, family):
                if name + suffix in _READ:
                    yield self._key(place, target, honours, name + suffix, names, values), number

    def _key(
        self, place: tuple[str, ...], target: Labels, honours: bool, name: str, names: tuple[str, ...],
        values: tuple[str, ...],
    ) -> Key:  # fmt: skip
        known = self._keys.get((place, name, values))
        if known is None:
            own = dict(zip(names, values, strict=True))
            clash = {} if honours else {f"exported_{label}": own[label] for label in own.keys() & target.keys()}
            labels = {**target, **own} if honours else {**own, **clash, **target}
            known = self._keys[place, name, values] = key_of(name, labels)
        return known

    # -- the manager ---------------------------------------------------------------------------------------------

    def _lead(self) -> None:
        if self._world.loop.time() < self._leads_from:
            return
        metrics = self._metrics[self._leader]
        snapshot = self._snapshot()
        key = (str(snapshot.gateway["metadata"]["namespace"]), str(snapshot.gateway["metadata"]["name"]))
        if self._fleet is None:
            self._fleet = Fleet(metrics)
            self._fleet.begin()
            metrics.set(ROLLOUT_WAITING, 0)
        judged = repr([group.get("status", {}).get("conditions") for group in snapshot.runner_groups]) + repr(
            (snapshot.agent or {}).get("status")
        )
        if judged != self._judged:
            self._judge(snapshot)
            self._judged = judged
            snapshot = self._snapshot()
        self._fleet.observe(key, snapshot, is_served=True)
        for _ in self._world.agents.ever[self._agents_seen : -1]:
            metrics.inc(AGENT_TERMINATIONS, namespace=self._namespace, reason="Completed")
        self._agents_seen = max(self._agents_seen, len(self._world.agents.ever) - 1)

    def _judge(self, snapshot: Snapshot) -> None:
        plan = Plan(parse_gateway(snapshot.gateway), None, ())
        now = self._world.clock.now()
        verdict = decide_conditions(snapshot, plan, (), now)
        if (status := build_status(snapshot, verdict, now)) is not None:
            self._gateway = {**self._gateway, "status": status["status"]}

    def _snapshot(self) -> Snapshot:
        is_ready = any(running.agent.health.is_ready() for running in self._world.agents.alive)
        children = make.with_proxy(make.with_agent(self._children, availableReplicas=int(is_ready)))
        for group in self._world.groups():
            place = ("RunnerGroup", str(group["metadata"]["name"]))
            children = {**children, place: {**children[place], "status": group.get("status") or {}}}
        pods = len(self._world.cluster.all("pods")) + 3
        status = {"hard": {"pods": "60"}, "used": {"pods": str(pods)}}
        quota = {"metadata": {"namespace": self._namespace, "name": "limits"}, "status": status}
        return replace(make.snapshot(self._gateway, children=children), quotas=(quota,))

    # -- others --------------------------------------------------------------------------------------------------

    def _proxy(self, proxy: _Proxy) -> Iterator[tuple[Key, float]]:
        """An idle Envoy that carries the tenant's polls, and a share of its jobs' traffic."""
        up = self._world.loop.time() - proxy.started
        jobs = len(self._world.kubelet.running())
        closed = up // 600
        values: list[tuple[foreign.ForeignSeries, float, Labels]] = [
            (foreign.PROXY_LIVE, 1, {}),
            (foreign.TUNNELS, _AGENT_TUNNELS + jobs, {}),
            (foreign.TUNNELS_OPENED, _AGENT_TUNNELS + 4 * closed, {}),
            (foreign.RECEIVED_BYTES, _BYTES_PER_SECOND * up, {}),
            (foreign.SENT_BYTES, 10 * _BYTES_PER_SECOND * up, {}),
            (foreign.LIFETIME_REACHED, 0, {}),
            (foreign.IDLE_TIMEOUTS, up // 3600, {}),
            # A job's step tries a host that is not allowed now and then.
            (foreign.DENIED, up // 7200, {}),
            (foreign.ALLOWED, _AGENT_TUNNELS + 4 * closed, {}),
            (foreign.CONNECT_FAILURES, up // 1800, {}),
            (foreign.BREAKER_OPEN, 0, {}),
            (foreign.TUNNEL_LENGTH_COUNT, 4 * closed, {}),
            # One in an hour lived longer than half an hour.
            (foreign.TUNNEL_LENGTH_BUCKET, 4 * closed - up // 3600, {"le": "1800000"}),
        ]
        target = {"namespace": self._namespace, "pod": proxy.name, "container": "proxy", "job": PROXY_JOB}
        for series, value, more in values:
            yield self._played(series, {**target, **more}), float(value)

    def _watching(self) -> Iterator[tuple[Key, float]]:
        minutes = self._world.loop.time() // 60
        for group, size in GROUP_SIZES.items():
            labels = {"rule_group": f"/etc/prometheus/rules/actions-gateway.rules.yaml;{group}", "job": "prometheus"}
            yield self._played(foreign.RULES_LOADED, labels), float(size)
            yield self._played(foreign.RULE_FAILURES, labels), 0.0
            yield self._played(foreign.ITERATIONS_MISSED, labels), 0.0
        told = {"integration": "webhook", "job": "alertmanager"}
        yield self._played(foreign.NOTIFICATIONS, told), minutes
        yield self._played(foreign.NOTIFICATIONS_FAILED, told), 0.0

    def _played(self, series: foreign.ForeignSeries, labels: Labels) -> Key:
        place = (series.name, *labels.values())
        known = self._keys.get(place)
        if known is None:
            known = self._keys[place] = key_of(series.name, {**labels, **dict(_MATCHER.findall(series.matchers))})
        return known


_REFERENCE = {"f:spec": {"f:gitHubAppRef": {"f:name": {}}}}


def _told(name: str, number: float) -> float:
    is_moment = name.endswith("_timestamp_seconds") and number > 0
    return number - EPOCH.timestamp() if is_moment else number


def _parts(metrics: Metrics, name: str, family: Any) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...], float]]:
    """The series of a counter or histogram: suffix, label names and values, number."""
    (metric,) = [one for one in metrics._metrics if one.name == name]
    names = tuple(metric.labels)
    children = family._metrics.items() if names else [((), family)]
    for values, child in list(children):
        if metric.kind is Kind.COUNTER:
            yield "", names, values, child._value.get()
            continue
        total = 0.0
        for bound, count in zip((*metric.buckets, float("inf")), child._buckets, strict=True):
            total += count.get()
            yield "_bucket", (*names, "le"), (*values, "+Inf" if bound == float("inf") else f"{bound:g}"), total
        yield "_count", names, values, total
        yield "_sum", names, values, child._sum.get()
