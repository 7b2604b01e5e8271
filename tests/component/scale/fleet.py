"""A control plane of its own with hundreds of nodes that kwok plays: many objects, and no process for any of them."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.listwatch import ChangeType, Key, key_of, list_watch
from actions_gateway.kube.resources import NODES, RUNNERGROUPS, Resource
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.controlplane.kwok import build_fake_node, start_kwok
from gateway_sandbox.controlplane.server import ControlPlane
from support.manager_objects import group_conditions
from support.patience import HANG_SECONDS

Manifest = dict[str, Any]
NODE_COUNT = 150
LIMIT_SECONDS = 240.0
"""For a machine that other work keeps busy."""
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Fleet:
    """The control plane; each test takes namespaces of its own."""

    plane: ControlPlane

    @asynccontextmanager
    async def client(self) -> AsyncIterator[KubeClient]:
        """The administrator's."""
        async with connect(self.plane.kubeconfig) as client:
            yield client


async def start_fleet(plane: ControlPlane, node_count: int = NODE_COUNT) -> Fleet:
    """Starts everything and returns when every node is ready."""
    await plane.start(timeout_seconds=HANG_SECONDS)
    async with connect(plane.kubeconfig) as client:
        await start_kwok(plane, client)
        nodes = [build_fake_node(f"fake-{number:03}") for number in range(node_count)]
        await create_all(client, NODES, nodes)
        await until(client, NODES, None, is_ready, node_count)
    return Fleet(plane)


async def create_all(client: KubeClient, resource: Resource, manifests: Iterable[Manifest]) -> None:
    """Creates many objects, a few dozen at once."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def create(manifest: Manifest) -> None:
        async with limit:
            await client.create(resource, manifest)

    async with asyncio.TaskGroup() as group:
        for manifest in manifests:
            group.create_task(create(manifest))


async def until(
    client: KubeClient, resource: Resource, namespace: str | None, matches: Callable[[Manifest], object], count: int
) -> dict[Key, Manifest]:
    """What our list-watch mirrors of a resource, as soon as exactly `count` objects of it match."""
    mirror: dict[Key, Manifest] = {}
    synced = False
    async for change in list_watch(client, resource, namespace, clock=SystemClock(), rng=random.Random(1)):
        if change.type is ChangeType.SYNCED:
            synced = True
        elif change.type is not ChangeType.DELETED and matches(change.object):
            mirror[key_of(change.object)] = change.object
        else:
            mirror.pop(key_of(change.object), None)
        if synced and len(mirror) == count:
            return mirror
    raise AssertionError("the list-watch ended")


def any_object(_: Manifest) -> bool:
    """Matches everything."""
    return True


def deployment(name: str, namespace: str, replicas: int) -> Manifest:
    """Pods of an image that exists nowhere: kwok runs nothing."""
    labels = {"app": name}
    container = {"name": "main", "image": "nothing", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def report_as_agents(client: KubeClient) -> None:
    """Says of every runner group, whenever its spec changes, what its agent would: kwok runs none."""
    async for change in list_watch(client, RUNNERGROUPS, clock=SystemClock(), rng=random.Random(1)):
        if change.type not in (ChangeType.ADDED, ChangeType.MODIFIED):
            continue
        metadata, spec = change.object["metadata"], change.object["spec"]
        if (change.object.get("status") or {}).get("observedGeneration") == metadata["generation"]:
            continue
        count = 0 if spec.get("suspended") else 1
        status = {"observedGeneration": metadata["generation"], "activeSessions": count, "registrations": count}
        with contextlib.suppress(NotFound):
            await client.patch(
                RUNNERGROUPS,
                metadata["name"],
                {"status": status | {"conditions": group_conditions()}},
                namespace=metadata["namespace"],
                subresource="status",
            )
