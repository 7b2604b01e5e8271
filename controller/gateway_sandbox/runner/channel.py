"""The worker's end of the two inherited pipes.

Framing, limits and the retry on an end of file: actions/runner `src/Runner.Common/ProcessChannel.cs` and
`StreamString.cs`; the descriptors must be pipes or sockets (.NET `AnonymousPipeClientStream`).
"""

from __future__ import annotations

import os
import select
import stat
import struct
import time

from .errors import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NEW_JOB_REQUEST, CANCEL_REQUEST, RUNNER_SHUTDOWN, OPERATING_SYSTEM_SHUTDOWN = 1, 2, 3, 4
MAX_BODY_BYTES = 50_000_000
END_OF_FILE_PAUSE_SECONDS = 0.1


class TooLate(WorkerError):
    """No message came in time."""


class Channel:
    """Reads messages from `read_fd`; `write_fd` is held open and never written, as the runner does."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        """Raises WorkerError when a descriptor is closed or no pipe."""
        for descriptor in (read_fd, write_fd):
            require_pipe(descriptor)
        self._read_fd = read_fd
        self.write_fd = write_fd

    def receive(self, deadline: float | None = None, *, sleep: Callable[[float], None] = time.sleep) -> tuple[int, str]:
        """The next message as (type, text). Raises TooLate at `deadline` (monotonic seconds) and WorkerError for a
        length out of bounds. An end of file is no message and no error: the reader looks again, for ever."""
        kind, size = struct.unpack("<ii", self._read_exactly(8, deadline, sleep))
        if not 0 <= size <= MAX_BODY_BYTES:
            raise WorkerError(f"invalid message length {size}")
        return kind, self._read_exactly(size, deadline, sleep).decode("utf-16-le", "replace")

    def _read_exactly(self, size: int, deadline: float | None, sleep: Callable[[float], None]) -> bytes:
        data = bytearray()
        while len(data) < size:
            if deadline is not None and not self._is_readable(deadline):
                raise TooLate("no message from the listener in time")
            chunk = os.read(self._read_fd, min(size - len(data), 1 << 20))
            if chunk:
                data += chunk
            else:
                sleep(END_OF_FILE_PAUSE_SECONDS)
        return bytes(data)

    def _is_readable(self, deadline: float) -> bool:
        remaining = deadline - time.monotonic()
        return remaining > 0 and bool(select.select([self._read_fd], [], [], remaining)[0])


def require_pipe(descriptor: int) -> None:
    """Raises WorkerError unless the descriptor is an open pipe or socket."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as exc:
        raise WorkerError(f"descriptor {descriptor} is not open: {exc.strerror}") from exc
    if not stat.S_ISFIFO(mode) and not stat.S_ISSOCK(mode):
        raise WorkerError(f"descriptor {descriptor} is neither a pipe nor a socket")
