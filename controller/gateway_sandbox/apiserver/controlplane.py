"""The parts behind the API composed, and what a fresh cluster contains.

Follows writes for what a real cluster does by itself: a CRD is served as soon as it is stored, a namespace gets its
`default` service account.
"""

import random
from dataclasses import dataclass

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.admission import NAMESPACES, Admission
from gateway_sandbox.apiserver.builtin import REF, BuiltinTypes
from gateway_sandbox.apiserver.customresources import served_kinds
from gateway_sandbox.apiserver.deletion import CRDS, Collector, Deleter
from gateway_sandbox.apiserver.kinds import Json, Registry
from gateway_sandbox.apiserver.store import Event, EventType, Storage, Store
from gateway_sandbox.apiserver.writes import WriteOptions, Writer

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITY_CLASSES = (("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000))
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
    _Followers(plane)
    for name in _NAMESPACES:
        plane.writer.create(registry.by_storage(NAMESPACES), "", {"metadata": {"name": name}}, _SYSTEM)
    priority_class = registry.by_storage(("scheduling.k8s.io", "priorityclasses"))
    for name, value in _PRIORITY_CLASSES:
        plane.writer.create(priority_class, "", {"metadata": {"name": name}, "value": value}, _SYSTEM)
    return plane


class _Followers:
    """Keeps the registry and the namespaces' contents in step with the store."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        plane.store.on_commit.append(self._follow)

    def _follow(self, storage: Storage, event: Event) -> None:
        if storage == NAMESPACES and event.type is EventType.ADDED:
            self._furnish(event.key[1])
        elif storage == CRDS:
            for before in self._served(event.before.obj) if event.before else ():
                self._plane.registry.remove(before)
            for kind in self._served(event.record.obj) if event.type is not EventType.DELETED else ():
                self._plane.registry.add(kind)

    def _served(self, crd: Json) -> list:  # type: ignore[type-arg]
        return served_kinds(crd, self._plane.types.resolve(REF + "ObjectMeta"))

    def _furnish(self, namespace: str) -> None:
        accounts = self._plane.registry.by_storage(("", "serviceaccounts"))
        self._plane.writer.create(accounts, namespace, {"metadata": {"name": "default"}}, _SYSTEM)
