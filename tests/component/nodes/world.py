"""A small cluster for these tests: API server, controllers and one node whose images are shells."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from actions_gateway.engine.clock import Clock, SystemClock
from actions_gateway.engine.supervision import cancel_and_wait, run_forever
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.resources import Resource
from gateway_sandbox.apiserver.server import ApiServer
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controllers.run import run_controllers
from gateway_sandbox.nodes.images import Image, ImageTable
from gateway_sandbox.nodes.node import Node
from gateway_sandbox.nodes.registration import Room
from support.aio import run
from support.clock import ManualClock
from support.patience import HANG_SECONDS

Manifest = dict[str, Any]
CORE_EVENTS = Resource("", "v1", "events", "Event")
NAMESPACE = "team-a"
TOKEN = "component-test-token"
_LOG_TIMEOUT = aiohttp.ClientTimeout(total=20.0)
IMAGES: Mapping[str, Image] = {"shell": Image(command=("/bin/sh", "-c"))}


@dataclass(slots=True)
class World:
    """What a test touches."""

    client: KubeClient
    folder: Path
    kubeconfig: Path
    start_node: Callable[[str], tuple[Node, asyncio.Task[None]]]
    node: Node
    node_tasks: list[asyncio.Task[None]]
    namespace: str = NAMESPACE

    async def add_node(self, name: str) -> None:
        """Starts another node; it ends with the cluster."""
        node, task = self.start_node(name)
        self.node_tasks.append(task)
        await node.ready.wait()

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        return await self.client.create(resource, manifest, namespace=self.namespace)

    async def create_pod(self, name: str, script: str = "", **spec: Any) -> Manifest:
        """A pod whose container `main` runs `script`; `container` adds to the container, the rest to the spec."""
        container = {"name": "main", "image": "shell", "args": [script], **spec.pop("container", {})}
        marks = {field: spec.pop(field, {}) for field in ("annotations", "labels")}
        return await self.create(
            r.PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": self.namespace, **marks},
                "spec": {"containers": [container], "restartPolicy": "Never", **spec},
            },
        )

    async def create_secret(self, name: str, **data: str) -> None:
        encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
        await self.create(r.SECRETS, {"metadata": {"name": name}, "data": encoded})

    async def until(self, resource: Resource, name: str, holds: Callable[[Manifest], object]) -> Manifest:
        """The object as soon as `holds` is true of it, seen by a watch."""
        field = f"metadata.name={name}"
        listed = await self.client.list(resource, self.namespace, field_selector=field)
        for item in listed.items:
            if holds(item):
                return item
        version = listed.resource_version
        async for event in self.client.watch(resource, self.namespace, resource_version=version, field_selector=field):
            if event.type != "BOOKMARK" and holds(event.object):
                return event.object
        raise AssertionError("the watch ended")

    async def until_phase(self, name: str, *phases: str) -> Manifest:
        return await self.until(r.PODS, name, lambda pod: pod["status"].get("phase") in phases)

    async def until_gone(self, resource: Resource, name: str) -> None:
        """Waits until the object does not exist."""
        listed = await self.client.list(resource, self.namespace, field_selector=f"metadata.name={name}")
        if not listed.items:
            return
        stream = self.client.watch(
            resource, self.namespace, resource_version=listed.resource_version, field_selector=f"metadata.name={name}"
        )
        async for event in stream:
            if event.type == "DELETED":
                return

    async def logs(self, name: str, **query: str) -> str:
        """The answer to a log request as it is; raises KubeError with the kubelet's words."""
        path = f"{r.PODS.path(self.namespace, name)}/log"
        async with self.client._open("GET", path, query=query, timeout=_LOG_TIMEOUT) as response:
            return (await response.read()).decode()

    async def followed(self, name: str, query: Mapping[str, str] | None = None) -> AsyncIterator[str]:
        """The pod's log as it grows."""
        path, query = f"{r.PODS.path(self.namespace, name)}/log", {"follow": "true", **(query or {})}
        async with self.client._open("GET", path, query=query, timeout=aiohttp.ClientTimeout()) as response:
            async for chunk in response.content.iter_any():
                yield chunk.decode()

    async def until_logged(self, name: str, text: str, container: str | None = None) -> str:
        """The pod's log up to and including `text`, followed."""
        await self.until(r.PODS, name, lambda pod: {"running", "terminated"} & set(state(pod, container or "main")))
        seen = ""
        async for chunk in self.followed(name, {"container": container} if container else {}):
            seen += chunk
            if text in seen:
                return seen
        raise AssertionError(f"the log ended without {text!r}: {seen!r}")

    async def until_event(self, name: str, reason: str) -> str:
        """The message of the first event of that reason about the object."""
        found: list[str] = []

        def holds(event: Manifest) -> bool:
            if event["involvedObject"]["name"] == name and event["reason"] == reason:
                found.append(event.get("message", ""))
            return bool(found)

        await self.until_any(CORE_EVENTS, holds)
        return found[0]

    async def until_any(self, resource: Resource, holds: Callable[[Manifest], bool]) -> Manifest:
        """The first object of the namespace of which `holds` is true."""
        listed = await self.client.list(resource, self.namespace)
        for item in listed.items:
            if holds(item):
                return item
        async for event in self.client.watch(resource, self.namespace, resource_version=listed.resource_version):
            if event.type != "BOOKMARK" and holds(event.object):
                return event.object
        raise AssertionError("the watch ended")


