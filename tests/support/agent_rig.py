"""A whole agent in this process, with a real API server, a real GitHub simulator, and played worker pods."""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from actions_gateway.agent.run import Agent
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.conditions import ConditionType, find_condition
from actions_gateway.api.crd import runner_group_crd
from actions_gateway.api.names import WORKER
from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.github.http import GitHubHttp, OnAnswer
from actions_gateway.github.transport import pooled_transport
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.errors import AlreadyExists
from actions_gateway.kube.resources import (
    CRDS,
    EVENTS,
    NAMESPACES,
    PODS,
    PRIORITYCLASSES,
    RUNNERGROUPS,
    SECRETS,
    SERVICEACCOUNTS,
    Resource,
)
from actions_gateway.metrics.catalog import Component, Metric
from actions_gateway.metrics.registry import Metrics
from actions_gateway.settings import AgentSettings
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.models import Job
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.simulator import GitHubSimulator
from support.aio import Looks
from support.cluster import TOKEN, api_server, render_kubeconfig
from support.definitions import until_served
from support.pod_player import PodPlayer

Manifest = dict[str, Any]

NAMESPACE = "team-a"
APP_ID, INSTALLATION_ID = 1234, 77
APP_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = KeyPool()

FAST = Tunables(
    refused_claim_pause_seconds=0.05,
    hold_poll_interval_seconds=0.1,
    start_backoff=Backoff(0.05, 0.2),
    token_backoff=Backoff(0.05, 0.2),
    token_floor_seconds=0.1,
    lock_lost_grace_seconds=0.2,
    write_backoff=Backoff(0.05, 0.2),
    status_debounce_seconds=0.02,
    claim_seconds=0.0,
)
_LOOK_SECONDS = 0.01
_DYING_SECONDS = 0.5


def pem(key: rsa.RSAPrivateKey) -> str:
    """A private key as GitHub hands it out."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Its public half, as the simulator wants it."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def runner_group(name: str, *runner_labels: str, **spec: Any) -> Manifest:
    """A RunnerGroup of the tenant."""
    return {
        "apiVersion": RUNNERGROUPS.api_version,
        "kind": RUNNERGROUPS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"runnerLabels": list(runner_labels), **spec},
    }


class CountingClient(KubeClient):
    """Remembers every request of the agent as (method, path)."""

    requests: list[tuple[str, str]]
    dies_before: Callable[[str, str], bool] | None = None
    """Tells the request with whose sending the agent is killed."""
    is_dead: bool = False

    async def request(self, method: str, path: str, **arguments: Any) -> Manifest:
        if self.dies_before is not None and self.dies_before(method, path):
            self.is_dead = True
        if self.is_dead:
            raise asyncio.CancelledError
        self.requests.append((method, path))
        return await super().request(method, path, **arguments)


class _Mortal(httpx.AsyncBaseTransport):
    """GitHub as an agent reaches it while it lives: nothing a dead one sends arrives."""

    def __init__(self, inner: httpx.AsyncBaseTransport, client: CountingClient) -> None:
        self._inner = inner
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._client.is_dead:
            raise asyncio.CancelledError
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def counting_client(host: str) -> AsyncIterator[CountingClient]:
    """A connection of the agent's own."""
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig") as kubeconfig:
        kubeconfig.write(render_kubeconfig(host, TOKEN))
        kubeconfig.flush()
        client = CountingClient(await load_configuration(kubeconfig.name))
    client.requests = []
    async with client:
        yield client


OpenCluster = Callable[[], AbstractAsyncContextManager[KubeClient]]
OpenAgent = Callable[[], AbstractAsyncContextManager[CountingClient]]


