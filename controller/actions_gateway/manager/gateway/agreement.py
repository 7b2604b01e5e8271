"""Whether a live object still is what we applied, without asking the API server.

The seal (a digest in an annotation) tells whether we want something else than last time; comparing the desired fields
with the live ones tells whether somebody changed them. Labels and annotations that others add stay; in what a child
says of its own work, an addition is drift, too.
"""

from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.quantities import parse_quantity
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.additions import clearing_patch, removals
from actions_gateway.manager.gateway.ownership import DESIRED_HASH

_Path = tuple[str, ...]

_WHOLLY_OURS = {
    "NetworkPolicy": "spec",
    "PodDisruptionBudget": "spec",
    "RoleBinding": "subjects",
    "RunnerGroup": "spec",
}
"""By kind: the field in which an addition counts as drift."""

_NOT_CHANGEABLE: dict[str, tuple[_Path, ...]] = {
    "RoleBinding": (("roleRef",),),
    "Deployment": (("spec", "selector"),),
    # Beside ours it is invalid, and apply takes nothing away that is somebody else's.
    "PodDisruptionBudget": (("spec", "minAvailable"),),
}
"""By kind: what the API server does not let us repair in place."""

_RECREATE = {"type": "Recreate"}
"""The strategy could be patched, but the fields of another one, which apply leaves, make this one invalid."""

_NOTES = (DESIRED_HASH, labels.RELEASE, labels.RELEASED_FOR, labels.ROLLED_WHILE)
"""The manager's own annotations, of which one that is no longer desired has to go."""

_LIST_KEYS = {
    "containers": "name",
    "env": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists that server-side apply merges by this field; any other list is one value."""

_QUANTITIES = ("requests", "limits")


def agrees(desired: Manifest, live: Manifest) -> bool:
    """Whether applying `desired` would change nothing in `live`."""
    ours = _WHOLLY_OURS.get(str(desired["kind"]))
    beside = {name: value for name, value in desired.items() if name != ours}
    return (
        _notes(desired) == _notes(live)
        and _covers(beside, live, "")
        and (ours is None or _pruned(desired[ours]) == _pruned(live.get(ours)))
        and not clearing_patch(desired, live)
    )


def must_replace(desired: Manifest, live: Manifest) -> bool:
    """Whether `live` differs in a part that can only be changed by deleting it first."""
    paths = _NOT_CHANGEABLE.get(str(desired["kind"]), ())
    strategy = ("spec", "strategy")
    is_stuck = _at(desired, strategy) == _RECREATE and _at(live, (*strategy, "type")) != _RECREATE["type"]
    return is_stuck or any(_at(desired, path) != _at(live, path) for path in paths)


def replicas_of(deployment: Manifest) -> int:
    """How many pods a Deployment is to have."""
    return int(deployment["spec"].get("replicas", 1))


def surplus_patch(desired: Manifest, applied: Manifest) -> Manifest | None:
    """A merge patch that removes what apply left in what is wholly ours, or None."""
    ours = _WHOLLY_OURS.get(str(desired["kind"]), "")
    patch = removals(desired.get(ours), applied.get(ours))
    return {ours: patch} if patch else None


def _covers(desired: Any, live: Any, name: str) -> bool:
    if isinstance(desired, dict):
        others = live if isinstance(live, dict) else {}
        if name in _QUANTITIES:
            return all(key in others and _same_quantity(value, others[key]) for key, value in desired.items())
        return all(_covers(value, others.get(key), key) for key, value in desired.items())
    if isinstance(desired, list):
        return _covers_list(desired, live if isinstance(live, list) else [], _LIST_KEYS.get(name))
    return bool(desired == live)


def _covers_list(desired: list[Any], live: list[Any], key: str | None) -> bool:
    if key is None or not all(key in entry for entry in desired):
        return len(desired) == len(live) and all(
            _covers(ours, theirs, "") for ours, theirs in zip(desired, live, strict=False)
        )
    known = {entry.get(key): entry for entry in live}
    return all(entry[key] in known and _covers(entry, known[entry[key]], "") for entry in desired)


def _same_quantity(ours: str | int, theirs: str | int) -> bool:
    return parse_quantity(ours) == parse_quantity(theirs)


def _pruned(value: Any) -> Any:
    """Without empty fields, which the API server writes or drops at will; list entries stay."""
    if isinstance(value, dict):
        kept = {key: _pruned(entry) for key, entry in value.items()}
        return {key: entry for key, entry in kept.items() if entry not in ([], {}, None)}
    return [_pruned(entry) for entry in value] if isinstance(value, list) else value


def _at(manifest: Manifest, path: _Path) -> Any:
    value: Any = manifest
    for name in path:
        value = (value or {}).get(name)
    return value


def _notes(manifest: Manifest) -> Manifest:
    annotations = manifest["metadata"].get("annotations") or {}
    return {name: annotations[name] for name in _NOTES if name in annotations}
