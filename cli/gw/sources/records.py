"""Hand-overs as ConfigMaps in the manager's namespace: one object each, so that two people never overwrite each other.

Anybody who may write ConfigMaps there may have edited one, and another version of gw may have written it: what cannot
be read is named, never guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.kube.resources import CONFIGMAPS
from gw.sources.cluster import Cluster
from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]

FORMAT = "gw/v1"
MOST_PROBLEMS = 1000
"""Problems that a record keeps; it says when there were more."""
MOST_BYTES = 500_000
"""Of the document that a record keeps beside them; a ConfigMap holds 1 MiB."""
KEPT = 10
"""Records, beside the latest about each tenant; older ones go when a new one is stored."""

_SELECTOR = f"{labels.RECORD}={labels.RECORD_HANDOVER}"
_RECORD, _DOCUMENT = "record.json", "handoff.md"


@dataclass(frozen=True, slots=True, order=True)
class RecordedProblem:
    """One problem, or one subject that could not be judged, as a record names it."""

    check: str
    subject: str
    severity: str
    """Empty for what could not be judged."""


@dataclass(frozen=True, slots=True)
class HandoverRecord:
    """One signed hand-over."""

    at: datetime
    since: datetime
    by: str
    to: str
    note: str
    namespace: str | None
    """The tenant that it was about; None for all."""
    states: tuple[str, ...]
    """Of the checklist's items, in order."""
    problems: tuple[RecordedProblem, ...]
    unknown: tuple[RecordedProblem, ...]
    checks: tuple[str, ...]
    """The ids of the checks that were asked."""
    is_cut: bool = False
    """Whether there were more problems than a record keeps."""
    markdown_checksum: str = ""
    json_checksum: str = ""
    name: str = ""
    """The ConfigMap; empty before it is stored."""


@dataclass(frozen=True, slots=True)
class RecordsFact:
    """All hand-overs that are kept, the latest first."""

    records: tuple[HandoverRecord, ...]
    unreadable: tuple[str, ...]
    """Names and reasons of ConfigMaps that say they are hand-overs."""

    def latest(self, namespace: str | None) -> HandoverRecord | None:
        """The last one about the same tenants."""
        return next((record for record in self.records if record.namespace == namespace), None)


async def gather_records(cluster: Cluster) -> RecordsFact:
    """The kept hand-overs; raises KubeError."""
    found = await cluster.list(CONFIGMAPS, MANAGER_NAMESPACE, label_selector=_SELECTOR)
    records, unreadable = [], []
    for item in found.items:
        try:
            records.append(parse_record(item))
        except ValueError as problem:
            unreadable.append(f"{(item.get('metadata') or {}).get('name')}: {problem}")
    return RecordsFact(
        tuple(sorted(records, key=lambda record: (record.at, record.name), reverse=True)), tuple(sorted(unreadable))
    )


def render_record(record: HandoverRecord, document: str) -> dict[str, Any]:
    """The ConfigMap. Its name tells time and content apart, so that a repeated request stores nothing twice."""
    body = {
        "version": FORMAT,
        "at": record.at.isoformat(),
        "since": record.since.isoformat(),
        "by": record.by,
        "to": record.to,
        "note": record.note,
        "tenant": record.namespace,
        "items": list(record.states),
        "checks": list(record.checks),
        "problems": _rows(record.problems[:MOST_PROBLEMS]),
        "unknown": _rows(record.unknown[:MOST_PROBLEMS]),
        "cut": record.is_cut or len(record.problems) > MOST_PROBLEMS or len(record.unknown) > MOST_PROBLEMS,
        "markdownChecksum": record.markdown_checksum,
        "jsonChecksum": record.json_checksum,
    }
    encoded = document.encode()
    if len(encoded) > MOST_BYTES:
        document = encoded[:MOST_BYTES].decode(errors="ignore") + "\n(the rest was too long)\n"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"handover-{record.at:%Y%m%d-%H%M%S}-{record.json_checksum.rpartition(':')[2][:8]}",
            "namespace": MANAGER_NAMESPACE,
            "labels": {labels.RECORD: labels.RECORD_HANDOVER, labels.APP_PART_OF: labels.PART_OF},
        },
        "data": {_RECORD: render_body(body), _DOCUMENT: document},
    }


def parse_record(manifest: Manifest) -> HandoverRecord:
    """The record of a stored ConfigMap; raises ValueError that says what is wrong with it."""
    fields = read_body(manifest, _RECORD)
    try:
        tenant = fields["tenant"]
        return HandoverRecord(
            at=moment_of(fields["at"]),
            since=moment_of(fields["since"]),
            by=str(fields["by"]),
            to=str(fields["to"]),
            note=str(fields["note"]),
            namespace=None if tenant is None else str(tenant),
            states=tuple(str(state) for state in fields["items"]),
            checks=tuple(str(check) for check in fields["checks"]),
            problems=_problems(fields["problems"]),
            unknown=_problems(fields["unknown"]),
            is_cut=bool(fields["cut"]),
            markdown_checksum=str(fields["markdownChecksum"]),
            json_checksum=str(fields["jsonChecksum"]),
            name=str((manifest.get("metadata") or {}).get("name") or ""),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as problem:
        raise ValueError(f"its {_RECORD} was edited: {type(problem).__name__} {problem}") from None


def render_body(body: Mapping[str, Any]) -> str:
    """A record's fields as a ConfigMap keeps them."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def read_body(manifest: Manifest, key: str) -> dict[str, Any]:
    """The fields of a record that a ConfigMap keeps under `key`; raises ValueError that says what is wrong with it."""
    text = (manifest.get("data") or {}).get(key)
    if not isinstance(text, str):
        raise ValueError(f"it has no {key}")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"its {key} is no JSON") from None
    if not isinstance(fields, dict):
        raise ValueError(f"its {key} is no object")
    if fields.get("version") != FORMAT:
        raise ValueError(f"its version is {str(fields.get('version'))[:40]!r}, and this gw reads {FORMAT}")
    return fields


def _rows(problems: tuple[RecordedProblem, ...]) -> list[list[str]]:
    return [[each.check, each.subject, each.severity] for each in problems]


def _problems(rows: list[list[str]]) -> tuple[RecordedProblem, ...]:
    return tuple(RecordedProblem(str(row[0]), str(row[1]), str(row[2])) for row in rows)


def moment_of(text: object) -> datetime:
    """A time of a record; raises TypeError for what is none."""
    moment = parse_time(text)
    if moment is None:
        raise TypeError(f"{str(text)[:40]!r} is no time")
    return moment
