"""The seam between a sandbox and the Kubernetes that it runs on."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from actions_gateway.kube.client import KubeClient
from gateway_sandbox.launcher import ClusterKind
from gateway_sandbox.nodes.node import Node


@dataclass(frozen=True, slots=True)
class NodeAccess:
    """What a node needs to take part: its own identity, and how its kubelet API knows the API server."""

    kubeconfig: Path
    ssl_context: ssl.SSLContext
    """The kubelet API's listener."""
    api_client: str | None
    """The common name that the API server's certificate bears; None when it presents none."""


class Backend(Protocol):
    """A control plane: started, asked, and stopped by the cluster."""

    @property
    def kind(self) -> ClusterKind:
        """Which one it is."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What a cluster of the user's has and this one lacks, one phrase each."""

    @property
    def manager_replicas(self) -> int:
        """How many managers the installation gets."""

    @property
    def url(self) -> str:
        """The API server, once started."""

    async def start(self, kubeconfig: Path) -> None:
        """Returns when the API serves; writes the administrator's `kubeconfig`."""

    async def stop(self) -> None:
        """Ends everything that `start` began, also when `start` failed."""

    def serves(self, manifest: dict[str, Any]) -> bool:
        """Whether an object of the installation can be stored."""

    async def admit_node(self, client: KubeClient, name: str) -> NodeAccess:
        """Lets the node of that name take part; raises KubeError."""

    async def work(self, client: KubeClient, node: Node) -> None:
        """What has to run beside the API server; ends by cancellation, or raises when the control plane is broken."""
