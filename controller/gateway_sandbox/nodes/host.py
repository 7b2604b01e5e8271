"""What all pods of a node share, and the queue through which they tell of events without waiting for the API server."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.events import EventRecorder
from gateway_sandbox.nodes.addresses import PodAddresses
from gateway_sandbox.nodes.images import ImageTable
from gateway_sandbox.nodes.ports import PortAllocator
from gateway_sandbox.nodes.services import Services
from gateway_sandbox.nodes.sources import ApiAccess

_WAITING_EVENTS = 2000


class PodEvents:
    """Events in the kubelet's name; when the API server cannot follow, the newest are dropped."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder
        self._queue: asyncio.Queue[tuple[dict[str, Any], str, str, bool]] = asyncio.Queue(_WAITING_EVENTS)

    def tell(self, pod: dict[str, Any], reason: str, message: str, *, warning: bool = False) -> None:
        """Queues an event about `pod`."""
        if not self._queue.full():
            self._queue.put_nowait((pod, reason, message, warning))

    async def write_until_cancelled(self) -> None:
        """Writes queued events in order."""
        while True:
            pod, reason, message, warning = await self._queue.get()
            await self._recorder.record(pod, reason, message, action=reason, warning=warning)


@dataclass(frozen=True, slots=True)
class Host:
    """The node's services and settings for its pods."""

    client: KubeClient
    clock: Clock
    images: ImageTable
    folder: Path
    """Holds one folder per pod, named by its uid."""
    address: str
    """Where the pods' processes listen."""
    pod_addresses: PodAddresses
    """What the pods' status shows."""
    api: ApiAccess
    ports: PortAllocator
    services: Services
    events: PodEvents
    stop_grace_seconds: float
    """How long pods may take to end when the node itself ends."""
