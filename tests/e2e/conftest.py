"""One sandbox with one tenant for all end-to-end tests that only look at it or run jobs on it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.commands import Answer, run_command
from support.components import require_kubectl

GROUPS = (
    "gpu-runners labels=self-hosted,gpu maxListeners=10 tiers=runner-critical:5,runner-standard:20",
    "cpu-runners labels=self-hosted,linux maxWorkers=30",
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox and the two commands that tests run against it."""

    folder: Path
    info: dict[str, Any]

    def gw(self, *arguments: str, timeout_seconds: float = 120.0, **variables: str) -> Answer:
        """`gw` with this sandbox as its cluster."""
        known = {"KUBECONFIG": str(self.folder / "kubeconfig"), "GW_SANDBOX_DIR": str(self.folder)} | variables
        return run_command("gw", *arguments, timeout_seconds=timeout_seconds, **known)

    def kubectl(self, *arguments: str, timeout_seconds: float = 60.0, **variables: str) -> Answer:
        """Plain `kubectl`; skips the test where the machine has none."""
        known = {"KUBECONFIG": str(self.folder / "kubeconfig")} | variables
        return run_command(require_kubectl(), *arguments, timeout_seconds=timeout_seconds, **known)

    def tenant_arguments(self, *groups: str) -> list[str]:
        """The options of `gw tenant add` that belong to this sandbox."""
        options = [
            *("--github-url", f"{self.info['github_url']}/octo/demo"),
            *("--app-id", str(self.info["app_id"]), "--installation-id", str(self.info["installation_id"])),
            *("--private-key-file", str(self.info["app_key_path"]), "--ca-bundle-file", str(self.info["ca_path"])),
        ]
        for group in groups or GROUPS:
            options += ["--runner-group", group]
        return options


def start_sandbox(folder: Path, *options: str) -> Sandbox:
    """A sandbox through `gw sandbox up`."""
    answer = run_command("gw", "sandbox", "up", "--dir", str(folder), "--output", "json", *options)
    assert answer.code == 0, answer
    return Sandbox(folder, json.loads(answer.out))


def stop_sandbox(folder: Path) -> None:
    """`gw sandbox down`; a sandbox that is gone already is fine."""
    run_command("gw", "sandbox", "down", "--dir", str(folder))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the tenant team-a."""
    folder = tmp_path_factory.mktemp("sandbox") / "cluster"
    running = start_sandbox(folder)
    try:
        answer = running.gw("tenant", "add", "team-a", "--yes", *running.tenant_arguments())
        assert answer.code == 0, answer
        yield running
    finally:
        stop_sandbox(folder)
    assert not folder.exists()
