"""Prometheus itself as a fact: does it answer, has it our rules, whom does it scrape, whom does it alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gw.sources.endpoints import Endpoint, all_of
from gw.sources.prometheus import Prometheus


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


async def gather_monitoring(endpoint: Endpoint) -> MonitoringFact:
    """Raises NoAnswer."""
    prometheus = Prometheus(endpoint)
    version, is_ready, alerts, targets, managers = await all_of(
        prometheus.version(),
        endpoint.is_ready(),
        prometheus.alert_rules(),
        prometheus.targets(),
        prometheus.alertmanagers(),
    )
    pods = endpoint.parsed(lambda data: tuple(_target(entry) for entry in data if "pod" in entry["labels"]), targets)
    return MonitoringFact(endpoint.source, version, is_ready, alerts, pods, len(managers))


def _target(entry: Mapping[str, Any]) -> TargetFact:
    labels = entry["labels"]
    return TargetFact(
        job=str(labels.get("job") or ""),
        namespace=str(labels.get("namespace") or ""),
        pod=str(labels["pod"]),
        is_up=entry["health"] == "up",
        error=str(entry.get("lastError") or ""),
    )
