"""One container run as a local process tree: start, signals, output, and an end that leaves nothing behind.

There is no PID namespace, so every process of a container carries a mark in its environment; when the main process
ends, whatever carries the mark or belongs to its session is killed, daemons that left the process group included. A
process that clears its environment and leaves the session is out of reach without root.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actions_gateway.engine.clock import Clock
from gateway_sandbox.nodes.waiting import happens_within

POD_UID = "GATEWAY_SANDBOX_POD_UID"
CONTAINER = "GATEWAY_SANDBOX_CONTAINER"

_PROC = Path("/proc")
_ROUNDS = 5
_DRAIN_SECONDS = 2.0
_LEAST_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run; the environment is complete and carries the `markers`."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    pre_stop_seconds: float = 0.0
    """How long a process that is to stop runs on before it is told so."""


def markers(pod_uid: str, container: str) -> dict[str, str]:
    """The environment variables by which a container's processes are known."""
    return {POD_UID: pod_uid, CONTAINER: f"{pod_uid}/{container}"}


async def kill_pod(pod_uid: str) -> None:
    """Kills every process that carries the pod's mark: the last resort of a pod that could not end in order."""
    await asyncio.to_thread(_kill_marked, f"{POD_UID}={pod_uid}\0".encode(), None)


class ContainerProcess:
    """A started container; `supervise` has to run as a task of its own until the container has ended."""

    def __init__(
        self, process: asyncio.subprocess.Process, output: asyncio.ReadTransport, drained: asyncio.Event, launch: Launch
    ):
        self._process = process
        self._output = output
        self._drained = drained
        self._mark = f"{CONTAINER}={launch.env[CONTAINER]}\0".encode()
        self._pre_stop_seconds = launch.pre_stop_seconds
        self.ended = asyncio.Event()

    @classmethod
    async def start(cls, launch: Launch, on_output: Callable[[bytes], None]) -> "ContainerProcess":
        """Starts the process in a session of its own; raises OSError when it cannot be executed."""
        # A pipe of our own: asyncio's waits for its end before it reports the exit, and a daemon may keep it open.
        read_end, write_end = os.pipe()
        drained = asyncio.Event()
        output, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: _Output(on_output, drained), os.fdopen(read_end, "rb", buffering=0)
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *launch.argv,
                cwd=launch.cwd,
                env=dict(launch.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except BaseException:
            output.close()
            raise
        finally:
            os.close(write_end)
        return cls(process, output, drained, launch)

    @property
    def pid(self) -> int:
        """The main process."""
        return self._process.pid

    async def supervise(self, on_end: Callable[[int], None]) -> None:
        """Waits for the end, kills what was left behind, then reports the exit code (128 + n for signal n)."""
        try:
            returned = await self._process.wait()
            await asyncio.to_thread(_kill_marked, self._mark, self._process.pid)
            # Whoever escaped with our pipe must not keep the container from ending.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._drained.wait()
            on_end(returned if returned >= 0 else 128 - returned)
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._output.close()
            self.ended.set()

    def terminate(self) -> None:
        """SIGTERM to the main process only, as to a container's PID 1."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to the main process and its group; `supervise` then kills the rest."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self, grace_seconds: float, clock: Clock, *, runs_hook: bool = True) -> None:
        """SIGTERM, SIGKILL when it still runs after the grace; returns when the whole tree is gone.

        The time before the SIGTERM counts into the grace, of which a little is left in any case. Source: kubernetes
        pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer) and pkg/kubelet/lifecycle (runSleepHandler).
        """
        wait_seconds = min(self._pre_stop_seconds, grace_seconds) if runs_hook else 0.0
        if await happens_within(self.ended, wait_seconds, clock):
            return
        self.terminate()
        left_seconds = max(grace_seconds - wait_seconds, _LEAST_GRACE_SECONDS if wait_seconds else 0.0)
        if not await happens_within(self.ended, left_seconds, clock):
            self.kill()
            await self.ended.wait()


class _Output(asyncio.Protocol):
    def __init__(self, on_output: Callable[[bytes], None], drained: asyncio.Event) -> None:
        self._on_output = on_output
        self._drained = drained

    def data_received(self, data: bytes) -> None:
        self._on_output(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._drained.set()


def _kill_marked(mark: bytes, session: int | None) -> None:
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = _marked(mark, session) - killed
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        # A process may have forked between the look and the kill: look again.
        killed |= found


def _marked(mark: bytes, session: int | None) -> set[int]:
    if not _PROC.is_dir():
        if session is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(session, signal.SIGKILL)
        return set()
    return {int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit() and _belongs(entry, mark, session)}


def _belongs(entry: "os.DirEntry[str]", mark: bytes, session: int | None) -> bool:
    try:
        if os.getsid(int(entry.name)) == session:
            return True
        with open(f"{entry.path}/environ", "rb", buffering=0) as environ:  # noqa: PTH123 - hot loop over all processes
            return mark in environ.read()
    except (ProcessLookupError, PermissionError, FileNotFoundError):
        return False
