"""The parts behind the API composed, and what a fresh cluster contains.

Follows writes for what a real cluster does by itself: a CRD is served as soon as it is stored, a namespace gets its
`default` service account.
"""

import random
from dataclasses import dataclass
from functools import partial

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.admission import NAMESPACES, PRIORITY_CLASSES, SERVICE_ACCOUNTS, Admission
from gateway_sandbox.apiserver.builtin import REF, BuiltinTypes
from gateway_sandbox.apiserver.customresources import served_kinds
from gateway_sandbox.apiserver.deletion import CRDS, Collector, Deleter
from gateway_sandbox.apiserver.kinds import Json, Registry
from gateway_sandbox.apiserver.store import Event, EventType, Storage, Store
from gateway_sandbox.apiserver.writes import WriteOptions, Writer

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITIES = (("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000))
_SYSTEM = WriteOptions(manager="kube-apiserver")


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Store, registry and the actors on them."""

    types: BuiltinTypes
    registry: Registry
    store: Store
    writer: Writer
    deleter: Deleter
    collector: Collector


def build_control_plane(clock: Clock, rng: random.Random, *, history_events: int) -> ControlPlane:
    """A fresh cluster with its system namespaces and priority classes."""
    types, registry, store = BuiltinTypes(), Registry(), Store(history_events)
    for kind in types.kinds:
        registry.add(kind)
    admission = Admission(store, registry.by_storage(NAMESPACES))
    writer, deleter = Writer(store, admission, clock, rng), Deleter(store, clock)
    plane = ControlPlane(types, registry, store, writer, deleter, Collector(store, registry, deleter))
    store.on_commit.append(partial(_follow, plane))
    objects: list[tuple[Storage, Json]] = [(NAMESPACES, {"metadata": {"name": name}}) for name in _NAMESPACES]
    objects += [(PRIORITY_CLASSES, {"metadata": {"name": name}, "value": value}) for name, value in _PRIORITIES]
    for storage, body in objects:
        plane.writer.create(registry.by_storage(storage), "", body, _SYSTEM)
    return plane


def _follow(plane: ControlPlane, storage: Storage, event: Event) -> None:
    """Keeps the registry and the namespaces' contents in step with the store."""
    if storage == NAMESPACES and event.type is EventType.ADDED:
        accounts = plane.registry.by_storage(SERVICE_ACCOUNTS)
        plane.writer.create(accounts, event.key[1], {"metadata": {"name": "default"}}, _SYSTEM)
    elif storage == CRDS:
        metadata = plane.types.resolve(REF + "ObjectMeta")
        for before in served_kinds(event.before.obj, metadata) if event.before else ():
            plane.registry.remove(before)
        for kind in served_kinds(event.record.obj, metadata) if event.type is not EventType.DELETED else ():
            plane.registry.add(kind)
