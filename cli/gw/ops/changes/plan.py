"""What an operation is about to write: one step for each object, in the order of writing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from actions_gateway.kube.resources import NAMESPACES, Resource, resource_of
from gw.ops.changes.fields import FieldChange

Manifest = Mapping[str, Any]


class Action(StrEnum):
    """What happens to one object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Step:
    """One object of the plan; `create_step` and the like make one."""

    action: Action
    resource: Resource
    name: str
    namespace: str | None
    detail: str = ""
    """What is worth knowing of it, never its secret content."""
    manifest: Manifest = field(default_factory=dict, repr=False)
    """What is sent: the whole object, or a merge patch. May hold a key, so it is never shown."""
    live: Manifest = field(default_factory=dict, repr=False)
    """The object as the plan was decided from; empty for a new one."""
    fields: tuple[FieldChange, ...] = ()
    """What changes, once the server has said what the patch makes of the object."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def kind(self) -> str:
        return self.resource.kind


@dataclass(frozen=True, slots=True)
class Plan:
    """All objects in the order in which they are written."""

    subject: str
    """What it is about, mostly a tenant."""
    steps: tuple[Step, ...]
    consequences: tuple[str, ...] = ()
    """What it means for jobs and people, as sentences without a full stop; read before anybody says yes."""
    unproven: tuple[str, ...] = ()
    """What nobody could check beforehand, as sentences without a full stop."""

    @property
    def to_write(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.action is not Action.UNCHANGED)


def create_step(manifest: Manifest, detail: str = "") -> Step:
    """A new object."""
    return _step(Action.CREATE, manifest, detail, manifest=manifest)


def change_step(live: Manifest, patch: Manifest, detail: str = "") -> Step:
    """A merge patch of an object; the server's dry run tells whether it changes anything."""
    return _step(Action.CHANGE, live, detail, manifest=patch, live=live)


def delete_step(live: Manifest, detail: str = "") -> Step:
    """An object that goes; a successor of its name does not."""
    return _step(Action.DELETE, live, detail, live=live)


def unchanged_step(manifest: Manifest, detail: str = "") -> Step:
    """An object that is as it shall be."""
    return _step(Action.UNCHANGED, manifest, detail, live=manifest)


def _step(action: Action, about: Manifest, detail: str, **rest: Any) -> Step:
    resource = resource_of(str(about["apiVersion"]), str(about["kind"]))
    assert resource is not None, about["kind"]
    metadata = about["metadata"]
    namespace = None if resource == NAMESPACES else metadata.get("namespace")
    return Step(action, resource, str(metadata["name"]), namespace, detail, **rest)
