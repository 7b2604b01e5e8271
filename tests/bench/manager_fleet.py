"""The manager from nothing to N ready tenants, at rest and at its return, on the real control plane with kwok's nodes.

The manager is a process of its own under its own rights; kwok makes its pods ready, and this process says of every
runner group what an agent would. Requests are those of the audit log. Namespaces are there before the clock starts.
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp

from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.client import KubeClient, Manifest
from actions_gateway.kube.listwatch import list_watch
from actions_gateway.kube.resources import ACTIONSGATEWAYS, CONFIGMAPS, NAMESPACES
from component.scale.fleet import create_all, report_as_agents, start_fleet
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controllers.conditions import find_condition
from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, require_programs
from gateway_sandbox.controlplane.programs import KWOK
from gateway_sandbox.controlplane.server import ControlPlane, Options
from gateway_sandbox.kubeconfigs import write_kubeconfig
from support.installed import Callers, callers, gateway_in, install

SIZES = (100, 1000)
USER = f"system:serviceaccount:{MANAGER_NAMESPACE}:{MANAGER}"
_CONTROLLERS = ("--kube-api-qps=500", "--kube-api-burst=1000", "--horizontal-pod-autoscaler-sync-period=15s")
"""Rates that do not hold a fleet up, and Kubernetes' own rhythm in place of the tests' hurried one."""
_TENANTS_OF_A_NODE = 20
"""Three pods each; more nodes than that only renew leases on the cores that are measured."""
_QUIET_SECONDS = 10.0
_REST_SECONDS = 60.0
_FIRST = 10
_READS = ("get", "list", "watch")
_OWN_RHYTHM = "leases"
"""The leader's lease is renewed however many tenants there are."""


def measure() -> None:
    """One table for each size."""
    try:
        require_programs(*CONTROL_PLANE, KWOK)
    except ProgramsMissing as problem:
        print(f"left out: {problem}")
        return
    for size in SIZES:
        measure_size(size)


