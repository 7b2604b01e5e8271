"""One sandbox with one tenant for all end-to-end tests that only look at it or run jobs on it.

A test that takes `sandbox` runs on the embedded cluster and on the real one; `@pytest.mark.embedded_only(reason)` and
`@pytest.mark.real_only(reason)` name the exceptions.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from support.commands import Answer, run_command
from support.components import require_control_plane, require_kubectl

T = TypeVar("T")

CLUSTERS = ("embedded", "real")

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

    def github(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the simulated GitHub's control API, asked directly."""
        tls = ssl.create_default_context(cafile=self.info["ca_path"])
        token = Path(self.info["control_token_path"]).read_text().strip()
        with httpx.Client(verify=tls, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
            answer = client.request(method, self.info["control_url"] + path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def objects(self, kinds: str, namespace: str) -> list[dict[str, Any]]:
        """What `kubectl get` finds, as JSON."""
        answer = self.kubectl("get", kinds, "-n", namespace, "-o", "json", "--show-managed-fields")
        assert answer.code == 0, answer
        found: list[dict[str, Any]] = json.loads(answer.out)["items"]
        return found

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


def until(holds: Callable[[], T], *, within_seconds: float = 60.0) -> T:
    """What `holds` returns once it is true; fails after the time, which is only there to end a test that hangs."""
    deadline = time.monotonic() + within_seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{holds} does not hold within {within_seconds:g} s"
        time.sleep(0.1)
    return found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "embedded_only(reason): the case says nothing more on the real cluster")
    config.addinivalue_line("markers", "real_only(reason): the embedded cluster lacks what the case is about")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sandbox" in metafunc.fixturenames:
        left_out = {"embedded_only": "real", "real_only": "embedded"}
        excluded = {cluster for mark, cluster in left_out.items() if metafunc.definition.get_closest_marker(mark)}
        clusters = [cluster for cluster in CLUSTERS if cluster not in excluded]
        metafunc.parametrize("sandbox", clusters, indirect=True, scope="session")


def start_sandbox(folder: Path, *options: str) -> Sandbox:
    """A sandbox through `gw sandbox up`."""
    answer = run_command("gw", "sandbox", "up", "--dir", str(folder), "--output", "json", *options)
    assert answer.code == 0, answer
    return Sandbox(folder, json.loads(answer.out))


def stop_sandbox(folder: Path) -> None:
    """`gw sandbox down`; a sandbox that is gone already is fine."""
    run_command("gw", "sandbox", "down", "--dir", str(folder))


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the tenant team-a, on the cluster that the test is for."""
    if request.param == "real":
        require_control_plane()
    folder = tmp_path_factory.mktemp("sandbox") / "cluster"
    try:
        running = start_sandbox(folder, "--cluster", request.param, "--timeout", "180s")
        answer = running.gw("tenant", "add", "team-a", "--yes", *running.tenant_arguments())
        assert answer.code == 0, answer
        yield running
    finally:
        stop_sandbox(folder)
    assert not folder.exists()
