"""Deletion: preconditions, grace, finalizers and propagation of one object, and the collector that follows up.

The collector does what kube-controller-manager's garbage collector and namespace controller do: it deletes dependents
whose owners are gone, finishes foreground and orphan deletions, and empties namespaces and custom resource definitions
that are being deleted. Source: Kubernetes documentation, "Garbage Collection", "Finalizers", "Namespaces";
k8s.io/apiserver pkg/registry/rest/delete.go; kubernetes pkg/registry/core/pod/strategy.go for a pod's grace.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.admission import NAMESPACES
from gateway_sandbox.apiserver.defaults import CRD_FINALIZER
from gateway_sandbox.apiserver.kinds import Json, Kind, Registry
from gateway_sandbox.apiserver.statuses import ApiError, conflict, forbidden
from gateway_sandbox.apiserver.store import Event, EventType, Key, Record, Storage, Store
from gateway_sandbox.apiserver.writes import is_finished

log = structlog.get_logger(__name__)

CRDS: Storage = ("apiextensions.k8s.io", "customresourcedefinitions")
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
EVENTS: Storage = ("", "events")
_IMMORTAL = ("default", "kube-system", "kube-public")
_EVENT_LIFE = timedelta(hours=1)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """A DeleteOptions body or its query parameters; None leaves a choice to the server."""

    grace_period_seconds: int | None = None
    propagation: str | None = None
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False


class Deleter:
    """Deletes single objects; synchronous and atomic like `Writer`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def delete(self, kind: Kind, key: Key, record: Record, options: DeleteOptions) -> tuple[Record, bool]:
        """The object's last or pending state, and whether it is gone; raises ApiError 409."""
        _check_preconditions(kind, key[1], record.obj["metadata"], options)
        if kind.storage == NAMESPACES and key[1] in _IMMORTAL:
            raise forbidden(kind, key[1], "this namespace may not be deleted")
        obj = record.copy()
        _set_finalizers(obj["metadata"], options.propagation)
        self._mark(kind, obj, options)
        if obj == record.obj and not is_finished(kind, obj):
            return record, False
        if options.dry_run:
            return Record(obj, record.version), is_finished(kind, obj)
        if not is_finished(kind, obj):
            return self._store.put(kind.storage, key, obj), False
        was_pending = "deletionTimestamp" in record.obj["metadata"] or kind.storage == ("", "pods")
        return self._store.remove(kind.storage, key, obj if was_pending else record.copy()), True

    def _mark(self, kind: Kind, obj: Json, options: DeleteOptions) -> None:
        metadata = obj["metadata"]
        grace_seconds = _grace_seconds(kind, obj, options)
        if metadata.get("deletionTimestamp"):
            held = metadata.get("deletionGracePeriodSeconds", 0)
            if options.grace_period_seconds is None or grace_seconds >= held:
                return
            at = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=held - grace_seconds)
            metadata["deletionTimestamp"] = at.strftime(_TIME)
        else:
            at = self._clock.now() + timedelta(seconds=grace_seconds)
            metadata["deletionTimestamp"] = at.strftime(_TIME)
            if "generation" in metadata:
                metadata["generation"] += 1
        metadata["deletionGracePeriodSeconds"] = grace_seconds
        if kind.storage == NAMESPACES:
            metadata.pop("deletionGracePeriodSeconds")
            obj["status"] = (obj.get("status") or {}) | {"phase": "Terminating"}


def _check_preconditions(kind: Kind, name: str, metadata: Json, options: DeleteOptions) -> None:
    for word, field, wanted in (("UID", "uid", options.uid), ("ResourceVersion", "resourceVersion", options.version)):
        if wanted and wanted != metadata[field]:
            text = f"Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {metadata[field]}"
            raise conflict(kind, name, text)


def _set_finalizers(metadata: Json, propagation: str | None) -> None:
    if propagation is None:
        return
    kept = [finalizer for finalizer in metadata.get("finalizers") or () if finalizer not in (FOREGROUND, ORPHAN)]
    added = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(propagation, [])
    metadata["finalizers"] = kept + added
    if not metadata["finalizers"]:
        del metadata["finalizers"]