class Rig:
    """One tenant's surroundings."""

    def __init__(
        self,
        client: KubeClient,
        simulator: GitHubSimulator,
        player: PodPlayer,
        folder: Path,
        ca: Path,
        *,
        open_agent: OpenAgent | None = None,
    ) -> None:
        self.client = client
        self.simulator = simulator
        self.github = simulator.core
        self.player = player
        self.app_folder = folder
        self._ca = ca
        self.agents: list[str] = []
        """The pods of the agents that were started."""
        self._open_agent = open_agent or (lambda: counting_client(client.host))

    def write_secret(self, **fields: str | None) -> None:
        """Lays the App's Secret out as its mount would; a field given as None is left out."""
        complete = {"appId": str(APP_ID), "installationId": str(INSTALLATION_ID), "privateKey": pem(APP_KEY)}
        for name, value in (complete | fields).items():
            path = self.app_folder / name
            path.unlink(missing_ok=True)
            if value is not None:
                path.write_text(value)

    @asynccontextmanager
    async def agent(
        self,
        tunables: Tunables = FAST,
        *,
        github_proxy: str | None = None,
        pod_name: str = "agent-1",
        scope: str = "octo/demo",
    ) -> AsyncIterator["RunningAgent"]:
        """An agent at work for a repository or an organization; it is stopped as SIGTERM stops it, unless killed."""
        metrics = Metrics(Component.AGENT, "test")
        settings = AgentSettings(
            namespace=NAMESPACE,
            gateway_name="ci",
            github_url=f"{self.simulator.url}/{scope}",
            github_app_path=self.app_folder,
            wrapper_image="controller:test",
            ca_bundle_path=self._ca,
            github_proxy=github_proxy,
            pod_name=pod_name,
        )
        async with self._open_agent() as client:

            def over_the_network(on_answer: OnAnswer) -> GitHubHttp:
                transport = _Mortal(pooled_transport(ca_bundle=self._ca, proxy=github_proxy), client)
                return GitHubHttp(SystemClock(), transport=transport, proxy=github_proxy, on_answer=on_answer)

            agent = Agent(
                settings,
                client=client,
                clock=SystemClock(),
                rng=random.Random(f"agent {pod_name} {len(self.agents)}"),
                metrics=metrics,
                tunables=tunables,
                open_http=over_the_network,
            )
            self.agents.append(pod_name)
            task = asyncio.create_task(agent.run(), name="agent")
            running = RunningAgent(self, agent, metrics, task, client)
            try:
                yield running
            finally:
                await running.stop()

    async def create(self, manifest: Manifest) -> Manifest:
        """Creates a RunnerGroup, as the manager would."""
        return await self.client.create(RUNNERGROUPS, manifest)

    async def change(self, group: str, **spec: Any) -> None:
        """Changes a RunnerGroup's spec, as the manager would."""
        await self.client.patch(RUNNERGROUPS, group, {"spec": spec}, namespace=NAMESPACE)

    async def delete(self, group: str) -> None:
        """Deletes a RunnerGroup, as the manager would."""
        await self.client.delete(RUNNERGROUPS, group, namespace=NAMESPACE)

    async def pods(self) -> list[Manifest]:
        """Worker pods that exist."""
        return (await self.client.list(PODS, NAMESPACE)).items

    async def secrets(self) -> list[Manifest]:
        """Job Secrets that exist."""
        return (await self.client.list(SECRETS, NAMESPACE)).items

    async def events(self, reason: str) -> list[Manifest]:
        """Events with this reason."""
        return [event for event in (await self.client.list(EVENTS, NAMESPACE)).items if event["reason"] == reason]

    async def has_event(self, reason: str) -> bool:
        """Whether there is an event with this reason."""
        return bool(await self.events(reason))

    def enqueue(self, count: int, *runner_labels: str) -> list[Job]:
        """Queues jobs at GitHub."""
        return [self.github.enqueue(runner_labels, name=f"job {number}") for number in range(count)]

    async def until_done(self, jobs: Sequence[Job]) -> None:
        """Returns when GitHub has concluded all of them."""
        await self.github.state.wait_for(lambda: all(job.is_done for job in jobs))


