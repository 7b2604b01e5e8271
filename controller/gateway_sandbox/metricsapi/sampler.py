"""Samples of what the node's containers use: cumulative CPU time becomes a rate between two looks.

A container is shown from its second look on, as metrics-server does (kubernetes-sigs/metrics-server,
pkg/storage: two points are needed for a rate).
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from actions_gateway.engine.clock import Clock
from gateway_sandbox.metricsapi.processes import Processes, Usage, read_processes, usage_by_leader

SAMPLE_SECONDS = 2.0
"""The autoscaler of the sandbox looks every 2 s, and ignores a sample that is older than the pod's readiness."""


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container that runs now."""

    namespace: str
    pod: str
    pod_uid: str
    name: str
    pid: int
    """Its main process, which leads a session."""


@dataclass(frozen=True, slots=True)
class ContainerSample:
    """What a container used between two looks."""

    container: RunningContainer
    cpu_cores: float
    memory_bytes: int
    taken_at: datetime
    window_seconds: float


@dataclass(frozen=True, slots=True)
class _Look:
    at: datetime
    monotonic: float
    usage: dict[RunningContainer, Usage]


class Sampler:
    """Keeps the newest sample of every container."""

    def __init__(
        self,
        running: Callable[[], Iterable[RunningContainer]],
        clock: Clock,
        *,
        read: Callable[[], Processes] = read_processes,
    ) -> None:
        self._running = running
        self._clock = clock
        self._read = read
        self._last: _Look | None = None
        self.samples: tuple[ContainerSample, ...] = ()

    async def run(self) -> None:
        """Looks every two seconds until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(SAMPLE_SECONDS)

    async def look(self) -> None:
        """Takes one sample."""
        containers = tuple(self._running())
        processes = await asyncio.to_thread(self._read)
        usage = usage_by_leader((container.pid for container in containers), processes)
        look = _Look(
            self._clock.now(), self._clock.monotonic(), {container: usage[container.pid] for container in containers}
        )
        if self._last is not None:
            self.samples = tuple(_samples_between(self._last, look))
        self._last = look


def _samples_between(before: _Look, now: _Look) -> Iterable[ContainerSample]:
    seconds = now.monotonic - before.monotonic
    for container, usage in now.usage.items():
        first = before.usage.get(container)
        if first is None or seconds <= 0:
            continue
        cores = max(0.0, usage.cpu_seconds - first.cpu_seconds) / seconds
        yield ContainerSample(container, cores, usage.memory_bytes, now.at, seconds)
