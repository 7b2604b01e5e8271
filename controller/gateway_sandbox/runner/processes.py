"""Processes of a step's tree, found without any library: /proc on Linux, `ps` elsewhere."""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH123, PTH208
from __future__ import annotations

import os
import signal
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def signal_tree(root: int, number: int) -> list[int]:
    """Signals `root` and everything that descends from it; returns their ids."""
    tree = [root, *descendants(root)]
    for pid in tree:
        _signal(pid, number)
    return tree


def descendants(root: int) -> list[int]:
    """Ids of the children of `root`, their children and so on."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        offspring = children.pop(waiting.pop(), [])
        found += offspring
        waiting += offspring
    return found


def kill_leftovers(tracking_id: str, among: Collection[int] | None = None) -> list[int]:
    """Kills every process, or those `among` the given ones, whose environment carries RUNNER_TRACKING_ID=`tracking_id`;
    returns their ids.

    Source: actions/runner `src/Runner.Worker/JobExtension.cs` (FinalizeJob, "Terminate orphan process").
    """
    marker = f"RUNNER_TRACKING_ID={tracking_id}"
    own = os.getpid()
    leftovers = [pid for pid in _marked(marker, among) if pid != own]
    for pid in leftovers:
        _signal(pid, signal.SIGKILL)
    return leftovers


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _parents() -> Iterable[tuple[int, int]]:
    if not sys.platform.startswith("linux"):
        for line in _ps("-axo", "pid=,ppid="):
            pid, parent = line.split()
            yield int(pid), int(parent)
        return
    for pid in _proc_ids():
        stat = _proc_bytes(pid, "stat")
        fields = stat.rpartition(b")")[2].split()  # the name before it may hold spaces and brackets
        if len(fields) > 1:
            yield pid, int(fields[1])


def _marked(marker: str, among: Collection[int] | None) -> list[int]:
    if not sys.platform.startswith("linux"):
        found = [int(line.split()[0]) for line in _ps("-axwwEo", "pid=,command=") if marker in line.split()]
        return [pid for pid in found if among is None or pid in among]
    encoded = marker.encode()
    candidates = _proc_ids() if among is None else among
    return [pid for pid in candidates if encoded in _proc_bytes(pid, "environ").split(b"\0")]


def _proc_ids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _proc_bytes(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""  # ended meanwhile, or another user's


def _ps(*arguments: str) -> list[str]:
    found = subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False, timeout=10)
    return found.stdout.splitlines()
