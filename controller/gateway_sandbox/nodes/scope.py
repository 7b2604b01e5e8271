"""What the parts of one pod share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_sandbox.nodes.host import Host
from gateway_sandbox.nodes.ports import PodPorts
from gateway_sandbox.nodes.sources import Sources
from gateway_sandbox.nodes.waiting import Pulse

DEFAULT_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PodScope:
    """A pod as its containers see it."""

    host: Host
    sources: Sources
    ports: PodPorts
    folder: Path
    tasks: asyncio.TaskGroup
    """Where processes are supervised; it outlives the containers' own loops."""
    current: Callable[[], dict[str, Any]]
    """The pod's newest manifest."""
    records_changed: Pulse
    """Fires when what the status shows has changed."""
    sources_changed: Pulse
    """Fires when what volumes and variables are made of has changed."""

    def volume_folder(self, name: str) -> Path:
        """Where a volume of the pod lies."""
        return self.folder / "volumes" / name

    def tell(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Queues an event about the pod."""
        self.host.events.tell(self.current(), reason, message, warning=warning)

    def spec_grace_seconds(self) -> float:
        """The grace that the pod's spec gives."""
        return float(self.current()["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS))
