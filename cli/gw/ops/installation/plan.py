"""Decides what to write: the wanted objects beside what the server says they would become."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gw.ops.installation.snapshot import Identity, Snapshot, identity_of
from gw.sources.ownership import gitops_owner, is_applied_by_gw

Manifest = dict[str, Any]

_SERVERS_OWN = frozenset(
    {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "deletionTimestamp"}
)
_VALUE_WIDTH = 60


class Action(StrEnum):
    """What happens to one object."""

    CREATE = "create"
    CHANGE = "change"
    TAKE_OVER = "take over"
    """Its content is right, and somebody else keeps its fields: from now on `gw install` does."""
    REMOVE = "remove"
    """An earlier release wrote it, and this one does not have it."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that changes; None for what is not there before or after."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One object of the plan."""

    action: Action
    identity: Identity
    manifest: Manifest = field(repr=False)
    changes: tuple[Change, ...] = ()
    uid: str = ""
    """Of the object to remove."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All objects in the order in which they are written."""

    steps: tuple[Step, ...]
    unproven: tuple[str, ...] = ()
    """What the server could not check beforehand, as sentences."""

    @property
    def to_write(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.action is not Action.UNCHANGED)


def decide_plan(
    wanted: Sequence[Manifest],
    snapshot: Snapshot,
    rehearsed: Mapping[Identity, Manifest],
    unproven: tuple[str, ...] = (),
) -> Plan:
    """The plan; `rehearsed` holds what a dry run made of each object that it could look at."""
    steps = [_step(manifest, snapshot, rehearsed) for manifest in wanted]
    for manifest in snapshot.leftovers:
        uid = str(manifest["metadata"].get("uid") or "")
        steps.append(Step(Action.REMOVE, identity_of(manifest), manifest, uid=uid))
    return Plan(tuple(steps), unproven)


def gitops_owners(plan: Plan, snapshot: Snapshot) -> dict[str, list[Identity]]:
    """The GitOps controllers that keep objects which the plan would write, and which."""
    owners: dict[str, list[Identity]] = {}
    for step in plan.to_write:
        live = step.manifest if step.action is Action.REMOVE else snapshot.live.get(step.identity)
        if live is not None and (owner := gitops_owner(live)):
            owners.setdefault(owner, []).append(step.identity)
    return owners


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The fields that differ, without those that the server keeps."""
    return tuple(_differences(_kept(before), _kept(after), ""))


def _step(manifest: Manifest, snapshot: Snapshot, rehearsed: Mapping[Identity, Manifest]) -> Step:
    identity = identity_of(manifest)
    live = snapshot.live.get(identity)
    if live is None:
        return Step(Action.CREATE, identity, manifest)
    changes = changes_between(live, rehearsed[identity])
    if changes:
        return Step(Action.CHANGE, identity, manifest, changes)
    return Step(Action.UNCHANGED if is_applied_by_gw(live) else Action.TAKE_OVER, identity, manifest)


def _kept(manifest: Mapping[str, Any]) -> Manifest:
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key not in _SERVERS_OWN}
    rest = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def _differences(before: Any, after: Any, path: str) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            name = right.get("name") if isinstance(right, Mapping) else None
            yield from _differences(left, right, f"{path}[{name or index}]")
    else:
        yield Change(path, _shown(before), _shown(after))


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"