def measure_size(size: int) -> None:
    """The table of `size` tenants, on a control plane of its own."""
    print(f"\n-- {size} tenants, load before {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        options = Options(controller_flags=_CONTROLLERS, audited_users=(USER,))
        plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"), options)
        try:
            asyncio.run(_measure(plane, size))
        finally:
            plane.stop()


async def _measure(plane: ControlPlane, size: int) -> None:
    await start_fleet(plane, size // _TENANTS_OF_A_NODE)
    await install(plane)
    names = [f"tenant-{number:04}" for number in range(size)]
    async with callers(plane) as everybody:
        admin = everybody.admin
        await _print_floor(admin, size)
        await create_all(admin, NAMESPACES, ({"metadata": {"name": name}} for name in names))
        agents = asyncio.create_task(report_as_agents(admin))
        async with Process.started(everybody) as manager:
            await manager.until_synced(0)
            ready_after = await _create(admin, names)
            asked, written = await _until_quiet(plane, manager)
            _print(f"first {_FIRST} Ready", f"{ready_after[_FIRST - 1]:7.1f} s")
            _print("create to Ready, p50", f"{median(ready_after):7.1f} s")
            _print("requests (writes) a tenant", f"{asked / size:7.1f} ({written / size:.1f})")
            _print("manager CPU, peak memory", manager.usage())
            _print("passes a tenant", f"{await manager.passes() / size:7.1f}")
            for line in _by_kind(plane, size):
                print(f"    {line}")
            before = _count(plane)[1]
            await asyncio.sleep(_REST_SECONDS)
            at_rest = (_count(plane)[1] - before) / size * 60 / _REST_SECONDS
            _print("writes a tenant and minute, at rest", f"{at_rest:7.2f}")
        agents.cancel()
        before_restart, past = _count(plane), len(_own_events(plane))
        async with Process.started(everybody) as manager:
            started = time.perf_counter()
            await manager.until_synced(size)
            took = time.perf_counter() - started
            after = await _until_quiet(plane, manager)
            asked, written = (now - then for now, then in zip(after, before_restart, strict=True))
            _print("at its return, requests (writes)", f"{asked / size:7.2f} ({written / size:.2f}), in {took:.1f} s")
            _print("manager CPU, peak memory", manager.usage())
            for line in _by_kind(plane, size, past):
                print(f"    {line}")
    print(f"load after {os.getloadavg()[0]:.1f}", flush=True)


async def _create(admin: KubeClient, names: list[str]) -> list[float]:
    """Creates a gateway each; returns in how many seconds they became Ready, counted from each one's creation."""
    created: dict[str, float] = {}
    ready: dict[str, float] = {}
    began = time.perf_counter()

    def manifests() -> Iterable[Manifest]:
        for name in names:
            created[name] = time.perf_counter()
            yield gateway_in(name)

    async def watch() -> None:
        async for change in list_watch(admin, ACTIONSGATEWAYS, clock=SystemClock(), rng=random.Random(1)):
            if change.object and (find_condition(change.object, "Ready") or {}).get("status") == "True":
                ready.setdefault(change.object["metadata"]["namespace"], time.perf_counter())
                if len(ready) == len(names):
                    return

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await create_all(admin, ACTIONSGATEWAYS, manifests())
        print(f"all gateways posted within {time.perf_counter() - began:.1f} s", flush=True)
    _print("first create to all Ready", f"{max(ready.values()) - began:7.1f} s")
    return sorted(ready[name] - created[name] for name in names)


@dataclass
class Process:
    """The manager."""

    pid: int
    metrics_port: int

    @staticmethod
    @asynccontextmanager
    async def started(everybody: Callers) -> AsyncIterator["Process"]:
        plane = everybody.plane
        token = await everybody.admin.create_token(MANAGER, MANAGER_NAMESPACE, expiration_seconds=7200)
        path = plane.folder / "manager.kubeconfig"
        write_kubeconfig(path, url=plane.url, ca_path=plane.certificates.ca_path, user={"token": token})
        health_port, metrics_port = _free_ports()
        environment = os.environ | {
            "KUBECONFIG": str(path),
            "POD_NAMESPACE": MANAGER_NAMESPACE,
            "POD_NAME": f"{MANAGER}-0",
            "CONTROLLER_IMAGE": "controller:bench",
            "BIND_ADDRESS": "127.0.0.1",
            "HEALTH_PORT": str(health_port),
            "METRICS_PORT": str(metrics_port),
        }
        command = (*os.environ.get("BENCH_PYTHON", sys.executable).split(), "-m", "actions_gateway", "manager")
        with (plane.folder / "manager.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
        try:
            yield Process(process.pid, metrics_port)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()

    async def until_synced(self, served: int) -> None:
        """Returns once it leads and has looked at every gateway."""
        while True:
            if await self._value("actions_gateway_managed_gateways") == served:
                return
            self.usage()  # fails once it has ended
            await asyncio.sleep(0.2)

    async def passes(self) -> float:
        """How many reconciles succeeded."""
        name = 'actions_gateway_reconcile_total{controller="actionsgateway",result="success"}'
        return await self._value(name) or 0.0

    async def _value(self, series: str) -> float | None:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as response,
            ):
                lines = (await response.text()).splitlines()
        except aiohttp.ClientConnectionError:
            return None
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} ")), None)

    def usage(self) -> str:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        peak_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return f"{cpu_seconds:7.1f} s, {peak_kib / 1024:.0f} MiB"


def _free_ports() -> tuple[int, int]:
    import socket

    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


async def _print_floor(admin: KubeClient, size: int) -> None:
    started = time.perf_counter()
    objects = ({"metadata": {"name": f"floor-{number}", "namespace": "default"}} for number in range(size))
    await create_all(admin, CONFIGMAPS, objects)
    seconds = time.perf_counter() - started
    _print("floor: plain creates", f"{size / seconds:7.0f} a second ({size} in {seconds:.1f} s)")


async def _until_quiet(plane: ControlPlane, manager: Process) -> tuple[int, int]:
    """Requests and writes of the manager, once it asks for nothing more."""
    counts, since = _count(plane), time.perf_counter()
    while time.perf_counter() - since < _QUIET_SECONDS:
        await asyncio.sleep(1.0)
        if (now := _count(plane)) != counts:
            counts, since = now, time.perf_counter()
    return counts


def _own_events(plane: ControlPlane) -> list[dict[str, Any]]:
    """What the manager asked for, in its order, without its lease."""
    events = []
    # The API server turns the log over at 100 MB; its earlier parts have their time in their names.
    for path in sorted(plane.folder.glob("audit*.log")):
        with path.open() as lines:
            events += [json.loads(line) for line in lines if USER in line]
    return [
        event
        for event in events
        if event["user"]["username"] == USER and event.get("objectRef", {}).get("resource") != _OWN_RHYTHM
    ]


def _count(plane: ControlPlane) -> tuple[int, int]:
    events = _own_events(plane)
    return len(events), sum(event["verb"] not in _READS for event in events)


def _by_kind(plane: ControlPlane, size: int, past: int = 0) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for event in _own_events(plane)[past:]:
        where = event.get("objectRef", {})
        name = "/".join(filter(None, (where.get("resource", "?"), where.get("subresource"))))
        counts[name, event["verb"]] = counts.get((name, event["verb"]), 0) + 1
    return [f"{count / size:6.2f}  {verb} {name}" for (name, verb), count in sorted(counts.items())]


def _print(title: str, text: str) -> None:
    print(f"{title:36} {text}", flush=True)


if __name__ == "__main__":
    for number in sys.argv[1:] or SIZES:
        measure_size(int(number))
