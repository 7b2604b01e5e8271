"""Incidents as ConfigMaps in the manager's namespace: one object each, which says how far its procedure has come.

Whoever writes one does it on the state that was read last, so that two people never overwrite each other. As with
hand-overs, what cannot be read is named, never guessed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.kube.resources import CONFIGMAPS
from gw.sources.cluster import Cluster
from gw.sources.records import FORMAT, moment_of, read_body, render_body

Manifest = Mapping[str, Any]

MOST_ENTRIES = 200
"""Of a timeline; the first half and the latest ones stay, and the record says that there were more."""
MOST_TEXT = 1000
"""Bytes of one entry's text or one step's result."""
MOST_EVIDENCE = 8
MOST_LINE = 300
"""Bytes of one line of evidence."""
MOST_TARGETS = 500
"""Gateways of one incident: with the timeline at its longest, a ConfigMap's 1 MiB holds them."""

_SELECTOR = f"{labels.RECORD}={labels.RECORD_INCIDENT}"
_RECORD = "incident.json"


class IncidentKind(StrEnum):
    """Which procedure answers it."""

    KEY_COMPROMISE = "key-compromise"
    AGENT_FAILURE = "agent-failure"
    MANAGER_FAILURE = "manager-failure"


class StepState(StrEnum):
    """How far one step is."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting-for-person"
    FAILED = "failed"
    DONE = "done"
    SKIPPED = "skipped"

    @property
    def is_settled(self) -> bool:
        return self in (StepState.DONE, StepState.SKIPPED)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of the procedure, and what came of it."""

    id: str
    title: str
    state: StepState = StepState.PENDING
    result: str = ""
    at: datetime | None = None
    """When the state was written."""
    by: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened."""

    at: datetime
    by: str
    what: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """One gateway as the incident found it."""

    namespace: str
    gateway: str
    github_url: str = ""
    app_id: str = ""
    installation_id: str = ""
    secret: str = ""
    """The Secret that it referred to."""
    key_fingerprint: str = ""
    sessions: int = 0

    def __str__(self) -> str:
        return f"{self.namespace}/{self.gateway}"


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident."""

    kind: IncidentKind
    subject: str
    """What it is about: a tenant, an App at its host, or the manager."""
    opened_at: datetime
    opened_by: str
    steps: tuple[StepRecord, ...]
    targets: tuple[Target, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """What later steps need of earlier ones; never secret."""
    closed_at: datetime | None = None
    closed_by: str = ""
    is_cut: bool = False
    """Whether entries of the timeline were left out."""
    name: str = ""
    resource_version: str = field(default="", compare=False)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def next_step(self) -> StepRecord | None:
        """The first that is not settled."""
        return next((step for step in self.steps if not step.state.is_settled), None)

    @property
    def resume_command(self) -> str:
        return f"gw incident {self.kind} --resume {self.name}"

    def step(self, step_id: str) -> StepRecord:
        """Raises KeyError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def with_step(self, changed: StepRecord) -> "Incident":
        """With one step in another state."""
        return replace(self, steps=tuple(changed if step.id == changed.id else step for step in self.steps))

    def with_entry(self, entry: TimelineEntry) -> "Incident":
        """With one more entry, and without older ones where there are too many."""
        entry = replace(
            entry, what=cut(entry.what), evidence=tuple(cut(line, MOST_LINE) for line in entry.evidence[:MOST_EVIDENCE])
        )
        timeline = (*self.timeline, entry)
        if len(timeline) <= MOST_ENTRIES:
            return replace(self, timeline=timeline)
        half = MOST_ENTRIES // 2
        return replace(self, timeline=(*timeline[:half], *timeline[-half:]), is_cut=True)


@dataclass(frozen=True, slots=True)
class IncidentsFact:
    """All incidents that are kept: open ones first, each part with the latest first."""

    incidents: tuple[Incident, ...]
    unreadable: tuple[str, ...]
    """Names and reasons of ConfigMaps that say they are incidents."""

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(each for each in self.incidents if each.is_open)


async def gather_incidents(cluster: Cluster) -> IncidentsFact:
    """The kept incidents; raises KubeError."""
    found = await cluster.list(CONFIGMAPS, MANAGER_NAMESPACE, label_selector=_SELECTOR)
    incidents, unreadable = [], []
    for item in found.items:
        try:
            incidents.append(parse_incident(item))
        except ValueError as problem:
            unreadable.append(f"{(item.get('metadata') or {}).get('name')}: {problem}")
    incidents.sort(key=lambda each: (each.is_open, each.opened_at, each.name), reverse=True)
    return IncidentsFact(tuple(incidents), tuple(sorted(unreadable)))


def incident_name(kind: IncidentKind, opened_at: datetime, subject: str) -> str:
    """The ConfigMap of an incident; two subjects of one second have two names."""
    return f"incident-{opened_at:%Y%m%d-%H%M%S}-{kind}-{hashlib.sha256(subject.encode()).hexdigest()[:4]}"


def render_incident(incident: Incident) -> dict[str, Any]:
    """The ConfigMap; as a merge patch of a stored one it holds for the state that was read."""
    body = {
        "version": FORMAT,
        "kind": incident.kind.value,
        "subject": incident.subject,
        "openedAt": incident.opened_at.isoformat(),
        "openedBy": incident.opened_by,
        "closedAt": None if incident.closed_at is None else incident.closed_at.isoformat(),
        "closedBy": incident.closed_by,
        "facts": dict(incident.facts),
        "steps": [
            [each.id, each.title, each.state.value, cut(each.result), each.at and each.at.isoformat(), each.by]
            for each in incident.steps
        ],
        "targets": [{name: getattr(each, name) for name in Target.__dataclass_fields__} for each in incident.targets],
        "timeline": [[each.at.isoformat(), each.by, each.what, list(each.evidence)] for each in incident.timeline],
        "cut": incident.is_cut,
    }
    metadata: dict[str, Any] = {
        "name": incident.name,
        "namespace": MANAGER_NAMESPACE,
        "labels": {labels.RECORD: labels.RECORD_INCIDENT, labels.APP_PART_OF: labels.PART_OF},
    }
    if incident.resource_version:
        metadata["resourceVersion"] = incident.resource_version
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_RECORD: render_body(body)}}


def parse_incident(manifest: Manifest) -> Incident:
    """The incident of a stored ConfigMap; raises ValueError that says what is wrong with it."""
    fields = read_body(manifest, _RECORD)
    metadata = manifest.get("metadata") or {}
    try:
        return Incident(
            kind=IncidentKind(fields["kind"]),
            subject=str(fields["subject"]),
            opened_at=moment_of(fields["openedAt"]),
            opened_by=str(fields["openedBy"]),
            closed_at=None if fields["closedAt"] is None else moment_of(fields["closedAt"]),
            closed_by=str(fields["closedBy"]),
            facts={str(name): str(value) for name, value in fields["facts"].items()},
            steps=tuple(_step(row) for row in fields["steps"]),
            targets=tuple(_target(entry) for entry in fields["targets"]),
            timeline=tuple(
                TimelineEntry(moment_of(row[0]), str(row[1]), str(row[2]), tuple(str(line) for line in row[3]))
                for row in fields["timeline"]
            ),
            is_cut=bool(fields["cut"]),
            name=str(metadata.get("name") or ""),
            resource_version=str(metadata.get("resourceVersion") or ""),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as problem:
        raise ValueError(f"its {_RECORD} was edited: {type(problem).__name__} {problem}") from None


def _step(row: Any) -> StepRecord:
    return StepRecord(
        id=str(row[0]),
        title=str(row[1]),
        state=StepState(row[2]),
        result=str(row[3]),
        at=None if row[4] is None else moment_of(row[4]),
        by=str(row[5]),
    )


def _target(entry: Mapping[str, Any]) -> Target:
    texts = {name: str(entry[name]) for name in Target.__dataclass_fields__ if name != "sessions"}
    return Target(**texts, sessions=int(entry["sessions"]))


def cut(text: str, most: int = MOST_TEXT) -> str:
    """The text within so many bytes."""
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"
