"""A sandbox as facts: where it is, how to reach it, what it does now. Holds paths of secrets, never secrets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from actions_gateway.kube.client import KubeClient, connect
from actions_gateway.kube.errors import ConfigurationError
from gw.errors import Blind
from gw.sources.gateways import parse_time

_READY_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SandboxFact:
    """A running sandbox."""

    folder: Path
    pid: int
    started_at: str
    cluster: str
    """embedded or real."""
    api_url: str
    kubeconfig: Path
    ca_path: Path
    github_url: str
    egress_exception: str
    control_url: str
    control_token_path: Path
    controller_image: str
    is_bare: bool
    repository: str
    app_id: int
    installation_id: int
    app_key_path: Path
    priority_classes: tuple[str, ...]
    left_out: tuple[str, ...]
    prometheus_url: str | None
    """None where Prometheus is not installed."""
    alertmanager_url: str | None
    inbox_url: str | None
    """Tells what its Alertmanager told receivers; None where that is not installed."""
    monitoring_folder: Path


@dataclass(frozen=True, slots=True)
class FaultFact:
    """One fault of the library, and where it is in force: tenants, or None for the cluster."""

    name: str
    title: str
    summary: str
    scope: str
    """tenant or cluster."""
    expects: tuple[tuple[str, str], ...]
    """Checks that name it, with their severity."""
    follows: tuple[str, ...]
    """Checks that may report a consequence."""
    alert: str
    """The alert by which people are told of it; empty where none is soon."""
    in_force: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """What became of the wish to bring a fault in, or to take it back."""

    fault: FaultFact
    namespace: str | None
    undone: bool
    changed: bool
    """False: it was in force, or out of force, before."""
    settled: bool
    """Whether it shows, or is gone, within the time."""
    seconds: float


@dataclass(frozen=True, slots=True)
class ToldAlertFact:
    """One alert of a notification."""

    name: str
    status: str
    labels: Mapping[str, str]
    summary: str
    runbook: str
    """The page, from the project's root."""
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class NotificationFact:
    """What a receiver of the sandbox was told once."""

    at: datetime
    receiver: str
    status: str
    """firing while one of its alerts does, else resolved."""
    alerts: tuple[ToldAlertFact, ...]


@dataclass(frozen=True, slots=True)
class SandboxState:
    """What a running sandbox does now; a part that gave no answer is None and has its sentence in `problems`."""

    sandbox: SandboxFact
    tenants: tuple[str, ...] | None
    runs: int | None
    jobs: Mapping[str, int] | None
    runner_count: int
    session_count: int
    problems: tuple[str, ...] = ()


@asynccontextmanager
async def open_as_admin(sandbox: SandboxFact) -> AsyncIterator[KubeClient]:
    """The sandbox's cluster with its administrator's rights; raises Blind when its kubeconfig is gone."""
    try:
        async with connect(sandbox.kubeconfig) as client:
            yield client
    except (ConfigurationError, FileNotFoundError) as problem:
        raise Blind(
            f"the sandbox's kubeconfig cannot be used ({problem})", "Look whether it runs: `gw sandbox status`."
        ) from problem


async def monitoring_problems(sandbox: SandboxFact) -> tuple[str, ...]:
    """A sentence for each of Prometheus and Alertmanager that is installed and does not say that it is ready."""
    programs = (("Prometheus", sandbox.prometheus_url), ("Alertmanager", sandbox.alertmanager_url))
    answers = await asyncio.gather(*(_is_ready(url) for _, url in programs if url))
    silent = [name for (name, _), ready in zip([one for one in programs if one[1]], answers, strict=True) if not ready]
    return tuple(
        f"{name} is not ready; {sandbox.monitoring_folder / name.lower()}.log says why, and it is started again"
        for name in silent
    )


async def _is_ready(url: str) -> bool:
    """Both have the same path (Prometheus and Alertmanager documentation, "Management API")."""
    try:
        async with httpx.AsyncClient(timeout=_READY_SECONDS, trust_env=False) as client:
            return (await client.get(f"{url}/-/ready")).is_success
    except httpx.HTTPError:
        return False


async def gather_notifications(sandbox: SandboxFact) -> tuple[NotificationFact, ...]:
    """What the sandbox's receivers were told, the oldest first; raises Blind where nobody answers."""
    try:
        async with httpx.AsyncClient(timeout=_READY_SECONDS, trust_env=False) as client:
            answer = await client.get(f"{sandbox.inbox_url}/notifications")
            answer.raise_for_status()
            return tuple(_notification(each) for each in answer.json()["notifications"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as problem:
        raise Blind(
            f"the sandbox does not say what its receivers were told ({type(problem).__name__})",
            "Look whether it runs: `gw sandbox status`.",
        ) from problem


def _notification(entry: Mapping[str, Any]) -> NotificationFact:
    alerts = tuple(
        ToldAlertFact(
            alert["name"],
            alert["status"],
            alert["labels"],
            alert["annotations"].get("summary", ""),
            alert["annotations"].get("runbook", ""),
            parse_time(alert["starts_at"]),
            parse_time(alert["ends_at"]),
        )
        for alert in entry["alerts"]
    )
    return NotificationFact(datetime.fromisoformat(entry["at"]), entry["receiver"], entry["status"], alerts)
