"""The real control plane itself: it starts, knows its callers, records them, and ends whatever happens."""

import os
import random
import re
import select
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube.client import connect
from actions_gateway.kube.errors import Forbidden
from actions_gateway.kube.listwatch import list_watch
from actions_gateway.kube.resources import CONFIGMAPS, NAMESPACES
from gateway_sandbox.controlplane.assets import (
    ASSETS_VARIABLE,
    ProgramsDisagree,
    ProgramsMissing,
    find_program,
    require_one_minor,
    require_programs,
)
from gateway_sandbox.controlplane.programs import (
    API_SERVER,
    CONTROLLER_MANAGER,
    ETCD,
    KUBERNETES_VERSION,
    KWOK,
    KWOK_VERSION,
    MODULES,
    cache_folder,
)
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.audit import events_of
from support.components import require_control_plane

START_AND_HANG = """
import asyncio, sys
from pathlib import Path
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ControlPlane, Options
folder = Path(sys.argv[1])
plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "pki"), Options(False, False))
asyncio.run(plane.start())
print(*plane.pids.values(), flush=True)
sys.stdin.read()
"""


def test_it_serves_the_pinned_version_to_its_administrator(control_plane: ControlPlane) -> None:
    async def scenario() -> str:
        async with connect(control_plane.kubeconfig) as client:
            return str((await client.request("GET", "/version"))["gitVersion"])

    assert run(scenario()) == KUBERNETES_VERSION


def test_a_user_without_rights_is_refused_and_the_audit_log_says_who(control_plane: ControlPlane) -> None:
    async def scenario() -> None:
        async with connect(control_plane.kubeconfig_for("nobody-in-particular", ("strangers",))) as client:
            with pytest.raises(Forbidden):
                await client.list(CONFIGMAPS, "kube-system")

    run(scenario())
    (event,) = events_of(control_plane.audit_log, "nobody-in-particular")
    assert (event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"]) == (
        "list",
        "configmaps",
        403,
    )
    assert "requestObject" not in event


def test_a_new_namespace_gets_its_account_from_the_real_controllers(control_plane: ControlPlane) -> None:
    async def scenario() -> str:
        async with connect(control_plane.kubeconfig) as client:
            made = await client.create(NAMESPACES, {"metadata": {"generateName": "fresh-"}})
            name = str(made["metadata"]["name"])
            changes = list_watch(client, CONFIGMAPS, name, clock=SystemClock(), rng=random.Random(1))
            async for change in changes:
                if change.object and change.object["metadata"]["name"] == "kube-root-ca.crt":
                    break
            return name

    assert run(scenario()).startswith("fresh-")


def test_only_the_api_server_may_speak_to_etcd(control_plane: ControlPlane) -> None:
    command = Path(f"/proc/{control_plane.pids['etcd']}/cmdline").read_text().split("\0")
    address = next(flag for flag in command if flag.startswith("--listen-client-urls=")).partition("=")[2]
    strangers = [ssl.create_default_context(cafile=str(control_plane.certificates.ca_path)), None]

    async def answers(url: str, context: ssl.SSLContext | None) -> bool:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"{url}/version", ssl=context or False) as answer:
                    return answer.ok
            except aiohttp.ClientError:
                return False

    for context in strangers:
        assert not run(answers(address, context))
    assert not run(answers(address.replace("https:", "http:"), None))


def test_two_users_whose_names_differ_by_a_sign_have_files_of_their_own(control_plane: ControlPlane) -> None:
    assert control_plane.kubeconfig_for("a:b") != control_plane.kubeconfig_for("a-b")


def test_the_versions_are_those_of_the_pins() -> None:
    pins = {module: (MODULES / module / "go.mod").read_text() for module in ("kubernetes", "kwok")}
    assert f"\tk8s.io/kubernetes {KUBERNETES_VERSION} //" in pins["kubernetes"]
    assert f"sigs.k8s.io/kwok {KWOK_VERSION}" in pins["kwok"]


def test_kwok_takes_kubernetes_versions_of_what_both_use() -> None:
    """What was compiled for the one is then not compiled again for the other, which would take a minute and a half."""
    kubernetes, kwok = (versions_of((MODULES / module / "go.mod").read_text()) for module in ("kubernetes", "kwok"))
    others = {name for name in kubernetes.keys() & kwok.keys() if kubernetes[name] != kwok[name]}
    # A library of kwok's own needs a newer one, and little of what both use needs it.
    assert {name.removesuffix(name.partition("/otel")[2]) for name in others} <= {"go.opentelemetry.io/otel"}


def versions_of(go_mod: str) -> dict[str, str]:
    """The version of each module that is built: what replaces it counts."""
    required = dict(re.findall(r"^\t(\S+) (v\S+)", go_mod, re.MULTILINE))
    return required | dict(re.findall(r"^\t(\S+) => \S+ (v\S+)", go_mod, re.MULTILINE))


def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    require_control_plane()
    parent = subprocess.Popen(
        [sys.executable, "-c", START_AND_HANG, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    try:
        handles = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdin.close()
        parent.stdout.close()
    assert len(handles) == 2
    for handle in handles:
        # A process's handle becomes readable when it ends.
        ended, _, _ = select.select([handle], [], [], 30.0)
        os.close(handle)
        assert ended


def test_the_named_assets_come_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / ETCD.name
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    assert find_program(ETCD) == mine


def test_what_is_missing_is_named_with_the_target_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(ASSETS_VARIABLE, raising=False)
    with pytest.raises(ProgramsMissing, match=r"etcd, kube-apiserver not found .*`make controlplane"):
        require_programs(ETCD, API_SERVER)


def test_an_older_api_server_is_not_run_with_our_controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {}
    for program, version in ((API_SERVER, "v1.33.1"), (CONTROLLER_MANAGER, KUBERNETES_VERSION)):
        paths[program] = tmp_path / program.name
        paths[program].write_text(f"#!/bin/sh\necho Kubernetes {version}\n")
        paths[program].chmod(0o755)
    require_one_minor(paths)
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    with pytest.raises(ProgramsDisagree, match=r"kube-apiserver 1\.33, kube-controller-manager 1\.36.*unset KUBE"):
        require_one_minor(paths)


def test_modules_that_differ_have_caches_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder(ETCD) == cache_folder(API_SERVER)
    assert cache_folder(ETCD) != cache_folder(KWOK)
    assert tmp_path in cache_folder(ETCD).parents
