"""Deletion: preconditions, grace and finalizers of one object, and the collector that follows up.

The collector does what kube-controller-manager's garbage collector and namespace controller do: it deletes dependents
whose owners are gone or wait for them (foreground propagation; here every dependent is waited for, not only those that
block), and empties namespaces and custom resource definitions that are being deleted. Source: Kubernetes documentation,
"Garbage Collection", "Finalizers", "Namespaces"; k8s.io/apiserver pkg/registry/rest/delete.go; kubernetes
pkg/registry/core/pod/strategy.go for a pod's grace.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.admission import NAMESPACES
from gateway_sandbox.apiserver.defaults import CRD_FINALIZER
from gateway_sandbox.apiserver.kinds import Json, Kind, Registry
from gateway_sandbox.apiserver.statuses import ApiError, conflict, forbidden
from gateway_sandbox.apiserver.store import Event, EventType, Key, Record, Storage, Store, timestamp
from gateway_sandbox.apiserver.writes import is_finished

log = structlog.get_logger(__name__)

CRDS: Storage = ("apiextensions.k8s.io", "customresourcedefinitions")
_WAITS = "foregroundDeletion"
_Item = tuple[Storage, Key]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """A DeleteOptions body or its query parameters; None leaves a choice to the server."""

    grace_period_seconds: int | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False
    is_foreground: bool = False
    """The object waits for its dependents."""


class Deleter:
    """Deletes single objects; synchronous and atomic like `Writer`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def delete(self, kind: Kind, key: Key, record: Record, options: DeleteOptions) -> tuple[Record, bool]:
        """The object's last or pending state, and whether it is gone; raises ApiError 409."""
        _check_preconditions(kind, key[1], record.obj["metadata"], options)
        if kind.storage == NAMESPACES and key[1] in ("default", "kube-system", "kube-public"):
            raise forbidden(kind, key[1], "this namespace may not be deleted")
        obj = record.copy()
        self._mark(kind, obj, options)
        is_gone = is_finished(kind, obj)
        if options.dry_run:
            return Record(obj, record.version), is_gone
        if is_gone:
            return self._store.remove(kind.storage, key, obj), True
        return (record if obj == record.obj else self._store.put(kind.storage, key, obj)), False

    def _mark(self, kind: Kind, obj: Json, options: DeleteOptions) -> None:
        """Sets when the object has to be gone; a later request can only bring that forward."""
        metadata = obj["metadata"]
        grace_seconds = _grace_seconds(kind, obj, options)
        if metadata.get("deletionTimestamp"):
            held = metadata.get("deletionGracePeriodSeconds", 0)
            if options.grace_period_seconds is None or grace_seconds >= held:
                return
            begun_at = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=held)
        else:
            begun_at = self._clock.now()
            metadata |= {"generation": metadata["generation"] + 1} if "generation" in metadata else {}
            metadata |= {"finalizers": [*metadata.get("finalizers", ()), _WAITS]} if options.is_foreground else {}
        metadata["deletionTimestamp"] = timestamp(begun_at + timedelta(seconds=grace_seconds))
        if kind.storage == NAMESPACES:
            obj["status"] = (obj.get("status") or {}) | {"phase": "Terminating"}
        else:
            metadata["deletionGracePeriodSeconds"] = grace_seconds


def _check_preconditions(kind: Kind, name: str, metadata: Json, options: DeleteOptions) -> None:
    checks = (("UID", options.uid, "deleted and then recreated"), ("ResourceVersion", options.version, "modified"))
    for word, wanted, fate in checks:
        found = metadata["uid" if word == "UID" else "resourceVersion"]
        if wanted and wanted != found:
            text = f"the {word} in the precondition ({wanted}) does not match the {word} in record ({found})"
            raise conflict(kind, name, f"{text}. The object might have been {fate}")


