"""The rules that a Prometheus has loaded, each as it takes it.

Source: Prometheus documentation, "HTTP API", "Rules". An expression comes back as Prometheus writes it itself, with
matchers and durations in its own order and units. `keepFiringFor` is there since 2.42.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gw.sources.gateways import parse_time

_WORST_FIRST = ("err", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """One rule."""

    group: str
    file: str
    """Where Prometheus read it."""
    name: str
    """The alert, or the metric that is recorded."""
    expression: str
    health: str
    """`ok`, `err`, or `unknown` before its first evaluation."""
    error: str
    """Of the last evaluation."""
    labels: Mapping[str, str]
    is_alert: bool
    for_seconds: float = 0.0
    keep_firing_seconds: float = 0.0
    annotations: Mapping[str, str] = field(default_factory=dict)
    active_since: datetime | None = None
    """Since when the alert is pending or fires, of several instances the first."""


@dataclass(frozen=True, slots=True)
class LoadedGroup:
    """One rule group of one file."""

    name: str
    file: str
    interval_seconds: float
    rules: tuple[LoadedRule, ...]


def parse_groups(data: Any) -> tuple[LoadedGroup, ...]:
    """The groups of an answer's `data`; raises KeyError, TypeError or ValueError for another shape."""
    return tuple(_group(entry) for entry in data["groups"])


def worst_health(rules: Iterable[LoadedRule]) -> dict[str, str]:
    """By alert: it is as healthy as the worst of its rules, be they arms or the same from two files."""
    found: dict[str, str] = {}
    for rule in rules:
        healths = {rule.health, found.get(rule.name, rule.health)}
        found[rule.name] = next((each for each in _WORST_FIRST if each in healths), rule.health)
    return found


def _group(entry: Mapping[str, Any]) -> LoadedGroup:
    name, file = str(entry["name"]), str(entry.get("file") or "")
    rules = tuple(_rule(rule, name, file) for rule in entry["rules"])
    return LoadedGroup(name, file, float(entry.get("interval") or 0), rules)


def _rule(entry: Mapping[str, Any], group: str, file: str) -> LoadedRule:
    is_alert = entry["type"] == "alerting"
    moments = [parse_time(each.get("activeAt")) for each in entry.get("alerts") or ()]
    return LoadedRule(
        group=group,
        file=file,
        name=str(entry["name"]),
        expression=str(entry.get("query") or ""),
        health=str(entry["health"]),
        error=str(entry.get("lastError") or ""),
        labels={str(name): str(value) for name, value in (entry.get("labels") or {}).items()},
        is_alert=is_alert,
        for_seconds=float(entry.get("duration") or 0),
        keep_firing_seconds=float(entry.get("keepFiringFor") or 0),
        annotations={str(name): str(value) for name, value in (entry.get("annotations") or {}).items()},
        active_since=min((moment for moment in moments if moment), default=None),
    )
