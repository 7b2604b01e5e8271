"""The whole manager at work behind a misbehaving proxy, with its own ServiceAccount's rights."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES
from actions_gateway.manager.gateway.children import CHILD_KINDS, build_children
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.run import run_manager
from support.aio import Looks
from support.manager_objects import SETTINGS, gateway

from .site import Manifest, Site

NOT_THE_LEASE = "^(?!.*leases)"
"""Paths of everything but the leader lease, whose failure ends a manager by intention."""

_SETTINGS = replace(
    SETTINGS, lease_seconds=9.0, renew_seconds=6.0, retry_seconds=0.3, bind_address="127.0.0.1", metrics_port=0
)

Names = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Process:
    """A running manager."""

    port: int

    async def probe(self, path: str) -> int:
        """The status of a probe; 0 while nothing listens yet."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
                    return answer.status
            except aiohttp.ClientConnectionError:
                return 0

    async def until_probe(self, path: str, status: int) -> None:
        """Returns once the probe answers so."""

        async def answers() -> bool:
            return await self.probe(path) == status

        await until(answers)


@asynccontextmanager
async def managing(here: Site, **settings: Any) -> AsyncIterator[Process]:
    """The manager, from its start to SIGTERM; one that dies ends the test with its reason."""
    token = await here.manager_token()
    async with here.client(token, **settings) as client, asyncio.TaskGroup() as group:
        port = _free_port()
        work = run_manager(
            replace(_SETTINGS, health_port=port), client=client, clock=SystemClock(), rng=random.Random(3)
        )
        task = group.create_task(work, name="manager")
        yield Process(port)
        task.cancel()


async def order(here: Site, namespace: str) -> Manifest:
    """A tenant creates a gateway."""
    manifest = gateway(namespace=namespace)
    manifest["metadata"] = {"name": "ci", "namespace": namespace}
    return await here.admin.create(ACTIONSGATEWAYS, manifest)


async def children(here: Site, namespace: str) -> list[Manifest]:
    """What exists in a namespace of the kinds that the manager makes; every namespace has the account `default`."""
    found: list[Manifest] = []
    for resource in CHILD_KINDS:
        found += (await here.admin.list(resource, namespace)).items
    return [entry for entry in found if entry["metadata"]["name"] != "default"]


async def until_provisioned(here: Site, ordered: Manifest) -> None:
    """Returns when exactly what the gateway wants exists, and its status says what it waits for."""
    namespace = ordered["metadata"]["namespace"]
    stages = build_children(ordered, parse_gateway(ordered), SETTINGS)
    wanted = sorted((entry["kind"], entry["metadata"]["name"]) for stage in stages for entry in stage)

    async def is_complete() -> bool:
        found = await children(here, namespace)
        live = await here.admin.get(ACTIONSGATEWAYS, "ci", namespace)
        conditions = {entry["type"]: entry for entry in (live.get("status") or {}).get("conditions") or []}
        return (
            sorted((entry["kind"], entry["metadata"]["name"]) for entry in found) == wanted
            and conditions.get("Ready", {}).get("reason") == "AGCNotReady"
            and conditions.get("Degraded", {}).get("status") == "False"
        )

    await until(is_complete)


async def until_gone(here: Site, namespace: str) -> None:
    """Returns when the namespace does not exist."""

    async def is_gone() -> bool:
        try:
            await here.admin.get(NAMESPACES, namespace)
        except NotFound:
            return True
        return False

    await until(is_gone)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns once `holds` says so."""
    looks = Looks()
    while True:
        if await holds():
            return
        await looks.pause()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
