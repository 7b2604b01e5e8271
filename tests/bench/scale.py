"""How fast the real control plane and our mirror of it are with objects that kwok plays; nothing runs."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from actions_gateway.kube.resources import DEPLOYMENTS, NAMESPACES, PODS
from component.scale.fleet import NODE_COUNT, any_object, create_all, deployment, start_fleet, until
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, require_programs
from gateway_sandbox.controlplane.programs import KWOK
from gateway_sandbox.controlplane.server import ControlPlane

T = TypeVar("T")

POD_COUNT, PER_DEPLOYMENT = 3000, 100
NAMESPACE = "many"


def measure() -> None:
    """Seconds to ready nodes, ready pods, a full mirror, and none left; CPU of the programs."""
    try:
        require_programs(*CONTROL_PLANE, KWOK)
    except ProgramsMissing as problem:
        print(f"left out: {problem}")
        return
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"))
        try:
            asyncio.run(_measure(plane))
        finally:
            plane.stop()


async def _measure(plane: ControlPlane) -> None:
    fleet = await _timed(f"{NODE_COUNT} nodes ready", start_fleet(plane))
    async with fleet.client() as admin:
        await admin.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        names = [f"web-{number}" for number in range(POD_COUNT // PER_DEPLOYMENT)]
        await create_all(admin, DEPLOYMENTS, (deployment(name, NAMESPACE, PER_DEPLOYMENT) for name in names))
        await _timed(f"{POD_COUNT} pods ready", until(admin, PODS, NAMESPACE, is_ready, POD_COUNT))
        await _timed(f"{POD_COUNT} pods mirrored", until(admin, PODS, NAMESPACE, any_object, POD_COUNT))
        for name in names:
            await admin.patch(DEPLOYMENTS, name, {"spec": {"replicas": 0}}, namespace=NAMESPACE)
        await _timed(f"{POD_COUNT} pods gone", until(admin, PODS, NAMESPACE, any_object, 0))
    _print_cpu(plane)


def _print_cpu(plane: ControlPlane) -> None:
    for name, pid in plane.pids.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        print(f"{name:24} CPU {(int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK'):7.2f} s")


async def _timed(title: str, work: Awaitable[T]) -> T:
    started = time.perf_counter()
    result = await work
    print(f"{title:24} {time.perf_counter() - started:7.2f} s", flush=True)
    return result
