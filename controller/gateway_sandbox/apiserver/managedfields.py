"""`metadata.managedFields`: who owns which field, after updates and after server-side apply.

Source: Kubernetes documentation, "Server-Side Apply"; k8s.io/apimachinery pkg/util/managedfields for the wording of
conflicts, the fields that nobody owns and the order of entries.
"""

import json
from dataclasses import dataclass
from typing import Any

from gateway_sandbox.apiserver.fieldsets import (
    FieldSet,
    compare,
    decode,
    difference,
    encode,
    field_set,
    intersection,
    merge,
    remove,
    render_paths,
    union,
)
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.statuses import ApiError, Cause, bad_request

_UNOWNED_METADATA = frozenset(
    {"name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_UNOWNED = frozenset({"apiVersion", "kind"})


@dataclass(slots=True)
class _Entry:
    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    raw: Json

    @property
    def fields(self) -> FieldSet:
        return decode(self.raw)

    @fields.setter
    def fields(self, fields: FieldSet) -> None:
        self.raw = encode(fields)

    def lose(self, *fields: FieldSet) -> None:
        """Gives up fields; the stored form is only rebuilt when something was owned."""
        mine = self.fields
        rest = mine
        for lost in fields:
            rest = difference(rest, lost)
        if rest != mine:
            self.fields = rest

    def as_json(self) -> Json:
        entry: Json = {"manager": self.manager, "operation": self.operation, "apiVersion": self.api_version}
        entry |= {"time": self.time, "fieldsType": "FieldsV1", "fieldsV1": self.raw}
        return entry | ({"subresource": self.subresource} if self.subresource else {})

    def __str__(self) -> str:
        subresource = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.manager}"{subresource}' + (f" using {self.api_version}" if self.operation == "Update" else "")


@dataclass(frozen=True, slots=True)
class Writing:
    """Who writes, through which endpoint and when (`now` as the server stamps it)."""

    manager: str
    subresource: str
    now: str


def record_update(kind: Kind, old: Json | None, new: Json, writing: Writing) -> None:
    """Gives `new` (changed in place) the managedFields that follow from an update or create."""
    entries = _entries(new) or (_entries(old) if old else [])
    if new["metadata"].get("managedFields") == [{}]:
        new["metadata"].pop("managedFields")
        return
    changed, removed = compare(kind.node, _owned_part(kind, old or {}, writing), _owned_part(kind, new, writing))
    mine = _find(entries, writing, "Update", kind.api_version)
    for entry in entries:
        entry.lose(removed, *(() if entry is mine else (changed,)))
    if changed:
        if mine is None:
            mine = _new_entry(entries, writing, "Update", kind.api_version)
        mine.fields = union(mine.fields, changed)
        mine.time = writing.now
    _store(new, entries)


def apply_configuration(kind: Kind, live: Json, config: Json, writing: Writing, *, force: bool) -> Json:
    """The object after server-side apply of `config`; raises ApiError 409 naming the managers in conflict."""
    if config["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    wanted = _field_set(kind, config, writing)
    entries = _entries(live)
    mine = _find(entries, writing, "Apply", "")
    others = [entry for entry in entries if entry is not mine]
    owned = wanted
    for entry in others:
        owned = union(owned, entry.fields)
    merged: Json = merge(kind.node, live, config)
    if mine is not None:
        merged = remove(kind.node, merged, mine.fields, owned)
    changed, removed = compare(kind.node, _owned_part(kind, live, writing), _owned_part(kind, merged, writing))
    if not force:
        _check_conflicts(others, difference(changed, _given_away(kind, live, writing)))
    for entry in others:
        entry.lose(changed, removed)
    if mine is None:
        mine = _new_entry(entries, writing, "Apply", kind.api_version)
    if changed or removed or mine.fields != wanted:
        mine.fields, mine.time, mine.api_version = wanted, writing.now, kind.api_version
    merged["metadata"] = dict(merged["metadata"])
    _store(merged, entries)
    return merged


def _given_away(kind: Kind, live: Json, writing: Writing) -> FieldSet:
    """What `kubectl apply --server-side` may take without force: fields as its client-side apply last left them."""
    annotation = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if writing.manager != "kubectl" or not annotation:
        return {}
    left = _owned_part(kind, json.loads(annotation), writing)
    return difference(field_set(kind.node, left), compare(kind.node, left, _owned_part(kind, live, writing))[0])


def _field_set(kind: Kind, config: Json, writing: Writing) -> FieldSet:
    try:
        return field_set(kind.node, _owned_part(kind, config, writing))
    except ApiError as problem:
        meta = config["metadata"]
        where = f"{meta.get('namespace', '')}/{meta['name']}; {kind.api_version}, Kind={kind.kind}"
        raise ApiError(500, "", f"failed to create typed patch object ({where}): {problem.message}") from problem


def _owned_part(kind: Kind, obj: Json, writing: Writing) -> Json:
    """The fields that a writer through this endpoint can own."""
    hidden = _UNOWNED | ({"status"} if "status" in kind.subresources and writing.subresource != "status" else set())
    part = {name: value for name, value in obj.items() if name not in hidden and name != "metadata"}
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name not in _UNOWNED_METADATA}
    return part | ({"metadata": metadata} if metadata else {})


def differs_only_in_times(new: Json, old: Json) -> bool:
    """Whether two versions are the same but for the times of managedFields; such a write is not stored."""

    def timeless(obj: Json) -> Json:
        entries = [entry | {"time": ""} for entry in obj["metadata"].get("managedFields") or ()]
        return obj | {"metadata": obj["metadata"] | {"managedFields": entries}}

    return timeless(new) == timeless(old)


def _entries(obj: Json) -> list[_Entry]:
    return [
        _Entry(
            manager=entry.get("manager", ""),
            operation=entry["operation"],
            api_version=entry.get("apiVersion", ""),
            subresource=entry.get("subresource", ""),
            time=entry.get("time", ""),
            raw=entry.get("fieldsV1") or {},
        )
        for entry in obj["metadata"].get("managedFields") or ()
        if entry.get("operation")
    ]


def _find(entries: list[_Entry], writing: Writing, operation: str, api_version: str) -> _Entry | None:
    """An updater's entry is kept per API version, an applier's is not."""
    for entry in entries:
        if (entry.manager, entry.subresource, entry.operation) == (
            writing.manager,
            writing.subresource,
            operation,
        ) and (not api_version or entry.api_version == api_version):
            return entry
    return None


def _new_entry(entries: list[_Entry], writing: Writing, operation: str, api_version: str) -> _Entry:
    entry = _Entry(writing.manager, operation, api_version, writing.subresource, writing.now, {})
    entries.append(entry)
    return entry


def _store(obj: Json, entries: list[_Entry]) -> None:
    kept = sorted((e for e in entries if e.raw), key=lambda e: (e.operation, e.time, e.manager, e.subresource))
    obj["metadata"]["managedFields"] = [entry.as_json() for entry in kept]
    if not kept:
        del obj["metadata"]["managedFields"]


def _check_conflicts(others: list[_Entry], changed: FieldSet) -> None:
    found: list[tuple[_Entry, str]] = [
        (entry, path) for entry in others for path in render_paths(intersection(entry.fields, changed))
    ]
    if not found:
        return
    causes: list[Any] = [
        Cause(path, "FieldManagerConflict", f"conflict with {entry}").as_json() for entry, path in found
    ]
    if len(found) == 1:
        message = f"Apply failed with 1 conflict: conflict with {found[0][0]}: {found[0][1]}"
    else:
        lines = []
        for name in sorted({str(entry) for entry, _ in found}):
            lines += [f"conflicts with {name}:", *(f"- {path}" for entry, path in found if str(entry) == name)]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    raise ApiError(409, "Conflict", message, details={"causes": causes})
