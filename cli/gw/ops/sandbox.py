"""Starts, finds and stops the sandbox on this machine."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_sandbox import launcher
from gateway_sandbox.launcher import SandboxError, SandboxInfo
from gw.errors import Blind, GwError, Refused, TimedOut
from gw.sources.cluster import Cluster, asking
from gw.sources.gathering import gather_gateways
from gw.sources.simulator import Simulator, open_simulator


@dataclass(frozen=True, slots=True)
class StartedSandbox:
    """A running sandbox, and whether this call started it."""

    info: SandboxInfo
    was_running: bool


@dataclass(frozen=True, slots=True)
class SandboxState:
    """What a running sandbox does now; None for what gave no answer."""

    info: SandboxInfo
    tenants: tuple[str, ...] | None
    jobs: Mapping[str, int] | None
    runners: int | None
    sessions: int | None
    problems: tuple[str, ...] = ()


def folder_of(given: Path | None) -> Path:
    """The sandbox's folder: the given one, or this user's own."""
    return (given or launcher.default_folder()).expanduser().absolute()


async def start_sandbox(folder: Path, *, owner_pid: int | None, timeout_seconds: float) -> StartedSandbox:
    """The running sandbox; raises GwError when it cannot be started."""
    running = launcher.read_info(folder)
    if running is not None:
        return StartedSandbox(running, was_running=True)
    if owner_pid is not None and not launcher.is_running(owner_pid):
        raise Refused(f"there is no process {owner_pid} to own the sandbox", "Name a running process with --owner-pid.")
    try:
        info = await asyncio.to_thread(launcher.launch, folder, owner_pid=owner_pid, timeout_seconds=timeout_seconds)
    except SandboxError as problem:
        raise _explain(problem, timeout_seconds) from problem
    return StartedSandbox(info, was_running=False)


async def stop_sandbox(folder: Path, *, timeout_seconds: float) -> bool:
    """Whether one was running; returns when nothing of it is left. Raises TimedOut."""
    try:
        return await asyncio.to_thread(launcher.stop, folder, timeout_seconds=timeout_seconds)
    except SandboxError as problem:
        raise TimedOut(problem.message, _sentence(problem.next_step)) from problem


def find_sandbox(folder: Path) -> SandboxInfo:
    """The running sandbox; raises Refused when there is none."""
    info = launcher.read_info(folder)
    if info is None:
        raise Refused(f"no sandbox is running in {folder}", "Start one with `gw sandbox up`, or name its folder with --dir.")
    return info


def simulator_of(info: SandboxInfo) -> Any:
    """A connection to the sandbox's GitHub."""
    return open_simulator(info.control_url, info.control_token_path, info.ca_path)
