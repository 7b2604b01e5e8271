"""Passes the Worker's output on to the container's log and keeps its tail for the termination message."""

from __future__ import annotations

import os

TAIL_BYTES = 4096
READ_BYTES = 65_536
WRITE_BYTES = 4096
"""A pipe that polls writable takes this much without blocking (POSIX: PIPE_BUF is at least 512, 4096 on Linux)."""


class OutputRelay:
    """Copies without ever blocking: it reads only when everything read before is written."""

    __slots__ = ("_closed", "_pending", "_sink_fd", "_source_fd", "_tail")

    def __init__(self, source_fd: int, sink_fd: int) -> None:
        self._source_fd = source_fd
        self._sink_fd = sink_fd
        self._pending = b""
        self._tail = b""
        self._closed = False

    @property
    def reading_fd(self) -> int | None:
        """The descriptor to wait on for input, None while output is pending or the source has ended."""
        return None if self._pending or self._closed else self._source_fd

    @property
    def writing_fd(self) -> int | None:
        """The descriptor to wait on for output, None while nothing is pending."""
        return self._sink_fd if self._pending else None

    @property
    def is_done(self) -> bool:
        return self._closed and not self._pending

    @property
    def tail(self) -> str:
        """The last lines of the output."""
        return self._tail.decode("utf-8", "replace")

    def on_readable(self) -> None:
        try:
            chunk = os.read(self._source_fd, READ_BYTES)
        except BlockingIOError:
            return
        self._closed = not chunk
        self._pending = chunk
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def on_writable(self) -> None:
        try:
            written = os.write(self._sink_fd, self._pending[:WRITE_BYTES])
        except BlockingIOError:
            return
        except OSError:
            written = len(self._pending)  # nobody reads the container's log any more; the job goes on
        self._pending = self._pending[written:]
