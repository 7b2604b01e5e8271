"""Since when a gateway has referred to its App's Secret, as the API server notes it in `metadata.managedFields`.

It keeps one entry per manager of fields: what that manager owns, and when it last changed any of it (Kubernetes docs,
"Field management"). So whoever owns the reference has last changed anything then, and it has stood since then at the
latest.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_FIELD = ("f:spec", "f:gitHubAppRef", "f:name")


def referenced_since(gateway: Mapping[str, Any]) -> datetime | None:
    """Since when at the latest; the object's creation where nobody owns the reference, None where nothing tells."""
    metadata = gateway.get("metadata") or {}
    times = [time for entry in _owners(metadata) if (time := _moment(entry.get("time"))) is not None]
    return min(times, default=_moment(metadata.get("creationTimestamp")))


def trim_to_reference(gateway: Mapping[str, Any]) -> None:
    """Leaves, in place, what `referenced_since` reads of the managed fields."""
    metadata = gateway["metadata"]
    owners = [{"time": entry.get("time"), "fieldsV1": _owned(_FIELD)} for entry in _owners(metadata)]
    metadata.pop("managedFields", None)
    if owners:
        metadata["managedFields"] = owners


def _owners(metadata: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = metadata.get("managedFields")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and _has(entry.get("fieldsV1"), _FIELD):
            yield entry


def _has(fields: object, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    return isinstance(fields, Mapping) and path[0] in fields and _has(fields[path[0]], path[1:])


def _owned(path: tuple[str, ...]) -> dict[str, Any]:
    return {path[0]: _owned(path[1:])} if path else {}


def _moment(text: object) -> datetime | None:
    """A Kubernetes time as aware UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
