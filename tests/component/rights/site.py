"""One site: the real manager and real agents in this process, each as its own account; GitHub is the simulator's."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from actions_gateway.api.conditions import ConditionType, find_condition
from actions_gateway.api.egress import PlatformEgress, parse_egress_exceptions
from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.github.http import GitHubHttp
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.errors import AlreadyExists, Unreachable
from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    CONFIGMAPS,
    PRIORITYCLASSES,
    SECRETS,
    Resource,
)
from actions_gateway.manager.run import run_manager
from actions_gateway.settings import ManagerSettings, TenantNamespaces
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane
from gateway_sandbox.github.models import Job
from gateway_sandbox.github.simulator import GitHubSimulator
from support.agent_rig import APP_ID, APP_KEY, INSTALLATION_ID, KEYS, pem, public_pem
from support.installed import Callers, callers
from support.played_agents import PlayedAgents, show_proxies_ready
from support.pod_player import PodPlayer

APP_SECRET = {"appId": str(APP_ID), "installationId": str(INSTALLATION_ID), "privateKey": pem(APP_KEY)}
PRIORITY_CLASSES = {"runner-critical": 1000, "runner-standard": 100}
"""Those of the getting-started example."""

Upgrade = Callable[[str], Awaitable[None]]
"""Takes the new release's controller image."""


class ForgetfulClient(KubeClient):
    """Loses the answer to the first Secret that it creates, as a connection does that breaks in between."""

    has_lost = False

    async def create(self, resource: Resource, manifest: Manifest, **arguments: Any) -> Manifest:
        created = await super().create(resource, manifest, **arguments)
        if resource == SECRETS and not self.has_lost:
            self.has_lost = True
            raise Unreachable("the connection broke before the answer came")
        return created


@dataclass
class Site:
    """Everything around one tenant."""

    as_: Callers
    simulator: GitHubSimulator
    ca: Path
    folder: Path
    agents: PlayedAgents

    @property
    def url(self) -> str:
        """What a gateway has as gitHubURL."""
        return f"{self.simulator.url}/octo/demo"

    @asynccontextmanager
    async def running(self, mode: TenantNamespaces = TenantNamespaces.ANY) -> AsyncIterator[Upgrade]:
        """Manager and agents at work; whatever dies ends the test with its reason.

        What it yields puts a manager of another release in the place of the one at work.
        """
        settings = ManagerSettings(
            namespace=MANAGER_NAMESPACE,
            pod_name="gmc-0",
            controller_image="controller:test",
            worker_image="runner:test",
            bind_address="127.0.0.1",
            health_port=0,
            metrics_port=0,
            tenant_namespaces=mode,
            egress=self._egress(),
            lease_seconds=15.0,
            renew_seconds=10.0,
            retry_seconds=0.2,
        )
        async with self.as_.manager() as client, asyncio.TaskGroup() as tasks:

            def start(release: ManagerSettings) -> asyncio.Task[None]:
                working = run_manager(release, client=client, clock=SystemClock(), rng=random.Random(1))
                return tasks.create_task(working, name="manager")

            manager = start(settings)

            async def upgrade(controller_image: str) -> None:
                nonlocal manager
                await cancel_and_wait(manager)
                manager = start(replace(settings, controller_image=controller_image))

            agents = tasks.create_task(self.agents.run(), name="agents")
            proxies = tasks.create_task(show_proxies_ready(self.as_.admin), name="proxies")
            await self.agents.synced.wait()
            yield upgrade
            await cancel_and_wait(proxies)
            await cancel_and_wait(agents)
            await cancel_and_wait(manager)

    def _egress(self) -> PlatformEgress:
        """What a platform opens for a GitHub that is neither public nor on port 443."""
        address = urlsplit(self.simulator.url)
        return PlatformEgress(parse_egress_exceptions(f"{address.hostname}=127.0.0.1/32:{address.port}"))

    @asynccontextmanager
    async def workers(self, namespace: str) -> AsyncIterator[PodPlayer]:
        """Worker pods of the namespace, played."""
        async with GitHubHttp(SystemClock(), ca_bundle=self.ca) as http:
            player = PodPlayer(self.as_.admin, self.simulator.core, http, namespace)
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(player.run(), name="workers")
                yield player
                await cancel_and_wait(task)

    async def furnish(self, namespace: str, secret: str = "github-app-v1") -> None:
        """What a tenant brings beside the gateway: the App's Secret and the certificate authority of its GitHub."""
        await self.as_.admin.create(
            SECRETS, {"metadata": {"name": secret, "namespace": namespace}, "stringData": APP_SECRET}
        )
        await self.add_ca(namespace)

    async def add_ca(self, namespace: str) -> None:
        """The simulator's certificate authority."""
        manifest = {"metadata": {"name": "github-ca", "namespace": namespace}, "data": {"ca.crt": self.ca.read_text()}}
        await self.as_.admin.create(CONFIGMAPS, manifest)

    async def until_ready(self, namespace: str, name: str = "ci", status: str = "True") -> Manifest:
        """The gateway, once its condition Ready has that status."""

        def holds(gateway: Manifest) -> bool:
            ready = find_condition(gateway, ConditionType.READY)
            return ready is not None and ready["status"] == status

        return await self.as_.until(ACTIONSGATEWAYS, name, namespace, holds)

    async def until_done(self, jobs: list[Job]) -> None:
        """Returns when GitHub has concluded all of them."""
        await self.simulator.core.state.wait_for(lambda: all(job.is_done for job in jobs))


@asynccontextmanager
async def site(
    plane: ControlPlane, folder: Path, *, agent_client: type[KubeClient] = KubeClient
) -> AsyncIterator[Site]:
    """A simulator and callers beside an installed control plane."""
    certificates = SandboxCertificates.create(folder / "tls")
    simulator = GitHubSimulator(
        clock=SystemClock(), ssl_context=certificates.server_context(), rng=random.Random(5), keys=KEYS
    )
    simulator.add_app(APP_ID, public_pem(APP_KEY))
    simulator.add_installation(INSTALLATION_ID, APP_ID)
    await simulator.start()
    try:
        async with callers(plane) as as_:
            for name, value in PRIORITY_CLASSES.items():
                try:
                    await as_.admin.create(PRIORITYCLASSES, {"metadata": {"name": name}, "value": value})
                except AlreadyExists:
                    continue
            agents = PlayedAgents(as_.admin, partial(as_.account, client_type=agent_client), folder / "pods")
            yield Site(as_, simulator, certificates.ca_path, folder, agents)
    finally:
        await simulator.stop()