def _grace_seconds(kind: Kind, obj: Json, options: DeleteOptions) -> int:
    """Only pods that a node holds get time; everything else goes at once."""
    if kind.storage != ("", "pods"):
        return 0
    spec, phase = obj["spec"], obj.get("status", {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    wanted = options.grace_period_seconds
    return max(spec.get("terminationGracePeriodSeconds", 30) if wanted is None else wanted, 0)


class Collector:
    """Follows writes and deletes what they leave behind; `run` works until cancelled."""

    def __init__(self, store: Store, registry: Registry, deleter: Deleter) -> None:
        self._store = store
        self._registry = registry
        self._deleter = deleter
        self._pending: dict[_Item, None] = {}
        self._has_work = asyncio.Event()
        store.on_commit.append(self._follow)

    async def run(self) -> None:
        """Looks at every object that may have to go; one look is atomic."""
        while True:
            await self._has_work.wait()
            while self._pending:
                item = next(iter(self._pending))
                del self._pending[item]
                try:
                    self._examine(*item)
                except ApiError as problem:
                    log.warning("collection failed", resource=item[0][1], name=item[1][1], problem=problem.message)
                await asyncio.sleep(0)
            self._has_work.clear()

    def _follow(self, storage: Storage, event: Event) -> None:
        metadata = event.record.obj["metadata"]
        if event.type is EventType.DELETED:
            self._want(*self._store.dependents(metadata["uid"]))
            self._want((NAMESPACES, ("", event.key[0])), (CRDS, ("", ".".join(reversed(storage)))))
            self._want(*filter(None, (self._owner(event.key[0], one) for one in metadata.get("ownerReferences") or ())))
        elif metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
            self._want((storage, event.key))

    def _want(self, *items: _Item) -> None:
        self._pending.update(dict.fromkeys(items))
        self._has_work.set()

    def _examine(self, storage: Storage, key: Key) -> None:
        record = self._store.get(storage, key)
        if record is None:
            return
        metadata = record.obj["metadata"]
        if not metadata.get("deletionTimestamp"):
            self._check_owners(storage, key, record)
        elif storage == NAMESPACES and self._is_emptied(self._store.in_namespace(key[1])):
            obj = record.copy()
            obj["spec"]["finalizers"] = [one for one in obj["spec"].get("finalizers") or () if one != "kubernetes"]
            self._save(NAMESPACES, key, record, obj)
        elif _WAITS in metadata.get("finalizers", ()):
            self._lift(storage, key, record, _WAITS, self._store.dependents(metadata["uid"]))
        elif storage == CRDS and CRD_FINALIZER in metadata.get("finalizers", ()):
            content = record.obj["spec"]["group"], record.obj["spec"]["names"]["plural"]
            items = [(content, held) for held, _ in self._store.items(content)]
            self._lift(storage, key, record, CRD_FINALIZER, items)

    def _check_owners(self, storage: Storage, key: Key, record: Record) -> None:
        references = record.obj["metadata"].get("ownerReferences") or []
        alive = [reference for reference in references if self._is_alive(key[0], reference)]
        if references and not alive:
            self._deleter.delete(self._registry.by_storage(storage), key, record, DeleteOptions())
        elif len(alive) < len(references):
            self._set_metadata(storage, key, record, "ownerReferences", alive)

    def _is_alive(self, namespace: str, reference: Json) -> bool:
        """An owner of an unknown kind counts as alive, since nobody can say that it is gone."""
        place = self._owner(namespace, reference)
        owner = self._store.get(*place) if place else None
        return place is None or (owner is not None and owner.obj["metadata"]["uid"] == reference["uid"])

    def _owner(self, namespace: str, reference: Json) -> _Item | None:
        kind = self._registry.by_name(reference["apiVersion"], reference["kind"])
        return (kind.storage, (namespace if kind.namespaced else "", reference["name"])) if kind else None

    def _is_emptied(self, items: list[_Item], *, waits: bool = False) -> bool:
        """Deletes all of `items`; whether none of them remains."""
        for storage, key in items:
            record = self._store.get(storage, key)
            if record is not None and not record.obj["metadata"].get("deletionTimestamp"):
                kind = self._registry.by_storage(storage)
                self._deleter.delete(kind, key, record, DeleteOptions(is_foreground=waits))
        return not any(self._store.get(*item) for item in items)

    def _lift(self, storage: Storage, key: Key, record: Record, finalizer: str, items: list[_Item]) -> None:
        """Takes a finalizer away once `items` are gone."""
        if self._is_emptied(items, waits=finalizer == _WAITS):
            kept = [one for one in record.obj["metadata"]["finalizers"] if one != finalizer]
            self._set_metadata(storage, key, record, "finalizers", kept)

    def _set_metadata(self, storage: Storage, key: Key, record: Record, field: str, value: list[Any]) -> None:
        obj = record.copy()
        obj["metadata"].pop(field)
        obj["metadata"] |= {field: value} if value else {}
        self._save(storage, key, record, obj)

    def _save(self, storage: Storage, key: Key, record: Record, obj: Json) -> None:
        if is_finished(self._registry.by_storage(storage), obj):
            self._store.remove(storage, key, obj)
        elif obj != record.obj:
            self._store.put(storage, key, obj)
