"""What Prometheus tells of a shift: errors hour by hour, budgets that ran out, alerts that fired, gateways that were.

It also tells when it had nothing: what happened then, nobody can say.
"""

import math
from collections.abc import Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

from actions_gateway.metrics import catalog as m
from gw.sources.endpoints import Endpoint, all_of
from gw.sources.prometheus import Prometheus, Sample, Track
from gw_alerts.catalog import PROBLEMS
from gw_alerts.expressions import RUNNER_GROUP, events
from gw_alerts.thresholds import SERIES_OLD_SECONDS

T = TypeVar("T", Sample, Track)
_POINTS = 240
"""Of each range query: every three minutes of a shift of twelve hours."""
_LEAST_STEP_SECONDS, _MOST_STEP_SECONDS = 30, 3600
"""A point counts the hour before it, so no hour of the shift is left out."""
_FIRING = f'ALERTS{{alertstate="firing",alertname=~"{"|".join(sorted(alert.name for alert in PROBLEMS))}"}}'
"""Prometheus keeps a series for each alert while it fires (documentation, "Alerting rules")."""
_OF_ANY_ARM = "max without (arm) ({})"
"""An alert that fires for two reasons is one."""
_SCRAPED = f"count by (cluster, component) ({m.BUILD_INFO.name})"
"""Of this project's own: that something else is scraped says nothing of it."""
_GATEWAYS = "max by (cluster, namespace, name, uid) ({})"


@dataclass(frozen=True, slots=True)
class ErrorsFact:
    """Errors of one kind in one namespace; whole events, as the alert rules count them."""

    last_hour: float
    peak: float
    """The most within any hour of the shift."""
    peak_at: datetime
    """The end of that hour."""


@dataclass(frozen=True, slots=True)
class FiredFact:
    """One alert that fired in the shift."""

    name: str
    severity: str
    subject: str
    """Whose it is, as namespace/group; empty for the platform's."""
    first_at: datetime
    last_at: datetime
    """When it was seen firing last."""
    is_firing: bool
    times: int = 1
    """How often it began to, as far as can be told apart."""

    @property
    def title(self) -> str:
        """The alert and whose it is."""
        return f"{self.name} {self.subject}".rstrip()


@dataclass(frozen=True, slots=True)
class HoleFact:
    """A while of which Prometheus has nothing of a component: it kept less, was down, or did not scrape."""

    component: m.Component
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ToldFact:
    """One gateway that a manager told of in the shift; made anew it is another one."""

    uid: str
    subject: str
    """namespace/name."""
    last_at: datetime
    is_told: bool
    """Whether a manager tells of it now."""


@dataclass(frozen=True, slots=True)
class ShiftSeriesFact:
    """The answers of one Prometheus, of this cluster's gateways alone."""

    source: str
    holes: tuple[HoleFact, ...]
    """By component; one that is shorter than the distance of two points may be missed."""
    token_errors: Mapping[str, ErrorsFact]
    """By namespace."""
    renew_errors: Mapping[str, ErrorsFact]
    exhausted: Mapping[tuple[str, str], float]
    """How often a job was lost when its run had no rerun left in the shift, by namespace and group."""
    fired: tuple[FiredFact, ...]
    gateways: tuple[ToldFact, ...]
    """By subject."""


