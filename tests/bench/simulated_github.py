"""GitHub on loopback over TLS in the bench's own process, and the settings of an agent that it serves."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actions_gateway.engine.clock import SystemClock
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.faults import Action, Fault
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.simulator import GitHubSimulator
from support.agent_rig import APP_ID, APP_KEY, INSTALLATION_ID, KEYS, pem, public_pem

REPOSITORY_PATH = "octo/demo"
UNLIMITED = {"points_per_minute": None, "at_once": None, "reserve": 0.0, "low_water": 0.0}
"""The agent's budgets (`github.budgets.Limits`), off."""


@dataclass(frozen=True, slots=True)
class Site:
    """What an agent needs to know of it."""

    core: GitHub
    url: str
    app_folder: Path
    ca_path: Path

    def settings(self, namespace: str) -> dict[str, Any]:
        """Fields of AgentSettings."""
        return {
            "namespace": namespace,
            "gateway_name": "ci",
            "github_url": f"{self.url}/{REPOSITORY_PATH}",
            "github_app_path": self.app_folder,
            "wrapper_image": "controller:bench",
            "ca_bundle_path": self.ca_path,
        }

    def calls(self, endpoint: str = "*") -> int:
        """How many requests were answered so far."""
        return self.core.journal.count(endpoint)


@asynccontextmanager
async def simulated_github(
    folder: Path, settings: SimulatorSettings, *, latency_seconds: float = 0.0
) -> AsyncIterator[Site]:
    """A GitHub with one App, installed; each of its answers takes `latency_seconds` longer."""
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
    if latency_seconds:
        simulator.core.inject(Fault("a way to GitHub", Action.DELAY, seconds=latency_seconds))
    app_folder = folder / "app"
    app_folder.mkdir()
    fields = {"appId": str(APP_ID), "installationId": str(INSTALLATION_ID), "privateKey": pem(APP_KEY)}
    for name, value in fields.items():
        (app_folder / name).write_text(value)
    await simulator.start()
    try:
        yield Site(simulator.core, simulator.url, app_folder, certificates.ca_path)
    finally:
        await simulator.stop()
