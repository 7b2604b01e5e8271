"""A node of ours on the real control plane, put together as a sandbox does it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait, run_forever
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from gateway_sandbox.backends.backend import NodeAccess
from gateway_sandbox.backends.real import RealBackend
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import Options
from gateway_sandbox.nodes.images import Image, ImageTable
from gateway_sandbox.nodes.node import Node
from gateway_sandbox.nodes.registration import Room
from support.aio import run
from support.patience import HANG_SECONDS

from .world import IMAGES, World, until_node

LOST_NODE = "lost-node"
GRACE_SECONDS = 20
"""How long the node lifecycle controller waits for a sign of life; nodes give one every 10 s."""


@dataclass(frozen=True, slots=True)
class RealCluster:
    """The control plane, and where its files are."""

    folder: Path
    backend: RealBackend
    certificates: SandboxCertificates

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    def build_node(
        self,
        client: KubeClient,
        access: NodeAccess,
        name: str,
        room: Room | None = None,
        images: Mapping[str, Image] | None = None,
    ) -> Node:
        """A node that is not started."""
        return Node(
            client,
            name=name,
            folder=self.folder / "pods" / name,
            images=ImageTable({**IMAGES, **(images or {})}),
            clock=SystemClock(),
            ssl_context=access.ssl_context,
            kubelet_client=access.api_client,
            api_url=self.backend.url,
            api_ca_path=self.certificates.ca_path,
            room=room,
        )


@dataclass(slots=True)
class RealNode:
    """What a test touches: `world` as the administrator."""

    cluster: RealCluster
    world: World
    own: KubeClient
    """The node's own client."""


async def start(folder: Path) -> RealCluster:
    """A control plane that notices a lost node soon."""
    certificates = SandboxCertificates.create(folder / "certificates")
    options = Options(
        controller_flags=(f"--node-monitor-grace-period={GRACE_SECONDS}s", "--node-monitor-period=1s"),
    )
    backend = RealBackend(folder / "controlplane", certificates, SystemClock(), options)
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await backend.start(folder / "kubeconfig")
    except BaseException:
        await backend.stop()
        raise
    return RealCluster(folder, backend, certificates)


async def lose_a_node(cluster: RealCluster, name: str) -> None:
    """Lets a node register and then end without a word."""
    async with asyncio.timeout(HANG_SECONDS), connect(cluster.kubeconfig) as admin:
        access = await cluster.backend.admit_node(admin, name)
        async with connect(access.kubeconfig) as own, asyncio.TaskGroup() as tasks:
            node = cluster.build_node(own, access, name)
            task = run_forever(tasks, node.run(), name=name)
            await node.ready.wait()
            # Until its silence is noticed, the scheduler would give it pods that nobody runs.
            await admin.patch(r.NODES, name, {"spec": {"unschedulable": True}})
            await cancel_and_wait(task)


@asynccontextmanager
async def real_node(
    cluster: RealCluster, *, room: Room | None = None, images: Mapping[str, Image] | None = None
) -> AsyncIterator[RealNode]:
    """A node of the test's own, and a namespace that goes with it."""
    async with connect(cluster.kubeconfig) as admin, asyncio.TaskGroup() as tasks:
        made = await admin.create(r.NAMESPACES, {"metadata": {"generateName": "node-"}})
        namespace = str(made["metadata"]["name"])
        name = f"{namespace}-node"
        access = await cluster.backend.admit_node(admin, name)
        async with connect(access.kubeconfig) as own:
            node = cluster.build_node(own, access, name, room, images)
            loops = [
                run_forever(tasks, node.run(), name=name),
                run_forever(tasks, cluster.backend.work(admin, node), name="beside"),
            ]
            world = World(
                admin, cluster.folder / "pods" / name, cluster.kubeconfig, _no_other_node, node, loops, namespace
            )
            try:
                await node.ready.wait()
                await _until_usable(world)
                yield RealNode(cluster, world, own)
            finally:
                await cancel_and_wait(*loops)
                await admin.delete(r.NODES, name)
                await admin.delete(r.NAMESPACES, namespace)


def play(
    cluster: RealCluster,
    scenario: Callable[[RealNode], Awaitable[None]],
    *,
    room: Room | None = None,
    images: Mapping[str, Image] | None = None,
) -> None:
    """Runs `scenario` with a fresh node."""

    async def body() -> None:
        async with real_node(cluster, room=room, images=images) as node:
            await scenario(node)

    run(body())


async def _until_usable(world: World) -> None:
    """The node's first taints are gone, and the namespace has its account."""
    await world.until_any(r.SERVICEACCOUNTS, lambda account: account["metadata"]["name"] == "default")
    await until_node(world.client, world.node.name, lambda node: not (node.get("spec") or {}).get("taints"))


def _no_other_node(_: str) -> tuple[Node, asyncio.Task[None]]:
    raise AssertionError("one node per test on the real control plane")
