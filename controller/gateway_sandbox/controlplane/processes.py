"""One program of the control plane as a child process that, on Linux, cannot outlive this one."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TAIL_LINES = 12
_STOP_SECONDS = 2.0
"""Its data end with it, so that nothing is lost when a request that never ends has it killed."""


class ProgramEnded(RuntimeError):
    """A program ended by itself; the text holds the end of its log."""


class Process:
    """A running program with its log file."""

    def __init__(self, command: Sequence[str], log_path: Path) -> None:
        self.name = Path(command[0]).name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C in a terminal is for us to answer, in our order.
                start_new_session=True,
                umask=0o077,
                preexec_fn=partial(_end_with_parent, os.getpid()),
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def require_running(self) -> None:
        """Raises ProgramEnded when it is gone."""
        code = self._child.poll()
        if code is not None:
            raise ProgramEnded(f"{self.name} ended with exit code {code}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def ask_to_stop(self) -> None:
        """Sends SIGTERM."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def stop(self) -> None:
        """Ends it and waits until it is gone."""
        self.ask_to_stop()
        try:
            self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


_LIBC = ctypes.CDLL(None)


def _end_with_parent(parent_pid: int) -> None:
    """Runs in the child: Linux kills it when the thread that started it ends, however that comes about."""
    with contextlib.suppress(OSError, AttributeError):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # It may have ended before the call.
    if os.getppid() != parent_pid:
        os._exit(1)
