"""Prometheus itself as a fact: does it answer, has it our rules, whom does it scrape, whom does it alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.kube.errors import KubeError
from gw.sources.endpoints import Endpoint, NoAnswer, all_of
from gw.sources.loadedrules import worst_health
from gw.sources.prometheus import Prometheus
from gw_alerts.catalog.watching import WATCHDOG


@dataclass(frozen=True, slots=True)
class TargetFact:
    """One scraped pod."""

    job: str
    namespace: str
    pod: str
    is_up: bool
    error: str
    """Of the last scrape; empty before the first."""


@dataclass(frozen=True, slots=True)
class MonitoringFact:
    """One Prometheus."""

    source: str
    version: str
    is_ready: bool
    alerts: Mapping[str, str]
    """The alert rules that it has loaded: name to health (`ok`, `err`, `unknown`)."""
    targets: tuple[TargetFact, ...]
    alertmanager_count: int
    """Alertmanagers that it sends to."""
    switch_since: datetime | None = None
    """Since when it fires the dead-man's switch."""
    cluster: str | None = None
    """The external label `cluster`, which its alerts have at Alertmanager and its own series do not.

    Empty without such a label; None when it does not tell."""


async def gather_monitoring(endpoint: Endpoint) -> MonitoringFact:
    """Raises NoAnswer."""
    prometheus = Prometheus(endpoint)
    version, is_ready, rules, targets, managers, cluster = await all_of(
        prometheus.version(),
        endpoint.is_ready(),
        prometheus.alert_rules(),
        prometheus.targets(),
        prometheus.alertmanagers(),
        _cluster(prometheus),
    )
    pods = endpoint.parsed(lambda data: tuple(_target(entry) for entry in data if "pod" in entry["labels"]), targets)
    return MonitoringFact(
        endpoint.source,
        version,
        is_ready,
        worst_health(rules),
        pods,
        len(managers),
        next((rule.active_since for rule in rules if rule.name == WATCHDOG.name), None),
        cluster,
    )


async def _cluster(prometheus: Prometheus) -> str | None:
    """What stands in for a Prometheus may have no configuration to tell of, or keep it to itself."""
    try:
        return (await prometheus.external_labels()).get("cluster", "")
    except (NoAnswer, KubeError):
        return None


def _target(entry: Mapping[str, Any]) -> TargetFact:
    labels = entry["labels"]
    return TargetFact(
        job=str(labels.get("job") or ""),
        namespace=str(labels.get("namespace") or ""),
        pod=str(labels["pod"]),
        is_up=entry["health"] == "up",
        error=str(entry.get("lastError") or ""),
    )
