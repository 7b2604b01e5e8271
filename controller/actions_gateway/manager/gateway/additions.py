"""What others added to a child beside what we apply, as the child's managed fields tell, and how it goes again.

Server-side apply leaves what other writers own. In a pod template, a Service or an autoscaler an addition can undo
what ours says (a host network, a sidecar, an outside address), and where admission forbids it, it makes every later
write of ours fail. Defaults of the API server and what its admission sets in our own requests belong to no other
writer, so that neither is taken for an addition.

Format of managed fields: Kubernetes API reference, `FieldsV1`; `f:` names a field, `k:` a list entry by its keys,
`v:` a value of a set, and `.` the object itself.
"""

import json
from collections.abc import Iterator
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_FIELDS
from actions_gateway.kube.client import Manifest

_Path = tuple[str, ...]

CLEARING_FIELDS = f"{MANAGER_FIELDS}-restore"
"""Field manager of the patch: one of its own, so that what it wrote is an addition once we no longer apply it."""
KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler")
"""Those whose spec holds fields that the API server sets, so that it cannot be compared as a whole."""

_FREE: tuple[_Path, ...] = (
    # The autoscaler's, wherever we set none.
    ("spec", "replicas"),
    # kubectl rollout restart
    ("spec", "template", "metadata", "annotations", labels.RESTARTED_AT),
)
"""What others may set."""


def trim_managed_fields(manifest: Manifest) -> None:
    """Leaves, in place, what other writers have in the spec: for most objects nothing."""
    specs = list(_specs_of_others(manifest))
    manifest["metadata"].pop("managedFields", None)
    if specs:
        manifest["metadata"]["managedFields"] = [{"fieldsV1": {"f:spec": fields}} for fields in specs]


def _specs_of_others(manifest: Manifest) -> Iterator[Manifest]:
    for entry in manifest["metadata"].get("managedFields") or []:
        fields = (entry.get("fieldsV1") or {}).get("f:spec")
        if fields and entry.get("manager") != MANAGER_FIELDS:
            yield fields


def clearing_patch(desired: Manifest, live: Manifest) -> Manifest | None:
    """A merge patch (RFC 7386) to our spec that takes the others' additions to it away, or None.

    Ours is part of it, since an object without the one may be as invalid as one with the other. Others who apply what
    the API server sets by default anyway keep it, at the price of a patch without effect in every pass.
    """
    if desired["kind"] not in KINDS:
        return None
    patch: Manifest = {}
    for fields in _specs_of_others(live):
        patch = _merged(patch, _cleared(fields, desired["spec"], live.get("spec") or {}, ("spec",)))
    return {"spec": _merged(desired["spec"], patch)} if patch else None


def removals(desired: Any, live: Any) -> Manifest:
    """The merge patch that nulls the keys of `live` that `desired` lacks; lists are one value."""
    patch: Manifest = {}
    if not isinstance(desired, dict) or not isinstance(live, dict):
        return patch
    for key, value in live.items():
        if key in desired:
            if inner := removals(desired[key], value):
                patch[key] = inner
        elif value not in ([], {}, None):
            patch[key] = None
    return patch


def _cleared(fields: Manifest, ours: Manifest, live: Manifest, path: _Path) -> Manifest:
    patch: Manifest = {}
    for element, inner in fields.items():
        name = element.removeprefix("f:")
        below = (*path, name)
        # Where others may set something, we may have nothing at all.
        value = ours.get(name, {} if any(free[: len(below)] == below for free in _FREE) else None)
        if element == "." or below in _FREE:
            continue
        if value is None:
            patch[name] = None
        elif isinstance(value, list) and _is_extended(inner, value, live.get(name) or []):
            patch[name] = value
        elif isinstance(value, dict):
            # A field without inner ones is one value, of which the fields do not tell what is new in it.
            found = live.get(name) or {}
            if deeper := _cleared(inner, value, found, below) if inner else removals(value, found):
                patch[name] = deeper
    return patch


def _is_extended(fields: Manifest, ours: list[Any], live: list[Any]) -> bool:
    """Whether the fields of a list name an entry that ours lacks, or something within one that ours lacks there."""
    for element, inner in fields.items():
        kind, _, text = element.partition(":")
        if kind == "v" and json.loads(text) not in ours:
            return True
        if kind == "k":
            key = json.loads(text)
            entry = _entry(ours, key)
            if entry is None or _cleared(inner, entry, _entry(live, key) or {}, ()):
                return True
    return False


def _entry(entries: list[Any], key: Manifest) -> Manifest | None:
    """The entry with these keys; one that it leaves to the API server's default may be any."""
    return next(
        (entry for entry in entries if all(entry.get(name, value) == value for name, value in key.items())), None
    )


def _merged(one: Manifest, other: Manifest) -> Manifest:
    both = {
        name: _merged(one[name], value) for name, value in other.items() if isinstance(one.get(name), dict) and value
    }
    return {**one, **other, **both}
