"""What one pass tells the rollout of a release, whatever becomes of its writes and of its status."""

from dataclasses import replace
from typing import Any, cast

import pytest

from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import Forbidden, KubeError, Unreachable
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES, PODS, RESOURCEQUOTAS
from actions_gateway.manager.fleet.export import Fleet
from actions_gateway.manager.fleet.rollout import Rollout
from actions_gateway.manager.gateway.children import CHILD_KINDS
from actions_gateway.manager.gateway.mirror import Mirror, Mirrors
from actions_gateway.manager.gateway.reconcile import GatewayReconciler, ProvisioningIncomplete
from actions_gateway.manager.gateway.release import Standing
from actions_gateway.manager.gateway.snapshot import Key
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support import manager_objects as make
from support.aio import run
from support.clock import ManualClock

Manifest = dict[str, Any]

KEY = ("team-a", "ci")
NEW = replace(make.SETTINGS, controller_image="controller:new")


class Refusing:
    """An API server that takes everything but what it is told to refuse."""

    def __init__(self, *, children: KubeError | None = None, status: KubeError | None = None) -> None:
        self._children = children
        self._status = status

    async def apply(self, _resource: Any, manifest: Manifest, *, subresource: str = "", **_: Any) -> Manifest:
        if refusal := self._status if subresource == "status" else self._children:
            raise refusal
        metadata = {**manifest["metadata"], "uid": f"uid-{manifest['metadata']['name']}", "resourceVersion": "9"}
        return {**manifest, "metadata": metadata}

    async def patch(self, resource: Any, name: str, _patch: Manifest, **_: Any) -> Manifest:
        raise AssertionError(f"{resource} {name} is as it should be")


class Telling(Rollout):
    """A rollout that writes down what it is told."""

    def __init__(self) -> None:
        super().__init__(Metrics(Component.MANAGER, "1.0"), look_at=lambda _: None)
        self.told: list[Any] = []

    def observe(self, key: Key, standing: Standing | None) -> None:
        self.told.append(standing)
        super().observe(key, standing)

    def give_up(self, key: Key) -> None:
        self.told.append("given up")
        super().give_up(key)


def tenant() -> Mirrors:
    """One tenant with an earlier release than NEW, in mirrors."""
    snapshot = make.snapshot()
    mirrors = {kind: Mirror(kind) for kind in (ACTIONSGATEWAYS, NAMESPACES, PODS, RESOURCEQUOTAS, *CHILD_KINDS)}
    mirrors[ACTIONSGATEWAYS].put(dict(snapshot.gateway))
    mirrors[NAMESPACES].put(dict(snapshot.namespace))
    kinds = {kind.kind: kind for kind in CHILD_KINDS}
    for (kind, _), child in snapshot.children.items():
        mirrors[kinds[kind]].put(dict(child))
    return mirrors


def reconcile(server: Refusing, rollout: Rollout) -> None:
    metrics = Metrics(Component.MANAGER, "1.0")
    client = cast("KubeClient", server)
    clock = ManualClock()
    events = cast("EventRecorder", Silent())
    reconciler = GatewayReconciler(
        NEW,
        tenant(),
        client=client,
        clock=clock,
        events=events,
        fleet=Fleet(metrics),
        rollout=rollout,
        on_news=lambda *_: None,
    )
    run(reconciler.reconcile(KEY))


class Silent:
    """Takes every event."""

    async def record(self, *_: Any, **__: Any) -> None:
        return


def test_a_pass_whose_writes_fail_gives_the_turn_up() -> None:
    rollout = Telling()
    with pytest.raises(ProvisioningIncomplete):
        reconcile(Refusing(children=Forbidden("no")), rollout)
    assert rollout.told == [Standing.WAITING, "given up"]


@pytest.mark.parametrize("children", [None, Forbidden("no")])
def test_a_status_that_cannot_be_written_keeps_no_turn(children: KubeError | None) -> None:
    rollout = Telling()
    with pytest.raises(Unreachable):
        reconcile(Refusing(children=children, status=Unreachable("gone")), rollout)
    assert rollout.told == [Standing.WAITING, "given up"]
