"""Custom resource definitions as facts: whose they are, which release's schema they hold, what they lack.

The release is an annotation that the definition carries; a cluster that was set up before it existed, or whose
definitions somebody edited, is judged by the fields themselves.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway import __version__
from actions_gateway.api import labels
from actions_gateway.api.names import API_VERSION
from gw.sources.ownership import annotations_of, upstream_marks

Manifest = Mapping[str, Any]

OWN_VERSION = __version__
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class DefinitionFact:
    """One definition that this project needs, and what the cluster has under its name."""

    name: str
    exists: bool = True
    version: str = ""
    """The release whose schema it holds; empty when it does not say."""
    upstream_marks: tuple[str, ...] = ()
    is_established: bool = True
    is_deleting: bool = False
    problem: str = ""
    """The server's words on why it will not be served: another definition has one of its names."""
    unknown_fields: tuple[str, ...] = ()
    """Fields that it has and this gw does not know."""
    missing_fields: tuple[str, ...] = ()
    """Fields that this release needs and it lacks."""

    @property
    def is_newer(self) -> bool:
        """Whether a later release wrote it: then writing ours would take fields away from stored objects."""
        order = compare_versions(self.version, OWN_VERSION)
        return order > 0 or (order == 0 and bool(self.unknown_fields))

    @property
    def is_older(self) -> bool:
        """Whether it is behind this release."""
        return bool(self.missing_fields) or compare_versions(self.version, OWN_VERSION) < 0


def compare_versions(theirs: str, ours: str) -> int:
    """-1, 0 or 1 by the numbers of two versions; no version at all says nothing, so the fields decide (0)."""
    left, right = (_numbers(text) for text in (theirs, ours))
    if left is None or right is None:
        return 1 if theirs and left is None else 0
    return (left > right) - (left < right)


def parse_definition(wanted: Manifest, live: Manifest | None) -> DefinitionFact:
    """The facts of a stored definition beside the one that this release has."""
    name = str(wanted["metadata"]["name"])
    if live is None:
        return DefinitionFact(name, exists=False, is_established=False)
    theirs, ours = set(_fields(_schema(live))), set(_fields(_schema(wanted)))
    conditions = {str(entry.get("type")): entry for entry in (live.get("status") or {}).get("conditions") or []}
    names = conditions.get("NamesAccepted") or {}
    return DefinitionFact(
        name=name,
        version=annotations_of(live).get(labels.SCHEMA_VERSION, ""),
        upstream_marks=tuple(_upstream_marks(live, theirs)),
        is_established=(conditions.get("Established") or {}).get("status") == "True",
        is_deleting=bool((live.get("metadata") or {}).get("deletionTimestamp")),
        problem=str(names.get("message") or "") if names.get("status") == "False" else "",
        unknown_fields=tuple(sorted(theirs - ours)),
        missing_fields=tuple(sorted(ours - theirs)),
    )


def _upstream_marks(live: Manifest, fields: set[str]) -> Iterator[str]:
    """Marks on the object; without any, a gateway's groups without a name, which upstream's schema has never had."""
    marks = list(upstream_marks(live))
    yield from marks
    if not marks and "spec.runnerGroups" in fields and "spec.runnerGroups[].name" not in fields:
        yield "spec.runnerGroups[] without the field name"


def _schema(manifest: Manifest) -> Manifest:
    """The schema of our version, or of the first when it has no such version."""
    versions = (manifest.get("spec") or {}).get("versions") or [{}]
    chosen = next((version for version in versions if version.get("name") == API_VERSION), versions[0])
    return (chosen.get("schema") or {}).get("openAPIV3Schema") or {}


def _fields(schema: Manifest, path: str = "") -> Iterator[str]:
    for name, child in (schema.get("properties") or {}).items():
        inner = f"{path}.{name}" if path else str(name)
        yield inner
        yield from _fields(child, inner)
    if isinstance(items := schema.get("items"), Mapping):
        yield from _fields(items, f"{path}[]")


def _numbers(text: str) -> tuple[int, ...] | None:
    match = _NUMBERS.match(text)
    return tuple(int(part) for part in match[0].split(".")) if match else None
