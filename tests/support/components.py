"""Real components that tests use where they are found: skipped with one line elsewhere, a failure in CI."""

import functools
import json
import os
import re
import shutil
import subprocess
from typing import NoReturn

import pytest

from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, find_program, require_programs
from gateway_sandbox.controlplane.programs import KUBECTL, Program
from gateway_sandbox.envoy import PACKAGE, find_envoy
from gateway_sandbox.monitoring.programs import ALERTMANAGER, PROGRAMS, PROMETHEUS

KUBECTL_MINIMUM = (1, 30)


@functools.cache
def require_kubectl() -> str:
    """The path of a kubectl of version 1.30 or newer; skips, or under CI=true fails, without one."""
    built = find_program(KUBECTL)
    path = str(built) if built else shutil.which("kubectl")
    if path is None:
        _lacks("kubectl is not installed: `make controlplane`, or version 1.30 or newer from your Kubernetes vendor")
    version = subprocess.run(
        [path, "version", "--client", "--output=json"], capture_output=True, text=True, check=True
    ).stdout
    client = json.loads(version)["clientVersion"]
    found = (int(client["major"]), int(re.sub(r"\D.*", "", client["minor"])))
    if found < KUBECTL_MINIMUM:
        _lacks(f"kubectl {client['gitVersion']} is too old: version 1.30 or newer brings this test")
    return path


def require_control_plane(*others: Program) -> None:
    """Skips, or under CI=true fails, where the programs of a real control plane (and `others`) are not there."""
    try:
        require_programs(*CONTROL_PLANE, *others)
    except ProgramsMissing as problem:
        _lacks(str(problem))


@functools.cache
def best_cluster() -> str:
    """`real` where the programs of a real control plane are there, else `embedded`."""
    try:
        require_programs(*CONTROL_PLANE)
    except ProgramsMissing:
        return "embedded"
    return "real"


def require_promtool() -> str:
    """The path of promtool; skips, or under CI=true fails, without it."""
    path = shutil.which("promtool")
    if path is None:
        _lacks("promtool is not installed: Debian's package `prometheus` brings it")
    return path


def require_amtool() -> str:
    """The path of amtool; skips, or under CI=true fails, without it."""
    path = shutil.which("amtool")
    if path is None:
        _lacks(f"amtool is not installed: Debian's package `{ALERTMANAGER.package}` brings it")
    return path


def require_alertmanager() -> str:
    """The path of Alertmanager; skips, or under CI=true fails, without it."""
    path = ALERTMANAGER.find()
    if path is None:
        _lacks(f"Alertmanager is not installed: Debian's package `{ALERTMANAGER.package}` brings it")
    return path


def require_monitoring() -> tuple[str, str]:
    """The paths of Prometheus and Alertmanager; skips, or under CI=true fails, where one is missing."""
    missing = [program.package for program in PROGRAMS if not program.find()]
    if missing:
        _lacks(f"{' and '.join(missing)} missing: Debian's packages of these names bring them")
    return str(PROMETHEUS.find()), str(ALERTMANAGER.find())


def newer_program(program: Program) -> str:
    """The path of a program that Debian has in an older version; skips without it, also in CI, which builds none."""
    path = find_program(program)
    if path is None:
        pytest.skip(f"{program.name} of {program.module}'s pinned release is not built: `make monitoring` builds it")
    return str(path)


def require_envoy() -> str:
    """The path of Envoy; skips, or under CI=true fails, without it."""
    path = find_envoy()
    if path is None:
        _lacks(f"Envoy is not installed: the extra `sandbox` brings it on Linux (the wheel `{PACKAGE}`)")
    return str(path)


def _lacks(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
