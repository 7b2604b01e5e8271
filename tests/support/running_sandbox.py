"""A sandbox that runs, as its user has it: `gw`, `kubectl`, the simulated GitHub."""

import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from support.commands import Answer, run_command, run_gw_here
from support.components import require_kubectl
from support.patience import HANG_SECONDS
from support.preforked_gw import preforked_gw

T = TypeVar("T")

_UP_SECONDS = 360.0
_FIRST_PAUSE_SECONDS, _GROWTH, _LONGEST_PAUSE_SECONDS = 0.05, 1.2, 0.3
"""Between two looks at a sandbox, each of which mostly is a process of its own."""

GROUPS = (
    "gpu-runners labels=self-hosted,gpu maxListeners=10 tiers=runner-critical:5,runner-standard:20",
    "cpu-runners labels=self-hosted,linux maxWorkers=30",
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox and the two commands that tests run against it."""

    folder: Path
    info: dict[str, Any]

    def gw(
        self, *arguments: str, timeout_seconds: float = HANG_SECONDS, is_watched: bool = True, **variables: str
    ) -> Answer:
        """`gw` with this sandbox as its cluster, and its Prometheus and Alertmanager where they are installed."""
        known = self._variables(is_watched=is_watched)
        return run_command(str(preforked_gw() / "gw"), *arguments, timeout_seconds=timeout_seconds, **known | variables)

    def look(
        self, *arguments: str, timeout_seconds: float = HANG_SECONDS, is_watched: bool = True, **variables: str
    ) -> Answer:
        """The same in this process, for what is asked again and again: most of a process's time is its start."""
        known = self._variables(is_watched=is_watched)
        return run_gw_here(*arguments, timeout_seconds=timeout_seconds, **known | variables)

    def _variables(self, *, is_watched: bool) -> dict[str, str]:
        known = {"KUBECONFIG": str(self.folder / "kubeconfig"), "GW_SANDBOX_DIR": str(self.folder)}
        return known | (self.monitoring if is_watched else {})

    @property
    def monitoring(self) -> dict[str, str]:
        """The variables that name its Prometheus and Alertmanager, as far as they run."""
        named = {"GW_PROMETHEUS_URL": "prometheus_url", "GW_ALERTMANAGER_URL": "alertmanager_url"}
        return {variable: self.info[key] for variable, key in named.items() if self.info[key]}

    def kubectl(self, *arguments: str, timeout_seconds: float = HANG_SECONDS, **variables: str) -> Answer:
        """Plain `kubectl`; skips the test where the machine has none."""
        known = {"KUBECONFIG": str(self.folder / "kubeconfig")} | variables
        return run_command(require_kubectl(), *arguments, timeout_seconds=timeout_seconds, **known)

    def github(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the simulated GitHub's control API, asked directly."""
        tls = ssl.create_default_context(cafile=self.info["ca_path"])
        token = Path(self.info["control_token_path"]).read_text().strip()
        answer = httpx.request(
            method,
            self.info["control_url"] + path,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            verify=tls,
            trust_env=False,
            timeout=HANG_SECONDS,
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def notifications(self) -> list[dict[str, Any]]:
        """What the sandbox's receivers were told, the oldest first."""
        answer = _get(f"{self.info['inbox_url']}/notifications")
        assert answer.is_success, answer.text
        found: list[dict[str, Any]] = answer.json()["notifications"]
        return found

    def ask_prometheus(self, what: str, **parameters: str) -> Any:
        """The data of its Prometheus's HTTP API; None while it does not answer."""
        try:
            answer = _get(f"{self.info['prometheus_url']}/api/v1/{what}", **parameters)
        except httpx.TransportError:
            return None
        return answer.json()["data"] if answer.is_success else None

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


def _get(url: str, **parameters: str) -> httpx.Response:
    """Past any proxy that the surroundings name."""
    return httpx.get(url, params=parameters, trust_env=False, timeout=HANG_SECONDS)


def until(holds: Callable[[], T], *, within_seconds: float = HANG_SECONDS) -> T:
    """What `holds` returns once it is true; fails after the time, which is only there to end a test that hangs."""
    deadline = time.monotonic() + within_seconds
    pause_seconds = _FIRST_PAUSE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{holds} does not hold within {within_seconds:g} s"
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * _GROWTH, _LONGEST_PAUSE_SECONDS)
    return found


def start_sandbox(folder: Path, *options: str) -> Sandbox:
    """A sandbox through `gw sandbox up`."""
    command = ("gw", "sandbox", "up", "--dir", str(folder), "--output", "json")
    answer = run_command(*command, *options, timeout_seconds=_UP_SECONDS)
    assert answer.code == 0, answer
    return Sandbox(folder, json.loads(answer.out))


def stop_sandbox(folder: Path) -> None:
    """`gw sandbox down`; a sandbox that is gone already is fine."""
    run_command("gw", "sandbox", "down", "--dir", str(folder))
