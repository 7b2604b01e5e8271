"""Who changed what and when, as the API server notes it in `metadata.managedFields`.

It keeps one entry per manager of fields: which fields that manager owns, and when it last changed any of them
(Kubernetes docs, "Field management"). So an entry names the fields that its writer answers for, of which at least one
changed at that time; what several writes of the same manager did between is gone, and so is what others took over. A
field that is removed leaves its entry, whose time stays (measured with kube-apiserver 1.36): removals cannot be told.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api import labels
from actions_gateway.kube.resources import Resource
from gw.sources.cluster import Cluster
from gw.sources.gateways import parse_time

Manifest = Mapping[str, Any]

RESTARTED = f"spec.template.metadata.annotations[{labels.RESTARTED_AT}]"
"""The field that `kubectl rollout restart` writes."""
PART_OF_US = f"{labels.APP_PART_OF}={labels.PART_OF}"


@dataclass(frozen=True, slots=True)
class EditFact:
    """The last change of one object by one manager of fields."""

    manager: str
    """The program, as it names itself: `kubectl-edit`, `argocd-controller`."""
    at: datetime
    fields: tuple[str, ...]
    """All that it owns, dotted: `spec.gitHubAppRef.name`, `spec.runnerGroups[name=cpu].maxListeners`."""
    subresource: str = ""

    def below(self, prefix: str) -> tuple[str, ...]:
        """Those of its fields that are `prefix` or lie in it."""
        return tuple(name for name in self.fields if name == prefix or name.startswith((f"{prefix}.", f"{prefix}[")))


@dataclass(frozen=True, slots=True)
class ObjectFact:
    """One object and its changes, the latest last."""

    namespace: str
    name: str
    created_at: datetime | None
    edits: tuple[EditFact, ...]
    deleted_at: datetime | None = None
    restarted_at: datetime | None = None
    """Of a Deployment: when somebody asked for a restart."""
    is_told: bool = True
    """Whether all of `managedFields` was read: it may have been emptied, which the API server allows."""

    def edits_since(self, since: datetime, prefix: str) -> Iterator[tuple[EditFact, tuple[str, ...]]]:
        """The changes by managers of fields below `prefix`, and those fields."""
        for edit in self.edits:
            if edit.at >= since and (fields := edit.below(prefix)):
                yield edit, fields


async def gather_objects(
    cluster: Cluster, resource: Resource, namespace: str | None, selector: str | None = None
) -> tuple[ObjectFact, ...]:
    """All objects of one kind with their changes, in one list call; raises KubeError."""
    found = await cluster.list(resource, namespace, label_selector=selector)
    return tuple(sorted(map(parse_object, found.items), key=lambda fact: (fact.namespace, fact.name)))


def parse_object(manifest: Manifest) -> ObjectFact:
    """The changes of a stored object; what somebody else's server writes in another form is left out."""
    metadata = manifest.get("metadata") or {}
    entries = metadata.get("managedFields")
    edits = tuple(sorted(_edits(entries), key=lambda edit: edit.at))
    template = ((manifest.get("spec") or {}).get("template") or {}).get("metadata") or {}
    return ObjectFact(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        created_at=parse_time(metadata.get("creationTimestamp")),
        edits=edits,
        deleted_at=parse_time(metadata.get("deletionTimestamp")),
        restarted_at=parse_time((template.get("annotations") or {}).get(labels.RESTARTED_AT)),
        is_told=isinstance(entries, list) and 0 < len(entries) == len(edits),
    )


def dotted_fields(fields_v1: Manifest) -> tuple[str, ...]:
    """The leaves of a `fieldsV1` set (structured-merge-diff, "FieldsV1"), sorted.

    `f:name` is a field, `k:{"name":"cpu"}` a list's entry by its keys, `v:"linux"` one of a set, `i:0` one by place;
    `.` says that the parent itself is owned, too, which adds nothing where a child is named.
    """
    return tuple(sorted(_leaves(fields_v1, "")))


def _edits(entries: object) -> Iterator[EditFact]:
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping):
            continue
        at, fields = parse_time(entry.get("time")), entry.get("fieldsV1")
        if at is not None and isinstance(fields, Mapping):
            yield EditFact(
                str(entry.get("manager") or "somebody"), at, dotted_fields(fields), str(entry.get("subresource") or "")
            )


def _leaves(node: Manifest, path: str) -> Iterator[str]:
    children = {key: child for key, child in node.items() if key != "."}
    if not children and path:
        yield path
    for key, child in children.items():
        below = path + _step(str(key), is_first=not path)
        if isinstance(child, Mapping):
            yield from _leaves(child, below)


def _step(key: str, *, is_first: bool) -> str:
    kind, _, rest = key.partition(":")
    if kind == "f":
        # A key of a map, such as an annotation's, may hold dots itself.
        return f"[{rest}]" if "." in rest or "/" in rest else rest if is_first else f".{rest}"
    if kind == "k":
        return f"[{_keys(rest)}]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"


def _keys(text: str) -> str:
    try:
        keys = json.loads(text)
        return ",".join(f"{name}={value}" for name, value in keys.items())
    except (ValueError, AttributeError):
        return text
