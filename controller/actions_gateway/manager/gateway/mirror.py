"""A local copy of the objects of one kind, kept by list-watch, so that a reconcile reads without a request.

A write's answer is taken in at once: the pass after a write sees it even when the watch lags behind.
"""

import json
from dataclasses import dataclass

from actions_gateway.kube.client import Manifest
from actions_gateway.kube.listwatch import Change, ChangeType, Key, key_of
from actions_gateway.kube.resources import Resource
from actions_gateway.manager.gateway.trimming import trim

_ENDS = 1024
"""Far more than end while one write is under way."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What a change did to the copy: the object before and after, None where there is none."""

    before: Manifest | None
    after: Manifest | None


class Mirror:
    """The objects of one kind by namespace and name.

    They are held as JSON, which takes a tenth of the memory, and decoded whenever one is asked for.
    """

    def __init__(self, resource: Resource, *, label_selector: str | None = None) -> None:
        self.resource = resource
        self.label_selector = label_selector
        self.is_synced = False
        self._objects: dict[str, dict[str, bytes]] = {}
        self._ends: dict[str, Manifest] = {}
        """By uid, the last versions of those that went lately: a late answer to a write brings none back."""

    def get(self, name: str, namespace: str = "") -> Manifest | None:
        """One object, or None."""
        entry = self._objects.get(namespace, {}).get(name)
        return json.loads(entry) if entry else None

    def in_namespace(self, namespace: str) -> list[Manifest]:
        """All objects of a namespace, by name."""
        return [json.loads(entry) for _, entry in sorted(self._objects.get(namespace, {}).items())]

    def keys(self) -> list[Key]:
        """The namespace and name of every object."""
        return [(namespace, name) for namespace, objects in self._objects.items() for name in objects]

    def __len__(self) -> int:
        return sum(len(objects) for objects in self._objects.values())

    def take(self, change: Change) -> Edit | None:
        """Follows a change of the watch; None when the copy knew better already."""
        match change.type:
            case ChangeType.SYNCED:
                self.is_synced = True
                return None
            case ChangeType.DELETED:
                return self._remove(change.object)
            case ChangeType.ADDED | ChangeType.MODIFIED:
                return self.put(change.object)

    def put(self, manifest: Manifest) -> Edit | None:
        """Takes in an object as the server answered it, cut in place; None when the copy is newer or as new."""
        trim(self.resource, manifest)
        namespace, name = key_of(manifest)
        before = self.get(name, namespace)
        last = before or self._ends.get(_uid(manifest))
        if last is not None and not _is_newer(manifest, last):
            return None
        self.overwrite(manifest)
        return Edit(before, manifest)

    def overwrite(self, manifest: Manifest) -> None:
        """Holds this from now on, of whatever version it is."""
        namespace, name = key_of(manifest)
        objects = self._objects.setdefault(namespace, {})
        objects[name] = json.dumps(manifest, separators=(",", ":")).encode()

    def _remove(self, manifest: Manifest) -> Edit | None:
        namespace, name = key_of(manifest)
        before = self.get(name, namespace)
        if before is None or _uid(before) != _uid(manifest):
            return None
        self._end(manifest)
        objects = self._objects[namespace]
        del objects[name]
        if not objects:
            del self._objects[namespace]
        return Edit(before, None)

    def _end(self, manifest: Manifest) -> None:
        version = manifest["metadata"].get("resourceVersion")
        self._ends[_uid(manifest)] = {"metadata": {"resourceVersion": version}}
        while len(self._ends) > _ENDS:
            del self._ends[next(iter(self._ends))]


Mirrors = dict[Resource, Mirror]


def _uid(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("uid", ""))


def _is_newer(manifest: Manifest, before: Manifest) -> bool:
    """Resource versions of one kind count up (Kubernetes API concepts, "Resource versions"); other texts are new."""
    new, old = (str(entry["metadata"].get("resourceVersion", "")) for entry in (manifest, before))
    if new.isdigit() and old.isdigit():
        return int(new) > int(old)
    return new != old
