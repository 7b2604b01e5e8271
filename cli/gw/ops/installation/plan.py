"""Decides what to write: the wanted objects beside what the server says they would become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gw.ops.changes.fields import FieldChange, changes_between
from gw.ops.installation.snapshot import Identity, Snapshot, identity_of
from gw.sources.ownership import gitops_owner, is_applied_by_gw

Manifest = dict[str, Any]


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
class Step:
    """One object of the plan."""

    action: Action
    identity: Identity
    manifest: Manifest = field(repr=False)
    changes: tuple[FieldChange, ...] = ()
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


def _step(manifest: Manifest, snapshot: Snapshot, rehearsed: Mapping[Identity, Manifest]) -> Step:
    identity = identity_of(manifest)
    live = snapshot.live.get(identity)
    if live is None:
        return Step(Action.CREATE, identity, manifest)
    changes = changes_between(live, rehearsed[identity])
    if changes:
        return Step(Action.CHANGE, identity, manifest, changes)
    return Step(Action.UNCHANGED if is_applied_by_gw(live) else Action.TAKE_OVER, identity, manifest)
