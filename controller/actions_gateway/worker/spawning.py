"""Starts `Runner.Worker spawnclient <IN> <OUT>` with its two pipes.

Command line and descriptors: actions/runner `src/Runner.Worker/Program.cs`, `src/Runner.Common/ProcessChannel.cs`.
"""

# Importing pathlib would add 6 ms to every pod's start.
# ruff: noqa: PTH113, PTH118
from __future__ import annotations

import os
import signal

from .errors import StartError


class Worker:
    """A started Worker and the wrapper's ends of its pipes; all of them non-blocking."""

    __slots__ = ("control_fd", "events_fd", "output_fd", "pid")

    def __init__(self, pid: int, *, control_fd: int, events_fd: int, output_fd: int) -> None:
        self.pid = pid
        self.control_fd = control_fd
        """Messages to the Worker."""
        self.events_fd = events_fd
        """Messages from the Worker: it sends none today, and is read so that it never blocks."""
        self.output_fd = output_fd
        """Its stdout and stderr."""
        for descriptor in (control_fd, events_fd, output_fd):
            os.set_blocking(descriptor, False)


def find_worker(runner_home: str, search_path: str) -> str:
    """The path of Runner.Worker: the runner's own first, then PATH; raises StartError."""
    own = os.path.join(runner_home, "bin", "Runner.Worker")
    if os.access(own, os.X_OK) and os.path.isfile(own):
        return own
    import shutil  # slow to import, and only images without the usual layout need it

    found = shutil.which("Runner.Worker", path=search_path)
    if found is None:
        raise StartError(
            f"this image has no {own} and no Runner.Worker on PATH; use an image that has the runner there"
        )
    return found


def spawn(path: str, environ: dict[str, str]) -> Worker:
    """Starts the Worker; raises StartError.

    The Worker inherits its pipes by number, so only these two become inheritable. It starts with no signal blocked and
    with the signals that Python ignores at their default.
    """
    message_read, control_fd = os.pipe()
    events_fd, event_write = os.pipe()
    output_fd, output_write = os.pipe()
    os.set_inheritable(message_read, True)
    os.set_inheritable(event_write, True)
    try:
        pid = os.posix_spawn(
            path,
            [path, "spawnclient", str(message_read), str(event_write)],
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output_write, 1),
                (os.POSIX_SPAWN_DUP2, output_write, 2),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    except OSError as exc:
        raise StartError(f"cannot start {path}: {exc.strerror}") from exc
    finally:
        for descriptor in (message_read, event_write, output_write):
            os.close(descriptor)
    return Worker(pid, control_fd=control_fd, events_fd=events_fd, output_fd=output_fd)
