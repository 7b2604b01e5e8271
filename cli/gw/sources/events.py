"""What agents tell of runner groups in events and nowhere else: workers that were given up, whose pods are gone."""

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
