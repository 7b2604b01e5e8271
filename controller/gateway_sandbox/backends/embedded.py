"""The embedded API server and our controllers, in this process."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.kube.client import KubeClient
from gateway_sandbox.apiserver import LEFT_OUT, ApiServer
from gateway_sandbox.backends.backend import NodeAccess
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controllers.run import run_controllers
from gateway_sandbox.kubeconfigs import write_kubeconfig
from gateway_sandbox.launcher import ClusterKind
from gateway_sandbox.metricsapi.sampler import Sampler
from gateway_sandbox.metricsapi.serving import running_containers
from gateway_sandbox.nodes.node import Node

NOT_SERVED_GROUPS = frozenset({"admissionregistration.k8s.io"})
"""API groups of the installation that the embedded API server does not serve (`LEFT_OUT` says so to its users)."""


class EmbeddedBackend:
    """All in memory; gone with the process."""

    kind = ClusterKind.EMBEDDED
    left_out = (*LEFT_OUT, "scaling: autoscalers tell the CPU that their pods use, and change no replicas")
    # One is enough where nothing else fails either.
    manager_replicas = 1

    def __init__(self, folder: Path, certificates: SandboxCertificates, clock: Clock) -> None:
        """`folder` takes the node's kubeconfig."""
        self._folder = folder
        self._certificates = certificates
        self._clock = clock
        self._api = ApiServer(
            clock=clock,
            ssl_context=certificates.server_context(),
            kubelet_ssl_context=certificates.client_context(),
        )

    @property
    def url(self) -> str:
        return self._api.url

    async def start(self, kubeconfig: Path) -> None:
        await self._api.start()
        self._write_kubeconfig(kubeconfig, "sandbox-admin", "system:masters")

    async def stop(self) -> None:
        await self._api.stop()

    def serves(self, manifest: dict[str, Any]) -> bool:
        return manifest["apiVersion"].partition("/")[0] not in NOT_SERVED_GROUPS

    async def admit_node(self, client: KubeClient, name: str) -> NodeAccess:
        kubeconfig = self._folder / f"{name}.kubeconfig"
        self._write_kubeconfig(kubeconfig, f"system:node:{name}", "system:nodes")
        return NodeAccess(kubeconfig, self._certificates.server_context(), api_client=None)

    async def work(self, client: KubeClient, node: Node) -> None:
        sampler = Sampler(lambda: running_containers(node), self._clock)
        async with asyncio.TaskGroup() as tasks:
            run_forever(tasks, sampler.run(), name="metrics sampler")
            controllers = run_controllers(client, self._clock, samples=lambda: sampler.samples)
            run_forever(tasks, controllers, name="controllers")

    def _write_kubeconfig(self, path: Path, user: str, group: str) -> None:
        token = secrets.token_urlsafe(24)
        self._api.add_token(token, user, (group,))
        write_kubeconfig(path, url=self._api.url, ca_path=self._certificates.ca_path, user={"token": token})
