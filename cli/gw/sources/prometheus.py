"""Questions to Prometheus and their answers as types.

Source: Prometheus documentation, "HTTP API" (instant and range queries, targets, rules, Alertmanagers, build
information, configuration); `status` is `success` or `error`, a sample's value is a pair of Unix seconds and text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import yaml

from gw.sources.endpoints import Endpoint
from gw.sources.loadedrules import LoadedGroup, LoadedRule, parse_groups

T = TypeVar("T")
Labels = Mapping[str, str]

_GLOBAL = re.compile(r"^global:\n(?:[ \t].*\n?)*", re.MULTILINE)
"""The first section of a configuration as Prometheus writes it: the others may be long, and hold what nobody needs."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one moment; the value may be NaN or infinite."""

    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Track:
    """One series over a while, oldest first."""

    labels: Labels
    points: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One Prometheus; every question raises NoAnswer."""

    endpoint: Endpoint

    async def query(self, expression: str) -> tuple[Sample, ...]:
        """An instant vector, or a scalar as one sample without labels, at Prometheus's own present."""
        return await self._ask("/api/v1/query", {"query": expression}, _samples)

    async def query_range(
        self, expression: str, start: datetime, end: datetime, step_seconds: int
    ) -> tuple[Track, ...]:
        """The vector at each step of a while."""
        query = {
            "query": expression,
            "start": str(start.timestamp()),
            "end": str(end.timestamp()),
            "step": str(step_seconds),
        }
        return await self._ask("/api/v1/query_range", query, _tracks)

    async def version(self) -> str:
        return await self._ask("/api/v1/status/buildinfo", {}, lambda data: str(data["version"]))

    async def rule_groups(self) -> tuple[LoadedGroup, ...]:
        """All that is loaded, recording rules included."""
        return await self._ask("/api/v1/rules", {}, parse_groups)

    async def alert_rules(self) -> tuple[LoadedRule, ...]:
        """The alert rules alone."""
        groups = await self._ask("/api/v1/rules", {"type": "alert"}, parse_groups)
        return tuple(rule for group in groups for rule in group.rules if rule.is_alert)

    async def targets(self) -> tuple[Mapping[str, Any], ...]:
        """The active targets, as the API tells them."""
        return await self._ask("/api/v1/targets", {"state": "active"}, lambda data: tuple(data["activeTargets"]))

    async def alertmanagers(self) -> tuple[str, ...]:
        """The addresses that it sends alerts to."""
        return await self._ask(
            "/api/v1/alertmanagers", {}, lambda data: tuple(str(each["url"]) for each in data["activeAlertmanagers"])
        )

    async def external_labels(self) -> Labels:
        """What it adds to each alert that it sends, where the alert has no label of that name."""
        return await self._ask("/api/v1/status/config", {}, lambda data: _external_labels(str(data["yaml"])))

    async def _ask(self, path: str, query: Labels, parse: Callable[[Any], T]) -> T:
        document = await self.endpoint.document(path, query)
        if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
            raise self.endpoint.stranger("its answer has another shape")
        if document["status"] == "error":
            raise self.endpoint.stranger(str(document.get("error") or "it reports an error")[:200])
        return self.endpoint.parsed(parse, document["data"])


def _external_labels(text: str) -> Labels:
    section = _GLOBAL.search(text)
    if section is None:
        raise ValueError("no global section")
    try:
        content = yaml.safe_load(section[0])
    except yaml.YAMLError as problem:
        raise ValueError("no configuration") from problem
    found = (content["global"] or {}).get("external_labels") or {}
    return {str(name): str(value) for name, value in found.items()}


def _samples(data: Any) -> tuple[Sample, ...]:
    if data["resultType"] == "scalar":
        return (Sample({}, float(data["result"][1])),)
    if data["resultType"] != "vector":
        raise ValueError(data["resultType"])
    return tuple(Sample(dict(entry["metric"]), float(entry["value"][1])) for entry in data["result"])


def _tracks(data: Any) -> tuple[Track, ...]:
    return tuple(
        Track(
            dict(entry["metric"]),
            tuple((datetime.fromtimestamp(float(at), UTC), float(value)) for at, value in entry["values"]),
        )
        for entry in data["result"]
    )