async def gather_shift_series(
    endpoint: Endpoint, since: datetime, now: datetime, clusters: Sequence[str], namespace: str | None
) -> ShiftSeriesFact:
    """Of the series whose label `cluster` is one of `clusters`, and of one tenant or all; raises NoAnswer."""
    prometheus, seconds = Prometheus(endpoint), int((now - since).total_seconds())
    step = min(max(_LEAST_STEP_SECONDS, math.ceil(seconds / _POINTS)), _MOST_STEP_SECONDS)

    def ask(expression: str) -> Coroutine[Any, Any, tuple[Track, ...]]:
        # Points are counted from the present back, so that the last one speaks of now.
        return prometheus.query_range(expression, now - timedelta(seconds=math.ceil(seconds / step) * step), now, step)

    gateways = _GATEWAYS.format(m.GATEWAY_INFO.name)
    scraped, tokens, renewals, fired, told, firing, telling, exhausted = await all_of(
        ask(_SCRAPED),
        ask(events(m.TOKEN_REFRESH_ERRORS, "1h")),
        ask(events(m.RENEWJOB_ERRORS, "1h")),
        # The step before each point, so that what came and went between two of them is seen.
        ask(_OF_ANY_ARM.format(f"last_over_time({_FIRING}[{step}s])")),
        ask(_GATEWAYS.format(f"last_over_time({m.GATEWAY_INFO.name}[{step}s])")),
        prometheus.query(_OF_ANY_ARM.format(_FIRING)),
        prometheus.query(gateways),
        prometheus.query(events(m.EVICTION_RETRIES_EXHAUSTED, f"{max(seconds, 60)}s", RUNNER_GROUP)),
    )
    tokens, renewals, fired, told = (_own(tracks, clusters, namespace) for tracks in (tokens, renewals, fired, told))
    return ShiftSeriesFact(
        source=endpoint.source,
        holes=tuple(_holes(_own(scraped, clusters, None), since, now, step)),
        token_errors=_errors(tokens, now - timedelta(seconds=step)),
        renew_errors=_errors(renewals, now - timedelta(seconds=step)),
        exhausted={
            (each.labels.get("namespace", ""), each.labels.get("runner_group", "")): each.value
            for each in _own(exhausted, clusters, namespace)
            if each.value > 0
        },
        fired=tuple(
            sorted(
                _fired(fired, {_identity(each.labels) for each in firing}, timedelta(seconds=step)),
                key=lambda each: (each.first_at, each.name, each.subject),
            )
        ),
        gateways=tuple(_told(told, {each.labels.get("uid", "") for each in telling})),
    )


def _holes(tracks: Sequence[Track], since: datetime, now: datetime, step_seconds: int) -> Iterator[HoleFact]:
    """Prometheus believes a sample for minutes, so less than those and a step may lie between two points of one."""
    usual = timedelta(seconds=step_seconds + SERIES_OLD_SECONDS.value)
    for component in m.Component:
        moments = {
            max(at, since)
            for track in tracks
            for at, _ in track.points
            if track.labels.get("component") == component.value
        }
        if not moments:
            yield HoleFact(component, since, now)
            continue
        for before, after in pairwise(sorted({since, *moments, now})):
            if after - before > usual:
                yield HoleFact(component, before, after)


def _told(tracks: Iterable[Track], telling: Collection[str]) -> list[ToldFact]:
    """One for each uid, whatever its cluster was called meanwhile."""
    found: dict[str, ToldFact] = {}
    for track in tracks:
        uid = track.labels.get("uid", "")
        if track.points and (uid not in found or found[uid].last_at < track.points[-1][0]):
            subject = f"{track.labels.get('namespace', '')}/{track.labels.get('name', '')}"
            found[uid] = ToldFact(uid, subject, track.points[-1][0], uid in telling)
    return sorted(found.values(), key=lambda each: (each.subject, each.last_at))


def _own(found: Iterable[T], clusters: Sequence[str], namespace: str | None) -> list[T]:
    """Those that are asked about; the first of several `cluster` labels comes last, and so counts."""
    own = [each for each in found if each.labels.get("cluster", "") in clusters]
    own = [each for each in own if namespace in (None, each.labels.get("namespace"))]
    return sorted(own, key=lambda each: -clusters.index(each.labels.get("cluster", "")))


def _errors(tracks: Iterable[Track], fresh: datetime) -> dict[str, ErrorsFact]:
    """A series that ended before `fresh` says nothing of the last hour."""
    found = {}
    for track in tracks:
        points = [(at, value) for at, value in track.points if not math.isnan(value)]
        if points:
            peak_at, peak = max(points, key=lambda point: point[1])
            last_hour = points[-1][1] if points[-1][0] >= fresh else 0.0
            found[track.labels.get("namespace", "")] = ErrorsFact(last_hour, peak, peak_at)
    return found


def _fired(
    tracks: Iterable[Track], firing: Collection[frozenset[tuple[str, str]]], step: timedelta
) -> Iterator[FiredFact]:
    for track in tracks:
        if track.points:
            place = [track.labels.get(name, "") for name in ("namespace", "runner_group")]
            yield FiredFact(
                name=track.labels.get("alertname", ""),
                severity=track.labels.get("severity", ""),
                subject="/".join(filter(None, place)),
                first_at=track.points[0][0],
                last_at=track.points[-1][0],
                is_firing=_identity(track.labels) in firing,
                times=1 + sum(after - before > step for (before, _), (after, _) in pairwise(track.points)),
            )


def _identity(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())
