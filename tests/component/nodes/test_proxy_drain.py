"""A tenant's proxy that is deleted: it leaves its Service at once, and what goes through it goes on while it drains."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from actions_gateway.api import labels
from actions_gateway.api.names import PROXY
from actions_gateway.kube import resources as r
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.proxy_deployment import build_proxy_deployment
from actions_gateway.manager.gateway.proxy_service import build_proxy_service
from actions_gateway.proxy.listeners import STATS_PATH
from component.proxy.scene import Host, ended, host, platform
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.envoy import find_envoy
from gateway_sandbox.nodes.images import Image
from gateway_sandbox.nodes.ports import ANNOTATION
from support.components import require_envoy
from support.envoy import Tunnel, open_tunnel
from support.manager_objects import gateway

from .real_world import RealCluster, RealNode
from .real_world import play as play_on_real
from .world import Manifest, World, play

DRAIN_SECONDS = 600
"""Longer than the test may take, so that nothing here ends by itself."""
TUNNELS = "envoy_http_downstream_cx_upgrades_total"


async def start_proxy(world: World, there: Host) -> Manifest:
    """The pod of the manager's own Deployment, once it is ready, behind the manager's own Service."""
    owner = gateway(namespace=world.namespace)
    deployment = build_proxy_deployment(
        owner,
        parse_gateway(owner),
        image="envoy",
        platform=platform(there.exception),
        drain_seconds=DRAIN_SECONDS,
    )
    await world.create(r.SERVICEACCOUNTS, {"metadata": {"name": PROXY}})
    for resource, manifest in ((r.SERVICES, build_proxy_service(owner)), (r.DEPLOYMENTS, deployment)):
        # Nobody plays the gateway here, and what has no owner is collected.
        del manifest["metadata"]["ownerReferences"]
        await world.create(resource, manifest)
    return await world.until_any(r.PODS, is_ready_proxy)


def is_ready_proxy(pod: Manifest) -> bool:
    is_proxy = pod["metadata"].get("labels", {}).get(labels.APP) == PROXY
    return bool(is_proxy and is_ready(pod) and "deletionTimestamp" not in pod["metadata"])


async def address_of_service(world: World) -> tuple[str, int]:
    """What a pod is given for the Service."""
    url = {"name": "URL", "value": f"http://{PROXY}.{world.namespace}.svc.cluster.local:8080"}
    await world.create_pod("client", "echo $URL", container={"env": [url]})
    await world.until_phase("client", "Succeeded")
    found = urlsplit((await world.logs("client")).strip())
    return str(found.hostname), int(found.port or 0)


async def tunnels_through(pod: Manifest) -> int:
    """How many an Envoy has opened since its start."""
    port = json.loads(pod["metadata"]["annotations"][ANNOTATION])["metrics"]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{STATS_PATH}") as answer:
        lines = (await answer.text()).splitlines()
    counts: Counter[str] = Counter()
    for line in lines:
        series, _, value = line.rpartition(" ")
        if not line.startswith("#"):
            counts[series.partition("{")[0]] += int(float(value))
    return counts[TUNNELS]


async def a_tunnel_outlives_the_deletion_of_its_proxy(world: World) -> None:
    async with host() as there:
        old = await start_proxy(world, there)
        service, name = await address_of_service(world), old["metadata"]["name"]
        tunnel = await open_tunnel(*service, there.authority)
        assert (tunnel.status, await tunnel.ask(b"before")) == (200, b"before")

        await world.client.delete(r.PODS, name, namespace=world.namespace)
        await world.until_event(name, "Killing")
        assert "deletionTimestamp" in (await world.client.get(r.PODS, name, world.namespace))["metadata"]
        successor = await world.until_any(r.PODS, is_ready_proxy)
        later = [await open_tunnel(*service, there.authority) for _ in range(3)]
        assert [one.status for one in later] == [200] * 3
        assert (await tunnels_through(old), await tunnels_through(successor)) == (1, 3)
        assert await tunnel.ask(b"while it drains") == b"while it drains"

        await world.client.delete(r.PODS, name, namespace=world.namespace, grace_period_seconds=0)
        await ended(tunnel)
        assert await later[0].ask(b"goes on") == b"goes on"
        await close(tunnel, *later)


def test_a_tunnel_outlives_the_deletion_of_its_proxy(tmp_path: Path) -> None:
    play(tmp_path, a_tunnel_outlives_the_deletion_of_its_proxy, images={"envoy": envoy()})


def test_a_tunnel_outlives_the_deletion_of_its_proxy_on_a_real_control_plane(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        await a_tunnel_outlives_the_deletion_of_its_proxy(node.world)

    play_on_real(real_cluster, scenario, images={"envoy": envoy()})


def envoy() -> Image:
    require_envoy()
    return Image(command=(str(find_envoy()),))


async def close(*tunnels: Tunnel) -> None:
    for tunnel in tunnels:
        tunnel.writer.transport.abort()
    await asyncio.sleep(0)
