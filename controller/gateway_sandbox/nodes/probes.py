"""Startup, liveness and readiness probes: asking a container, and what a row of answers means.

Source: Kubernetes "Configure Liveness, Readiness and Startup Probes" and kubernetes pkg/kubelet/prober (worker.go:
thresholds count equal answers in a row; a probe that is not started yet is no answer).
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp

from actions_gateway.engine.clock import Clock
from gateway_sandbox.nodes.ports import PodPorts


class ProbeKind(StrEnum):
    """The three probes by the name that kubelet events use."""

    STARTUP = "Startup"
    LIVENESS = "Liveness"
    READINESS = "Readiness"


@dataclass(frozen=True, slots=True)
class Answer:
    """One look at the container."""

    is_success: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class ProbeTiming:
    """A probe's numbers with the API's defaults."""

    initial_delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of(cls, probe: Mapping[str, Any]) -> "ProbeTiming":
        return cls(
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("successThreshold") or 1),
            int(probe.get("failureThreshold") or 3),
        )


class Thresholds:
    """Counts equal answers in a row and says when they amount to a verdict."""

    def __init__(self, timing: ProbeTiming) -> None:
        self._timing = timing
        self._last: bool | None = None
        self._row = 0

    def add(self, is_success: bool) -> bool | None:
        """The verdict after this answer, or None while the row is too short."""
        self._row = self._row + 1 if is_success == self._last else 1
        self._last = is_success
        needed = self._timing.success_threshold if is_success else self._timing.failure_threshold
        return is_success if self._row >= needed else None


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Where a container answers, in this machine's terms."""

    host: str
    ports: PodPorts
    env: Mapping[str, str]
    cwd: Path
    rewrite: Callable[[str], str]


async def keep_probing(
    probe: Mapping[str, Any],
    target: ProbeTarget,
    clock: Clock,
    on_answer: Callable[[Answer, bool | None], Awaitable[bool]],
) -> None:
    """Probes while `on_answer`, which gets each answer and the verdict it completes, if any, asks for more."""
    timing = ProbeTiming.of(probe)
    thresholds = Thresholds(timing)
    await clock.sleep(timing.initial_delay_seconds)
    while True:
        answer = await ask(probe, target, timing.timeout_seconds)
        if not await on_answer(answer, thresholds.add(answer.is_success)):
            return
        await clock.sleep(timing.period_seconds)


async def ask(probe: Mapping[str, Any], target: ProbeTarget, timeout_seconds: float) -> Answer:
    """One probe; every failure to get an answer is a failed answer."""
    try:
        async with asyncio.timeout(timeout_seconds):
            if http_get := probe.get("httpGet"):
                return await _ask_http(http_get, target)
            if tcp := probe.get("tcpSocket"):
                return await _ask_tcp(tcp, target)
            return await _ask_command((probe.get("exec") or {}).get("command") or [], target)
    except TimeoutError:
        return Answer(False, f"timed out after {timeout_seconds:g}s")
    except KeyError as missing:
        return Answer(False, f"no container port is named {missing}")
    except (aiohttp.ClientError, OSError) as problem:
        return Answer(False, str(problem) or type(problem).__name__)


async def _ask_http(action: Mapping[str, Any], target: ProbeTarget) -> Answer:
    scheme = str(action.get("scheme") or "HTTP").lower()
    url = f"{scheme}://{action.get('host') or target.host}:{target.ports.real(action['port'])}{_path(action)}"
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or []}
    # The kubelet does not verify certificates of probes, and a redirect counts as an answer.
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers=headers, ssl=False, allow_redirects=False) as response,
    ):
        if 200 <= response.status < 400:
            return Answer(True)
        return Answer(False, f"HTTP probe failed with statuscode: {response.status}")


def _path(action: Mapping[str, Any]) -> str:
    path = str(action.get("path") or "/")
    return path if path.startswith("/") else f"/{path}"


async def _ask_tcp(action: Mapping[str, Any], target: ProbeTarget) -> Answer:
    _, writer = await asyncio.open_connection(action.get("host") or target.host, target.ports.real(action["port"]))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Answer(True)


async def _ask_command(command: list[str], target: ProbeTarget) -> Answer:
    process = await asyncio.create_subprocess_exec(
        *[target.rewrite(word) for word in command],
        cwd=target.cwd,
        env=dict(target.env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return Answer(process.returncode == 0, output.decode("utf-8", "replace").strip()[:1024])
