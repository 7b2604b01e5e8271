"""Starts, finds and stops the sandbox on this machine, and looks at what it does.

Starting and stopping block on purpose: an interrupt must reach the launcher, which then takes back what it began.
"""

import asyncio
import os
import shlex
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gateway_sandbox
from gateway_sandbox import launcher
from gateway_sandbox.launcher import (
    ClusterKind,
    FolderTaken,
    LacksPrograms,
    OutOfTime,
    SandboxError,
    SandboxInfo,
    Setup,
)
from gw.errors import Blind, GwError, Refused, TimedOut
from gw.ops.sandbox_monitoring import render_routes, render_rules
from gw.sources.cluster import Cluster, asking
from gw.sources.gathering import gather_gateways
from gw.sources.sandbox import SandboxFact, SandboxState, monitoring_problems
from gw.sources.simulator import Simulator, open_simulator
from gw_alerts.scaling import Pace

FOLDER_VARIABLE = "GW_SANDBOX_DIR"
START_SECONDS = 180.0
"""How long a start may take unless somebody says otherwise: many times what a machine at rest takes."""
STOP_SECONDS = 60.0


def folder_of(given: Path | None) -> Path:
    """The sandbox's folder: the given one, or this user's own."""
    return (given or launcher.default_folder()).expanduser().absolute()


def dir_option(folder: Path) -> str:
    """The option that makes gw find this sandbox, with a leading blank; empty where gw finds it without."""
    found = folder_of(Path(named) if (named := os.environ.get(FOLDER_VARIABLE)) else None)
    return "" if folder == found else f" --dir {shlex.quote(str(folder))}"


def example_workflow() -> Path:
    """A workflow file that comes with the sandbox: 20 small jobs on labels self-hosted, linux and self-hosted, gpu."""
    return Path(gateway_sandbox.__file__).parent / "examples" / "many-small-jobs.yml"


def parse_setup(cluster: str, *, is_bare: bool) -> Setup:
    """What is to be started; raises Refused for a cluster that there is not, or that nothing can be installed on."""
    kind = _parse_kind(cluster)
    if is_bare and kind is ClusterKind.EMBEDDED:
        raise Refused(
            "--bare leaves a cluster for `gw install`, which needs the admission policies that the embedded one lacks",
            "Add --cluster real, or leave out --bare.",
        )
    return Setup(kind, is_bare)


def _parse_kind(text: str) -> ClusterKind:
    try:
        return ClusterKind(text)
    except ValueError:
        raise Refused(f"--cluster {text!r} is none of {', '.join(ClusterKind)}", "Name one of them.") from None


def start_sandbox(
    folder: Path, *, setup: Setup, pace: Pace, owner_pid: int | None, timeout_seconds: float
) -> SandboxFact:
    """The started sandbox; raises GwError when it cannot be started or one runs there already."""
    if owner_pid is not None and not launcher.is_running(owner_pid):
        raise Refused(f"there is no process {owner_pid} to own the sandbox", "Name a running process with --owner-pid.")
    try:
        info = launcher.launch(
            folder,
            setup=replace(setup, scrape_interval=pace.scrape_interval),
            owner_pid=owner_pid,
            rules=render_rules(pace),
            routes=render_routes(pace),
            timeout_seconds=timeout_seconds,
        )
    except SandboxError as problem:
        raise _explain(problem) from problem
    except OSError as problem:
        raise Refused(f"{folder} cannot be used: {problem.strerror}", "Name another folder with --dir.") from problem
    return _fact(info)


def stop_sandbox(folder: Path, *, timeout_seconds: float) -> bool:
    """Whether one was running; returns when nothing of it is left. Raises TimedOut."""
    try:
        return launcher.stop(folder, timeout_seconds=timeout_seconds)
    except SandboxError as problem:
        raise _explain(problem) from problem


def find_sandbox(folder: Path) -> SandboxFact:
    """The running sandbox; raises Refused when there is none."""
    try:
        info = launcher.read_info(folder)
    except SandboxError as problem:
        raise _explain(problem) from problem
    if info is None:
        raise Refused(
            f"no sandbox is running in {folder}", "Start one with `gw sandbox up`, or name its folder with --dir."
        )
    return _fact(info)


def simulator_of(sandbox: SandboxFact) -> AbstractAsyncContextManager[Simulator]:
    """A connection to the sandbox's GitHub."""
    return open_simulator(sandbox.control_url, sandbox.control_token_path, sandbox.ca_path)


async def look_at(sandbox: SandboxFact, open_cluster: AbstractAsyncContextManager[Cluster]) -> SandboxState:
    """What the sandbox does now; what does not answer is told, not raised."""
    tenants, state, unready = await asyncio.gather(
        _tenants(open_cluster), _state(sandbox), monitoring_problems(sandbox)
    )
    problems = (*(part.what for part in (tenants, state) if isinstance(part, GwError)), *unready)
    counts = {} if isinstance(state, GwError) else state
    return SandboxState(
        sandbox=sandbox,
        tenants=None if isinstance(tenants, GwError) else tenants,
        runs=counts.get("runs"),
        jobs=None if isinstance(state, GwError) else dict(counts.get("jobs") or {}),
        runner_count=len(counts.get("runners") or ()),
        session_count=len(counts.get("sessions") or ()),
        problems=problems,
    )


async def _tenants(open_cluster: AbstractAsyncContextManager[Cluster]) -> tuple[str, ...] | GwError:
    try:
        async with open_cluster as cluster:
            with asking("list the tenants"):
                return tuple(gateway.namespace for gateway in await gather_gateways(cluster, None))
    except GwError as problem:
        return problem


async def _state(sandbox: SandboxFact) -> Mapping[str, Any] | GwError:
    try:
        async with simulator_of(sandbox) as simulator:
            state, runs = await asyncio.gather(simulator.state(), simulator.list_runs())
            return {**state, "runs": len(runs)}
    except GwError as problem:
        return problem


def _fact(info: SandboxInfo) -> SandboxFact:
    return SandboxFact(**{field.name: getattr(info, field.name) for field in fields(SandboxFact)})


def _explain(problem: SandboxError) -> GwError:
    """The launcher's words under this command's exit code; the end of its log becomes evidence below the sentence."""
    kind: type[GwError] = Blind
    if isinstance(problem, FolderTaken | LacksPrograms):
        kind = Refused
    elif isinstance(problem, OutOfTime):
        kind = TimedOut
    return kind(problem.message, problem.next_step, details=problem.details)