def _grace_seconds(kind: Kind, obj: Json, options: DeleteOptions) -> int:
    """Only pods that a node holds get time; everything else goes at once."""
    if kind.storage != ("", "pods"):
        return 0
    spec, phase = obj["spec"], obj.get("status", {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    wanted = options.grace_period_seconds
    if wanted is None:
        wanted = spec.get("terminationGracePeriodSeconds", 30)
    return max(wanted, 0)


class Collector:
    """Follows writes and deletes what they leave behind; `run` works until cancelled."""

    def __init__(self, store: Store, registry: Registry, deleter: Deleter) -> None:
        self._store = store
        self._registry = registry
        self._deleter = deleter
        self._pending: dict[tuple[Storage, Key], None] = {}
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

    async def expire_events(self, clock: Clock) -> None:
        """Removes events an hour after they were made, as a real server does by default; works until cancelled."""
        while True:
            await clock.sleep(60.0)
            oldest = clock.now() - _EVENT_LIFE
            for key, record in list(self._store.items(EVENTS)):
                if datetime.fromisoformat(record.obj["metadata"]["creationTimestamp"]) < oldest:
                    self._store.remove(EVENTS, key, record.copy())

    def _follow(self, storage: Storage, event: Event) -> None:
        metadata = event.record.obj["metadata"]
        if event.type is EventType.DELETED:
            self._want(*self._store.dependents(metadata["uid"]))
            self._want(*self._owners(event.key[0], metadata))
            self._want((NAMESPACES, ("", event.key[0])), (CRDS, ("", ".".join(reversed(storage)))))
        elif metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
            self._want((storage, event.key))

    def _want(self, *items: tuple[Storage, Key]) -> None:
        self._pending.update(dict.fromkeys(items))
        self._has_work.set()

    def _examine(self, storage: Storage, key: Key) -> None:
        record = self._store.get(storage, key)
        if record is None:
            return
        metadata = record.obj["metadata"]
        if metadata.get("deletionTimestamp"):
            self._finish(storage, key, record)
        elif metadata.get("ownerReferences"):
            self._check_owners(storage, key, record)

    def _owners(self, namespace: str, metadata: Json) -> list[tuple[Storage, Key]]:
        located = (self._locate(namespace, reference) for reference in metadata.get("ownerReferences") or ())
        return [owner for owner in located if owner is not None]

    def _locate(self, namespace: str, reference: Json) -> tuple[Storage, Key] | None:
        kind = self._registry.by_name(reference["apiVersion"], reference["kind"])
        return (kind.storage, (namespace if kind.namespaced else "", reference["name"])) if kind else None

    def _is_alive(self, namespace: str, reference: Json) -> bool:
        """An owner of an unknown kind counts as alive, since nobody can say that it is gone."""
        where = self._locate(namespace, reference)
        if where is None:
            return True
        owner = self._store.get(*where)
        return owner is not None and owner.obj["metadata"]["uid"] == reference["uid"]

    def _check_owners(self, storage: Storage, key: Key, record: Record) -> None:
        references = record.obj["metadata"]["ownerReferences"]
        alive = [reference for reference in references if self._is_alive(key[0], reference)]
        if not alive:
            self._delete(storage, key, record, DeleteOptions(propagation="Background"))
        elif len(alive) < len(references):
            self._change(storage, key, record, lambda metadata: metadata.update(ownerReferences=alive))

    def _finish(self, storage: Storage, key: Key, record: Record) -> None:
        finalizers = record.obj["metadata"].get("finalizers") or []
        uid = record.obj["metadata"]["uid"]
        if storage == NAMESPACES:
            if not self._empty(self._store.in_namespace(key[1])):
                self._release_namespace(key, record)
        elif CRD_FINALIZER in finalizers:
            content = self._crd_storage(record.obj)
            if not self._empty([(content, held) for held, _ in self._store.items(content)]):
                self._release(storage, key, record, CRD_FINALIZER)
        elif ORPHAN in finalizers:
            for dependent in self._store.dependents(uid):
                self._disown(*dependent, uid)
            self._release(storage, key, record, ORPHAN)
        elif FOREGROUND in finalizers:
            dependents = self._store.dependents(uid)
            self._empty(dependents)
            if not any(self._blocks(*dependent, uid) for dependent in dependents):
                self._release(storage, key, record, FOREGROUND)

    def _crd_storage(self, crd: Json) -> Storage:
        return crd["spec"]["group"], crd["spec"]["names"]["plural"]

    def _empty(self, items: list[tuple[Storage, Key]]) -> bool:
        """Deletes all of `items`; whether any of them remains."""
        remains = False
        for storage, key in items:
            record = self._store.get(storage, key)
            if record is not None:
                policy = "Foreground" if self._store.dependents(record.obj["metadata"]["uid"]) else "Background"
                if not record.obj["metadata"].get("deletionTimestamp"):
                    self._delete(storage, key, record, DeleteOptions(propagation=policy))
                remains = remains or self._store.get(storage, key) is not None
        return remains

    def _blocks(self, storage: Storage, key: Key, uid: str) -> bool:
        record = self._store.get(storage, key)
        references = record.obj["metadata"].get("ownerReferences", []) if record else []
        return any(reference["uid"] == uid and reference.get("blockOwnerDeletion") for reference in references)

    def _disown(self, storage: Storage, key: Key, uid: str) -> None:
        record = self._store.get(storage, key)
        if record is not None:
            kept = [one for one in record.obj["metadata"]["ownerReferences"] if one["uid"] != uid]
            self._change(storage, key, record, lambda metadata: metadata.update(ownerReferences=kept))

    def _delete(self, storage: Storage, key: Key, record: Record, options: DeleteOptions) -> None:
        self._deleter.delete(self._registry.by_storage(storage), key, record, options)

    def _release(self, storage: Storage, key: Key, record: Record, finalizer: str) -> None:
        kept = [one for one in record.obj["metadata"]["finalizers"] if one != finalizer]
        self._change(storage, key, record, lambda metadata: metadata.update(finalizers=kept))

    def _release_namespace(self, key: Key, record: Record) -> None:
        obj = record.copy()
        held = obj["spec"].get("finalizers") or []
        if "kubernetes" in held:
            obj["spec"]["finalizers"] = [one for one in held if one != "kubernetes"]
            self._save(NAMESPACES, key, obj)

    def _change(self, storage: Storage, key: Key, record: Record, change: Callable[[Json], None]) -> None:
        obj = record.copy()
        change(obj["metadata"])
        for field in ("finalizers", "ownerReferences"):
            if obj["metadata"].get(field) == []:
                del obj["metadata"][field]
        self._save(storage, key, obj)

    def _save(self, storage: Storage, key: Key, obj: Json) -> None:
        if is_finished(self._registry.by_storage(storage), obj):
            self._store.remove(storage, key, obj)
        else:
            self._store.put(storage, key, obj)
