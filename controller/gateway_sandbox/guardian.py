"""The guardian of a sandbox: runs the cluster as its child and leaves nothing behind, whatever ends it."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from gateway_sandbox.launcher import LOCK_FILE, LOG_FILE, Setup, is_running

_POLL_SECONDS = 0.2
_CLUSTER_STOP_SECONDS = 20.0
_PR_SET_CHILD_SUBREAPER = 36


def guard(folder: Path, setup: Setup, owner_pid: int | None) -> int:
    """Runs such a cluster in `folder` until a signal, its own end, or the owner's; then removes every trace."""
    _adopt_orphans()
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    command = [sys.executable, "-m", "gateway_sandbox", "cluster", "--folder", str(folder), *setup.arguments]
    cluster = subprocess.Popen(command)
    try:
        while not stopping and cluster.poll() is None:
            _reap_orphans(cluster.pid)
            if owner_pid is not None and not is_running(owner_pid):
                break
            time.sleep(_POLL_SECONDS)
        failed = cluster.poll() not in (None, 0)
        _stop_cluster(cluster)
    finally:
        _kill_descendants()
    if failed:
        _keep_only_the_log(folder)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _keep_only_the_log(folder: Path) -> None:
    """A crash is explained by its log; keys, tokens and pods' files go all the same. The next launch reuses it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name not in (LOG_FILE, LOCK_FILE):
            entry.unlink(missing_ok=True)


def _adopt_orphans() -> None:
    """Processes whose parent ends become children of this one (Linux; elsewhere the cluster ends its own pods)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap_orphans(cluster_pid: int) -> None:
    """Collects adopted processes that have ended; the cluster's own end is its Popen's to collect."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == cluster_pid:
                return
            os.waitpid(ended.si_pid, 0)


def _stop_cluster(cluster: "subprocess.Popen[bytes]") -> None:
    if cluster.poll() is None:
        cluster.terminate()
    try:
        cluster.wait(_CLUSTER_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        cluster.kill()
        cluster.wait()


def _kill_descendants() -> None:
    """Kills children until none is left; killing one may hand us its children, hence the loop."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    own = os.getpid()
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == own:
                found.append(int(entry.parent.name))
    return found
