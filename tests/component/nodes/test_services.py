"""Services by name: relays to ready pods in turn, and pods that leave a Service before they end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.engine.supervision import cancel_and_wait, run_forever
from actions_gateway.kube import resources as r
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.nodes.ports import PodPorts
from gateway_sandbox.nodes.services import Services
from support.aio import run, until

from .real_world import RealCluster, RealNode
from .real_world import play as play_on_real
from .world import Manifest, World, play

SERVER = """exec python3 -c '
import os, socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(os.environ["HOSTNAME"].encode() + b" " + line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server((os.environ["BIND_ADDRESS"], int(os.environ["WEB_PORT"])), Echo).serve_forever()
'"""


def service(**selector: str) -> Manifest:
    targets = {80: "web", 90: 8080, 91: "none"}
    ports = [{"name": f"p{port}", "port": port, "targetPort": target} for port, target in targets.items()]
    return {"metadata": {"name": "web"}, "spec": {"selector": selector, "ports": ports}}


@dataclass(slots=True)
class KnownPod:
    """A pod as a Service sees it."""

    real_port: int
    labels: dict[str, str] = field(default_factory=lambda: {"app": "web"})
    key: tuple[str, str] = ("team-a", "p")
    is_in_service: bool = True

    @property
    def ports(self) -> PodPorts:
        return PodPorts({8080: self.real_port}, {"web": self.real_port})


@asynccontextmanager
async def relays(*pods: KnownPod, **selector: str) -> AsyncIterator[Services]:
    """The relays of a node with these pods and one Service."""
    services = Services("127.0.0.1", lambda: pods)
    manifest = service(**(selector or {"app": "web"}))
    manifest["metadata"]["namespace"] = "team-a"
    services.observe(manifest, is_deleted=False)
    async with asyncio.TaskGroup() as tasks:
        task = run_forever(tasks, services.run(), name="relays")
        await asyncio.sleep(0)
        yield services
        await cancel_and_wait(task)


@asynccontextmanager
async def answering(answer: str) -> AsyncIterator[KnownPod]:
    """A pod that says `answer` and what it was told once it has read to the end."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(f"{answer} {(await reader.read()).decode()}".encode())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield KnownPod(server.sockets[0].getsockname()[1])


async def ask(services: Services, port: int = 80, *, words: str = "hello", namespace: str = "team-a") -> str:
    """What comes back; nothing when the connection is refused or closed at once."""
    host, _, number = services.rewrite(f"web.{namespace}.svc:{port}").partition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(number))
        writer.write(words.encode())
        writer.write_eof()
        answer = (await reader.read()).decode()
        writer.close()
    except OSError:
        return ""
    return answer


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("http://web.team-a.svc.cluster.local:80", True),
        ("web.team-a.svc:80/path", True),
        ('{"address": "web.team-a.svc.cluster.local:80"}', True),
        ("web.team-a:80", False),
        ("web.team-a.svc.cluster.local", False),
        ("a.web.team-a.svc:80", False),
        ("web.team-a.svc:808080", False),
        ("web.team-a.svc.example.com:80", False),
    ],
)
def test_a_services_name_with_a_port_becomes_the_address_of_its_relay(text: str, is_name: bool) -> None:
    async def scenario() -> tuple[str, str]:
        async with relays() as services:
            return services.rewrite(text), services.rewrite("web.team-a.svc:80")

    rewritten, relay = run(scenario())
    assert (relay in rewritten) is is_name
    assert (rewritten == text) is not is_name


def test_connections_go_to_the_ready_pods_in_turn_and_end_one_direction_at_a_time() -> None:
    async def scenario() -> list[str]:
        async with answering("one") as one, answering("two") as two, relays(one, two) as services:
            long = "x" * 1_000_000
            assert await ask(services, words=long) == f"one {long}"
            assert (await ask(services, 90), await ask(services, 90)) == ("one hello", "two hello")
            both = [await ask(services), await ask(services)]
            one.is_in_service = False
            return [*both, await ask(services), await ask(services)]

    assert run(scenario()) == ["two hello", "one hello", "two hello", "two hello"]


@pytest.mark.parametrize(
    "unfit",
    [
        {"is_in_service": False},
        {"labels": {"app": "other"}},
        {"key": ("team-b", "p")},
        {"real_port": 1},
    ],
    ids=["not ready", "other labels", "another namespace", "nothing listens"],
)
def test_a_connection_that_no_pod_takes_is_closed_at_once(unfit: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with answering("one") as pod:
            for name, value in unfit.items():
                if name == "real_port":
                    pod.real_port = value
                setattr(pod, name, value)
            async with relays(pod) as services:
                assert await ask(services) == ""

    run(scenario())


def test_unknown_services_and_ports_are_closed_and_known_ones_served_once_they_exist() -> None:
    async def scenario() -> None:
        async with answering("one") as pod, relays(pod) as services:
            assert [await ask(services, 91), await ask(services, 92), await ask(services, namespace="x")] == [""] * 3
            address, manifest = services.rewrite("web.team-a.svc:80"), service(app="web")
            manifest["metadata"]["namespace"] = "team-a"
            services.observe(manifest, is_deleted=True)
            assert await ask(services) == ""
            services.observe(manifest, is_deleted=False)
            assert await ask(services) == "one hello"
            assert services.rewrite("web.team-a.svc:80") == address

    run(scenario())


def test_a_reset_at_one_end_ends_the_other() -> None:
    async def scenario() -> None:
        met: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: met.append(writer), "127.0.0.1", 0)
        async with server, relays(KnownPod(server.sockets[0].getsockname()[1])) as services:
            host, _, port = services.rewrite("web.team-a.svc:80").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await until(lambda: met)
            met[0].transport.abort()
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()

    run(scenario())


# -- with pods that really run ---------------------------------------------------------------------------------------


def web_pod(**spec: Any) -> dict[str, Any]:
    probe = {"tcpSocket": {"port": "web"}, "periodSeconds": 1}
    env = [
        {"name": "BIND_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "WEB_PORT", "value": "8080"},
    ]
    ports = [{"name": "web", "containerPort": 8080}]
    container = {"env": env, "ports": ports, "readinessProbe": probe, **spec.pop("container", {})}
    return {"labels": {"app": "web"}, "container": container, **spec}


async def address_of(world: World) -> tuple[str, int]:
    """What a pod was given for the Service."""
    url = {"name": "URL", "value": f"web.{world.namespace}.svc.cluster.local:80"}
    await world.create_pod("client", "echo $URL", container={"env": [url]})
    await world.until_phase("client", "Succeeded")
    host, _, port = (await world.logs("client")).strip().partition(":")
    return host, int(port)


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Says a line and hears one, nothing when the connection is closed."""
    reader, writer = await asyncio.open_connection(*address)

    async def say() -> str:
        try:
            writer.write(b"hi\n")
            return (await reader.readline()).decode().strip()
        except OSError:
            return ""

    try:
        yield say
    finally:
        writer.close()


async def say_once(address: tuple[str, int]) -> str:
    async with connected(address) as say:
        return await say()


async def a_pod_leaves_its_service_before_it_ends(world: World) -> None:
    await world.create(r.SERVICES, service(app="web"))
    address = await address_of(world)
    assert await say_once(address) == ""
    hook = {"lifecycle": {"preStop": {"sleep": {"seconds": 600}}}}
    await world.create_pod("a", SERVER, **web_pod(container=hook, terminationGracePeriodSeconds=900))
    await world.until(r.PODS, "a", is_ready)
    async with connected(address) as say:
        assert await say() == "a hi"
        await world.client.delete(r.PODS, "a", namespace=world.namespace)
        await world.until_event("a", "Killing")
        assert await say_once(address) == ""
        assert await say() == "a hi"
        await world.create_pod("b", SERVER, **web_pod(terminationGracePeriodSeconds=0))
        await world.until(r.PODS, "b", is_ready)
        assert [await say_once(address) for _ in range(2)] == ["b hi"] * 2
        assert await say() == "a hi"
        await world.client.delete(r.PODS, "a", namespace=world.namespace, grace_period_seconds=0)
        await world.until_gone(r.PODS, "a")
        await until_silent(say)


async def until_silent(say: Callable[[], Awaitable[str]]) -> None:
    """The pod's process is gone a little after the object that was deleted by force."""
    while await say():  # noqa: ASYNC110 - a closed connection is seen by using it
        await asyncio.sleep(0.01)


def test_a_pod_leaves_its_service_before_it_ends(tmp_path: Path) -> None:
    play(tmp_path, a_pod_leaves_its_service_before_it_ends)


def test_a_pod_leaves_its_service_before_it_ends_on_a_real_control_plane(real_cluster: RealCluster) -> None:
    async def scenario(node: RealNode) -> None:
        await a_pod_leaves_its_service_before_it_ends(node.world)

    play_on_real(real_cluster, scenario)
