"""What drills lay hands on: the cluster as its administrator, the simulated GitHub, Prometheus and Alertmanager."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from actions_gateway.engine.clock import Clock
from actions_gateway.kube.client import KubeClient

_CONNECT_SECONDS = 1.0


class CannotInject(RuntimeError):
    """The fault does not fit this sandbox or tenant; nothing was changed. `next_step` says what would help."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class GitHubControl(Protocol):
    """The simulator's own API."""

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, None when it is empty; `path` is below `/sandbox`. Raises what its client raises."""


@dataclass(frozen=True, slots=True)
class Site:
    """One sandbox."""

    client: KubeClient
    github: GitHubControl
    clock: Clock
    monitoring_folder: Path | None = None
    """Of `monitoring.stack`; None where neither program can be stopped."""
    monitoring_urls: Mapping[str, str | None] = field(default_factory=dict)
    """By program name; None for one that is not installed."""

    async def listening(self) -> dict[str, bool]:
        """Whether each installed monitoring program takes connections."""
        urls = {name: url for name, url in self.monitoring_urls.items() if url}
        answers = await asyncio.gather(*(_takes_connections(url) for url in urls.values()))
        return dict(zip(urls, answers, strict=True))


async def _takes_connections(url: str) -> bool:
    address = urlsplit(url)
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.close()
        return True
    return False