@asynccontextmanager
async def cluster(
    folder: Path,
    *,
    images: Mapping[str, Image] | None = None,
    node_clock: Clock | None = None,
    room: Room | None = None,
) -> AsyncIterator[World]:
    """A running cluster with the namespace team-a."""
    certificates = SandboxCertificates.create(folder / "certificates")
    server = ApiServer(
        clock=SystemClock(),
        ssl_context=certificates.server_context(),
        kubelet_ssl_context=certificates.client_context(),
    )
    server.add_token(TOKEN, "test-admin", ("system:masters",))
    await server.start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(server.url, certificates.ca_path))
    try:
        async with connect(kubeconfig) as client, asyncio.TaskGroup() as tasks:
            await client.create(r.NAMESPACES, {"metadata": {"name": NAMESPACE}})

            def start_node(name: str) -> tuple[Node, asyncio.Task[None]]:
                node = Node(
                    client,
                    name=name,
                    folder=folder / "pods" / name,
                    images=ImageTable({**IMAGES, **(images or {})}),
                    clock=node_clock or SystemClock(),
                    ssl_context=certificates.server_context(),
                    api_url=server.url,
                    api_ca_path=certificates.ca_path,
                    room=room,
                )
                return node, run_forever(tasks, node.run(), name=name)

            controllers = run_forever(tasks, run_controllers(client, SystemClock()), name="controllers")
            node, node_task = start_node("sandbox-node")
            world = World(client, folder / "pods" / "sandbox-node", kubeconfig, start_node, node, [node_task])
            await world.node.ready.wait()
            try:
                yield world
            finally:
                await cancel_and_wait(*world.node_tasks, controllers)
    finally:
        await server.stop()


async def until_node(client: KubeClient, name: str, holds: Callable[[Manifest], object]) -> Manifest:
    """The node as soon as `holds` is true of it."""
    field = f"metadata.name={name}"
    listed = await client.list(r.NODES, field_selector=field)
    for item in listed.items:
        if holds(item):
            return item
    version = listed.resource_version
    async for event in client.watch(r.NODES, resource_version=version, field_selector=field):
        if event.type != "BOOKMARK" and holds(event.object):
            return event.object
    raise AssertionError("the watch ended")


def play(
    folder: Path, scenario: Callable[[World], Awaitable[None]], *, timeout_seconds: float = HANG_SECONDS, **options: Any
) -> None:
    """Runs `scenario` in a fresh cluster."""

    async def body() -> None:
        async with cluster(folder, **options) as world:
            await scenario(world)

    run(body(), timeout_seconds=timeout_seconds)


def state(pod: Manifest, container: str = "main") -> Manifest:
    """The state of one container of a pod, init containers included."""
    status = container_status(pod, container)
    return dict(status["state"]) if status else {}


def container_status(pod: Manifest, container: str = "main") -> Manifest:
    """One container's status, or an empty one."""
    status = pod["status"]
    both = (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
    return next((one for one in both if one["name"] == container), {})


async def advance_until(clock: ManualClock, seconds: float, done: Awaitable[object]) -> None:
    """Moves the clock on in steps until `done` is: a real process may not have got to its next wait yet."""
    waiting = asyncio.ensure_future(done)
    while not waiting.done():
        await clock.advance(seconds)
        await asyncio.wait({waiting}, timeout=0.02)
    await waiting


def waits_for(reason: str) -> Callable[[Manifest], bool]:
    """Whether the main container waits for that reason."""
    return lambda pod: state(pod).get("waiting", {}).get("reason") == reason


def _kubeconfig(url: str, ca_path: Path) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca_path)}}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
            "current-context": "test",
        }
    )
