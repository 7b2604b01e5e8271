"""Prometheus and Alertmanager as children of the sandbox: started, started again when they end, ended with it.

Beside them the inbox, to which Alertmanager delivers.

Neither may take the sandbox with it. One that ends is started again after a pause that grows; its log says why it
ended, and its address answers nobody meanwhile, which `gw sandbox status` tells.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import yaml

from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.kube.client import KubeClient
from gateway_sandbox.controlplane.processes import Process, ProgramEnded
from gateway_sandbox.monitoring import configuration
from gateway_sandbox.monitoring.discovery import write_targets
from gateway_sandbox.monitoring.inbox import Inbox, receiver_url
from gateway_sandbox.monitoring.programs import ALERTMANAGER, PROMETHEUS, MonitoringProgram
from gateway_sandbox.nodes.ports import PortAllocator

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.5
_PAUSE = Backoff(base_seconds=1.0, cap_seconds=30.0)


@dataclass(slots=True)
class _Child:
    """One program and its process."""

    program: MonitoringProgram
    command: Sequence[str]
    folder: Path
    url: str
    process: Process | None = None
    failures: int = 0

    def start(self) -> None:
        self.process = Process(self.command, self.folder / f"{self.program.name}.log")

    async def stop(self) -> None:
        if (process := self.process) is not None:
            self.process = None
            await asyncio.to_thread(process.stop)


@dataclass(slots=True)
class MonitoringStack:
    """What is installed of the two, in `folder`; `prepare`, then `keep` as a task."""

    folder: Path
    rules: Path
    """The folder of Prometheus's rule files."""
    routes: Path
    """The file of Alertmanager's configuration, where somebody handed one over."""
    interval: str
    """How often Prometheus scrapes."""
    clock: Clock
    rng: random.Random
    inbox_url: str | None = field(init=False, default=None)
    """Tells what receivers were told; None without Alertmanager."""
    _inbox: Inbox = field(init=False)
    _children: dict[MonitoringProgram, _Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inbox = Inbox(self.clock)

    @property
    def _targets(self) -> Path:
        return self.folder / "targets.json"

    @property
    def prometheus_url(self) -> str | None:
        """None where it is not installed."""
        return self._url(PROMETHEUS)

    @property
    def alertmanager_url(self) -> str | None:
        """None where it is not installed."""
        return self._url(ALERTMANAGER)

    def prepare(self) -> None:
        """Writes the files and settles the addresses."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ports = PortAllocator(configuration.HOST, self.rng)
        inbox_url, alertmanager_url, prometheus_url = (f"http://{configuration.HOST}:{ports.take()}" for _ in range(3))
        given = yaml.safe_load(self.routes.read_text(encoding="utf-8")) if self.routes.exists() else None
        routes = configuration.alertmanager_configuration(given, address_of=partial(receiver_url, inbox_url))
        self._add(ALERTMANAGER, routes, alertmanager_url, configuration.alertmanager_flags)
        prometheus = configuration.prometheus_configuration(
            targets=self._targets,
            rules=self.rules,
            own_url=prometheus_url,
            alertmanager_url=self.alertmanager_url,
            interval=self.interval,
        )
        self._add(PROMETHEUS, prometheus, prometheus_url, configuration.prometheus_flags)
        self.inbox_url = inbox_url if self.alertmanager_url else None

    async def keep(self, client: KubeClient) -> None:
        """Runs them until cancelled; `client` reads the pods of the cluster that Prometheus looks at."""
        try:
            async with asyncio.TaskGroup() as tasks:
                discovery = write_targets(client, self._targets, clock=self.clock, rng=self.rng)
                run_forever(tasks, discovery, name="scrape targets")
                if port := urlsplit(self.inbox_url or "").port:
                    run_forever(tasks, self._inbox.run(configuration.HOST, port), name="inbox")
                for child in self._children.values():
                    run_forever(tasks, self._keep(child), name=child.program.name)
                await asyncio.Event().wait()
        finally:
            await asyncio.gather(*(child.stop() for child in self._children.values()))

    async def _keep(self, child: _Child) -> None:
        held = held_marker(self.folder, child.program)
        while True:
            if held.exists():
                await child.stop()
            elif child.process is None:
                child.start()
            try:
                if child.process is not None:
                    child.process.require_running()
            except ProgramEnded as problem:
                await child.stop()
                child.failures += 1
                pause = _PAUSE.delay_seconds(child.failures, self.rng)
                log.warning("monitoring program ended", problem=str(problem), restart_in_seconds=round(pause, 1))
                await self.clock.sleep(pause)
                continue
            await self.clock.sleep(_LOOK_SECONDS)

    def _add(
        self, program: MonitoringProgram, content: dict[str, object], url: str, flags: Callable[..., list[str]]
    ) -> None:
        if (path := program.find()) is None:
            return
        file = self.folder / f"{program.name}.yml"
        file.write_text(configuration.render(content))
        command = [path, *flags(self.folder, file, urlsplit(url).port)]
        self._children[program] = _Child(program, command, self.folder, url)

    def _url(self, program: MonitoringProgram) -> str | None:
        child = self._children.get(program)
        return child.url if child else None


def held_marker(folder: Path, program: MonitoringProgram) -> Path:
    """A file that keeps the program from running while it is there, as a unit that somebody stopped; for drills."""
    return folder / f"{program.name}.held"
