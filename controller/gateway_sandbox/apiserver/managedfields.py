"""`metadata.managedFields`: who owns which field, after updates and after server-side apply.

Source: Kubernetes documentation, "Server-Side Apply"; k8s.io/apimachinery pkg/util/managedfields for the wording of
conflicts, the fields that nobody owns and the order of entries.
"""

import json
from dataclasses import dataclass

from gateway_sandbox.apiserver import fieldsets
from gateway_sandbox.apiserver.fieldsets import FieldSet, compare, decode, difference, encode, union
from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.statuses import ApiError, Cause, bad_request

_UNOWNED_METADATA = frozenset(
    {"name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"}
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_IDENTITY = ("manager", "operation", "subresource")
_UNOWNED = frozenset({"apiVersion", "kind"})


@dataclass(frozen=True, slots=True)
class Writing:
    """Who writes, through which endpoint and when (`now` as the server stamps it)."""

    manager: str
    subresource: str
    now: str


def record_update(kind: Kind, old: Json | None, new: Json, writing: Writing) -> None:
    """Gives `new` (changed in place) the managedFields that follow from an update or create."""
    if new["metadata"].get("managedFields") == [{}]:
        del new["metadata"]["managedFields"]
        return
    entries = _entries(new) or (_entries(old) if old else [])
    changed, removed = compare(kind.node, _owned_part(kind, old or {}, writing), _owned_part(kind, new, writing))
    mine = _entry(entries, writing, "Update", kind.api_version)
    for entry in entries:
        _lose(entry, removed, {} if entry is mine else changed)
    if changed:
        mine |= {"fieldsV1": encode(union(decode(mine["fieldsV1"]), changed)), "time": writing.now}
    _store(new, entries)


def apply_configuration(kind: Kind, live: Json, config: Json, writing: Writing, *, force: bool) -> Json:
    """The object after server-side apply of `config`; raises ApiError 409 naming the managers in conflict."""
    if config["metadata"].get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    wanted = _field_set(kind, config, writing)
    entries = _entries(live)
    mine = _entry(entries, writing, "Apply", kind.api_version)
    held = decode(mine["fieldsV1"])
    others = [entry for entry in entries if entry is not mine]
    owned = wanted
    for entry in others:
        owned = union(owned, decode(entry["fieldsV1"]))
    merged: Json = fieldsets.remove(kind.node, fieldsets.merge(kind.node, live, config), held, owned)
    changed, removed = compare(kind.node, _owned_part(kind, live, writing), _owned_part(kind, merged, writing))
    if not force:
        _check_conflicts(others, difference(changed, _given_away(kind, live, writing)))
    for entry in others:
        _lose(entry, changed, removed)
    if changed or removed or held != wanted:
        mine |= {"fieldsV1": encode(wanted), "time": writing.now, "apiVersion": kind.api_version}
    merged["metadata"] = dict(merged["metadata"])
    _store(merged, entries)
    return merged


def _given_away(kind: Kind, live: Json, writing: Writing) -> FieldSet:
    """What `kubectl apply --server-side` may take without force: fields as its client-side apply last left them."""
    annotation = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if writing.manager != "kubectl" or not annotation:
        return {}
    try:
        left = _owned_part(kind, json.loads(annotation), writing)
        changed_since, _ = compare(kind.node, left, _owned_part(kind, live, writing))
        return difference(fieldsets.field_set(kind.node, left), changed_since)
    except (ValueError, AttributeError, ApiError):
        return {}  # anyone can write an annotation


def _field_set(kind: Kind, config: Json, writing: Writing) -> FieldSet:
    try:
        return fieldsets.field_set(kind.node, _owned_part(kind, config, writing))
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


def _entries(obj: Json) -> list[Json]:
    """Copies of the entries, to be changed."""
    return [dict(entry) for entry in obj["metadata"].get("managedFields") or () if entry.get("fieldsV1")]


def _entry(entries: list[Json], writing: Writing, operation: str, api_version: str) -> Json:
    """The writer's own entry, added when there is none. An updater has one per API version, an applier just one."""
    identity = {"manager": writing.manager, "operation": operation}
    identity |= {"subresource": writing.subresource} if writing.subresource else {}
    for entry in entries:
        is_of_version = operation == "Apply" or entry.get("apiVersion") == api_version
        if is_of_version and all(entry.get(name, "") == identity.get(name, "") for name in _IDENTITY):
            return entry
    added = identity | {"apiVersion": api_version, "time": writing.now, "fieldsType": "FieldsV1", "fieldsV1": {}}
    entries.append(added)
    return added


def _lose(entry: Json, *lost: FieldSet) -> None:
    """Takes fields from an entry; its stored form is only rebuilt when it owned any of them."""
    held = decode(entry["fieldsV1"])
    rest = held
    for fields in lost:
        rest = difference(rest, fields)
    if rest != held:
        entry["fieldsV1"] = encode(rest)


def _store(obj: Json, entries: list[Json]) -> None:
    def rank(entry: Json) -> tuple[str, ...]:
        return tuple(entry.get(name, "") for name in ("operation", "time", "manager", "subresource"))

    obj["metadata"]["managedFields"] = sorted((entry for entry in entries if entry["fieldsV1"]), key=rank)
    if not obj["metadata"]["managedFields"]:
        del obj["metadata"]["managedFields"]


def _shown(entry: Json) -> str:
    subresource = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    version = f" using {entry['apiVersion']}" if entry["operation"] == "Update" else ""
    return f'"{entry["manager"]}"{subresource}{version}'


def _check_conflicts(others: list[Json], changed: FieldSet) -> None:
    """Raises ApiError 409 when `changed` holds fields of others."""
    found = []
    for entry in others:
        fields = fieldsets.intersection(decode(entry["fieldsV1"]), changed)
        found += [(_shown(entry), path) for path in fieldsets.render_paths(fields)]
    if found:
        causes = [Cause(path, "FieldManagerConflict", f"conflict with {who}").as_json() for who, path in found]
        count = f"{len(found)} conflict" + ("s" if len(found) > 1 else "")
        shown = ", ".join(f"conflict with {who}: {path}" for who, path in found)
        raise ApiError(409, "Conflict", f"Apply failed with {count}: {shown}", details={"causes": causes})