class RunningAgent:
    """An agent at work."""

    def __init__(
        self, rig: Rig, agent: Agent, metrics: Metrics, task: asyncio.Task[None], client: CountingClient
    ) -> None:
        self._rig = rig
        self.client = client
        self._metrics = metrics
        self._task = task
        self.health = agent.health

    async def kill(self) -> None:
        """Ends it as SIGKILL does: nothing that it still does has an effect."""
        self.client.is_dead = True
        while not self._task.done():
            # Again, since a process that is killed waits for none of its sessions to close.
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_DYING_SECONDS)
        await self.stop()

    async def stop(self) -> None:
        """Stops it and waits for its end; raises what it died of."""
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (problem := self._task.exception()) is not None:
            raise problem

    def value(self, metric: Metric, group: str | None = None, **labels: str) -> float | None:
        """A metric of the namespace, of one of its groups, or of the process."""
        own = ({"namespace": NAMESPACE} if "namespace" in metric.labels else {}) | (
            {"runner_group": group} if group else {}
        )
        return self._metrics.value(metric, **own, **labels)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Returns once `holds` says so; raises what the agent died of."""
        while not holds():
            if self._task.done():
                self._task.result()
            await asyncio.sleep(_LOOK_SECONDS)

    async def eventually(self, holds: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """The same for a question that takes a request."""
        looks = Looks()
        while not await holds():
            if self._task.done():
                self._task.result()
            await looks.pause()

    async def until_group(self, name: str, holds: Callable[[Manifest], bool]) -> Manifest:
        """The RunnerGroup, once `holds` says so."""
        found: Manifest = {}

        async def look() -> bool:
            nonlocal found
            found = await self._rig.client.get(RUNNERGROUPS, name, NAMESPACE)
            return holds(found)

        await self.eventually(look)
        return found

    async def until_condition(self, name: str, kind: ConditionType, status: str, reason: str) -> Manifest:
        """The condition of a group, once it has that status and reason."""

        def holds(manifest: Manifest) -> bool:
            entry = find_condition(manifest, kind)
            return entry is not None and (entry["status"], entry["reason"]) == (status, reason)

        entry = find_condition(await self.until_group(name, holds), kind)
        assert entry is not None
        return entry


@asynccontextmanager
async def surroundings(
    settings: SimulatorSettings | None = None,
    *,
    open_cluster: OpenCluster = api_server,
    open_agent: OpenAgent | None = None,
) -> AsyncIterator[Rig]:
    """API server (an embedded one unless another is given), GitHub and pod player; the App's Secret is complete.

    `open_agent` makes the agent's own connection where it is not simply to the same address.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates = SandboxCertificates.create(folder / "tls")
        simulator = GitHubSimulator(
            clock=SystemClock(),
            ssl_context=certificates.server_context(),
            settings=settings,
            rng=random.Random(5),
            keys=KEYS,
        )
        simulator.add_app(APP_ID, public_pem(APP_KEY))
        simulator.add_installation(INSTALLATION_ID, APP_ID)
        await simulator.start()
        try:
            async with open_cluster() as client, GitHubHttp(SystemClock(), ca_bundle=certificates.ca_path) as http:
                await _furnish(client)
                player = PodPlayer(client, simulator.core, http, NAMESPACE)
                playing = asyncio.create_task(player.run(), name="pod player")
                app_folder = folder / "app"
                app_folder.mkdir()
                rig = Rig(client, simulator, player, app_folder, certificates.ca_path, open_agent=open_agent)
                rig.write_secret()
                try:
                    yield rig
                finally:
                    await cancel_and_wait(playing)
        finally:
            await simulator.stop()


async def _furnish(client: KubeClient) -> None:
    """What an installation and a platform have put there; a server that others used may have it already."""
    needed: list[tuple[Resource, Manifest]] = [
        (CRDS, runner_group_crd()),
        (NAMESPACES, {"metadata": {"name": NAMESPACE}}),
        (SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": NAMESPACE}}),
        *(
            (PRIORITYCLASSES, {"metadata": {"name": name}, "value": value})
            for name, value in (("low", 10), ("high", 100))
        ),
    ]
    for resource, manifest in needed:
        with contextlib.suppress(AlreadyExists):
            await client.create(resource, manifest)
    # A real server takes a definition before it serves its type.
    await until_served(client, RUNNERGROUPS.path(NAMESPACE))


__all__ = ["FAST", "NAMESPACE", "Rig", "RunningAgent", "replace", "runner_group", "surroundings"]
