"""Events: what happened to objects, and what agents tell of runner groups in events and nowhere else.

Source: Kubernetes API reference, Event v1 and events.k8s.io/v1, two views of one object: a series' count and last time
stand in `series`, those of older writers in `count` and `lastTimestamp` (`deprecatedCount`, `deprecatedLastTimestamp`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.kube.resources import RUNNERGROUPS, Resource
from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]

EVENTS = Resource("", "v1", "events", "Event")
"""Under the group in which the built-in role `view` may read them, too; the server keeps both as one."""
WORKER_GIVEN_UP = "WorkerPodStuckPending"
"""The event of a worker that was deleted since it did not start."""
GIVEN_UP_SELECTOR = f"reason={WORKER_GIVEN_UP},involvedObject.kind={RUNNERGROUPS.kind}"
"""A field selector: a cluster has many events, and these are few."""


@dataclass(frozen=True, slots=True)
class GivenUpFact:
    """One worker that did not start, the last one of its event's series."""

    namespace: str
    group: str
    at: datetime | None
    note: str
    """The agent's words: which pod, and what kept it."""


def parse_given_up(manifest: Manifest) -> GivenUpFact:
    """The facts of an event (v1)."""
    metadata, involved = manifest.get("metadata") or {}, manifest.get("involvedObject") or {}
    series = manifest.get("series") or {}
    moments = (series.get("lastObservedTime"), manifest.get("eventTime"), metadata.get("creationTimestamp"))
    return GivenUpFact(
        namespace=str(metadata.get("namespace") or ""),
        group=str(involved.get("name") or ""),
        at=parse_time(next(filter(None, moments), None)),
        note=str(manifest.get("message") or ""),
    )


@dataclass(frozen=True, slots=True)
class EventFact:
    """One event, or one series of the same."""

    uid: str
    namespace: str
    is_warning: bool
    reason: str
    kind: str
    """Of the object that it is about."""
    name: str
    note: str
    count: int
    first_at: datetime | None
    last_at: datetime | None
    reporter: str
    """The component that wrote it."""

    @property
    def about(self) -> str:
        return f"{self.kind}/{self.name}"


def parse_event(manifest: Manifest) -> EventFact:
    """The facts of an event in either form."""
    metadata = manifest.get("metadata") or {}
    about = manifest.get("involvedObject") or manifest.get("regarding") or {}
    series, source = manifest.get("series") or {}, manifest.get("source") or manifest.get("deprecatedSource") or {}

    def first_of(*names: str) -> Any:
        return next((manifest[name] for name in names if manifest.get(name)), None)

    first = first_of("firstTimestamp", "deprecatedFirstTimestamp", "eventTime") or metadata.get("creationTimestamp")
    last = series.get("lastObservedTime") or first_of("lastTimestamp", "deprecatedLastTimestamp", "eventTime") or first
    return EventFact(
        uid=str(metadata.get("uid") or metadata.get("name") or ""),
        namespace=str(metadata.get("namespace") or ""),
        is_warning=manifest.get("type") == "Warning",
        reason=str(manifest.get("reason") or ""),
        kind=str(about.get("kind") or ""),
        name=str(about.get("name") or ""),
        note=str(first_of("message", "note") or ""),
        count=int(series.get("count") or first_of("count", "deprecatedCount") or 1),
        first_at=parse_time(first),
        last_at=parse_time(last),
        reporter=str(first_of("reportingComponent", "reportingController") or source.get("component") or ""),
    )
