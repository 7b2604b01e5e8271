"""The node's own object and its heartbeat.

Source: Kubernetes "Nodes" (a Lease renewed every 10 s that expires after 40 s, and the status every 5 min).
"""

import asyncio
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

import actions_gateway
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, PatchType
from actions_gateway.kube.errors import AlreadyExists, KubeError, NotFound
from gateway_sandbox.nodes.statuses import timestamp

log = structlog.get_logger(__name__)

_LEASE_NAMESPACE = "kube-node-lease"
_LEASE_SECONDS = 40
_HEARTBEAT_SECONDS = 10.0
_BEATS_PER_STATUS = 30
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Room:
    """What a node offers to the scheduler, as quantities of the Kubernetes API."""

    cpu: str
    memory: str
    pods: int = 250

    @classmethod
    def of_this_machine(cls, *, pods: int = 250) -> "Room":
        """What the machine really has."""
        memory_kib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
        return cls(str(os.cpu_count() or 1), f"{memory_kib}Ki", pods)


class Registration:
    """Keeps the API server informed that the node is there."""

    def __init__(
        self, client: KubeClient, clock: Clock, *, name: str, address: str, room: Room, labels: Mapping[str, str]
    ) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._address = address
        self._room = room
        self.labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": platform.system().lower(),
            "kubernetes.io/arch": _architecture(),
            **labels,
        }
        """The node's labels."""
        self._started_at = timestamp(clock.now())

    async def keep(self, kubelet_port: int, registered: asyncio.Event) -> None:
        """Registers the node and renews its heartbeat until cancelled; sets `registered` after the first time."""
        while True:
            try:
                await self._register(kubelet_port)
                registered.set()
                for _ in range(_BEATS_PER_STATUS):
                    await self._renew_lease()
                    await self._clock.sleep(_HEARTBEAT_SECONDS)
            except KubeError as problem:
                log.warning("node heartbeat failed", node=self._name, problem=problem.message)
                await self._clock.sleep(_RETRY_SECONDS)

    async def _register(self, kubelet_port: int) -> None:
        metadata = {"name": self._name, "labels": self.labels}
        try:
            await self._client.create(r.NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        except AlreadyExists:
            await self._client.patch(r.NODES, self._name, {"metadata": {"labels": self.labels}})
        status = {"status": self._status(kubelet_port)}
        await self._client.patch(r.NODES, self._name, status, kind=PatchType.STRATEGIC, subresource="status")

    def _status(self, kubelet_port: int) -> dict[str, Any]:
        room = {"cpu": self._room.cpu, "memory": self._room.memory, "pods": str(self._room.pods)}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "pods run as local processes",
            "lastHeartbeatTime": timestamp(self._clock.now()),
            "lastTransitionTime": self._started_at,
        }
        return {
            "capacity": room,
            "allocatable": room,
            "addresses": [
                {"type": "InternalIP", "address": self._address},
                {"type": "Hostname", "address": self._name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
            "nodeInfo": node_info(),
            "conditions": [ready],
        }

    async def _renew_lease(self) -> None:
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            await self._client.patch(r.LEASES, self._name, {"spec": spec}, namespace=_LEASE_NAMESPACE)
        except NotFound:
            metadata = {"name": self._name, "namespace": _LEASE_NAMESPACE}
            lease = {"apiVersion": r.LEASES.api_version, "kind": r.LEASES.kind, "metadata": metadata, "spec": spec}
            await self._client.create(r.LEASES, lease)


def node_info() -> dict[str, str]:
    """The machine in the words of `kubectl get nodes -o wide`; every field is required by the API."""
    return {
        "architecture": _architecture(),
        "operatingSystem": platform.system().lower(),
        "kernelVersion": platform.release(),
        "osImage": f"{platform.system()} processes",
        "containerRuntimeVersion": f"sandbox://{actions_gateway.__version__}",
        "kubeletVersion": f"v{actions_gateway.__version__}-sandbox",
        **dict.fromkeys(("kubeProxyVersion", "machineID", "systemUUID", "bootID"), ""),
    }


def _architecture() -> str:
    """The machine's architecture in Go's words, as node labels have it."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
