"""Runs one process of a step, line by line, and ends it with everything it started when the step is cancelled.

Sequence and times: actions/runner `src/Runner.Sdk/ProcessInvoker.cs` (SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL; after the
exit up to 5 s for the output to close). Where the runner signals one process, this signals its tree.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time

from .processes import kill_leftovers, signal_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .cancellation import Cancellation
    from .knobs import Knobs

MAXIMUM_LINE_BYTES = 1 << 20
"""A longer line is passed on in parts."""


class ProcessEnd:
    """How a process ended; `exit_code` is 128 + n after signal n."""

    __slots__ = ("exit_code", "timed_out", "was_cancelled")

    def __init__(self, exit_code: int, *, was_cancelled: bool, timed_out: bool) -> None:
        self.exit_code = exit_code
        self.was_cancelled = was_cancelled
        self.timed_out = timed_out


class StepProcess:
    """`on_line` gets each line of stdout and stderr; `must_stop` is asked when the job is being ended."""

    def __init__(
        self,
        cancellation: Cancellation,
        knobs: Knobs,
        *,
        on_line: Callable[[str], None],
        must_stop: Callable[[], bool],
    ) -> None:
        self._cancellation = cancellation
        self._on_line = on_line
        self._must_stop = must_stop
        self._output_close_seconds = knobs.output_close_seconds
        self._escalation: list[tuple[int, float]] = [
            (signal.SIGINT, knobs.interrupt_seconds),
            (signal.SIGTERM, knobs.terminate_seconds),
            (signal.SIGKILL, knobs.output_close_seconds),
        ]
        self._buffer = b""
        self._output_fd: int | None = None
        self._signalled: set[int] = set()

    def run(
        self, arguments: list[str], *, folder: str, environ: dict[str, str], timeout_seconds: float | None
    ) -> ProcessEnd:
        """Waits for the end; raises OSError when it cannot be started."""
        # The runner's descriptors are inherited, as in the real worker: they are not close-on-exec there.
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,
        )
        with process:
            end = self._follow(process, timeout_seconds)
            if self._signalled:
                # What ignored the signals must not outlive a step that was ended.
                kill_leftovers(environ.get("RUNNER_TRACKING_ID", ""), self._signalled)
            self._drain()
        return end

    def _follow(self, process: subprocess.Popen[bytes], timeout_seconds: float | None) -> ProcessEnd:
        assert process.stdout is not None
        self._output_fd = process.stdout.fileno()
        os.set_blocking(self._output_fd, False)
        ending = _Ending(None if timeout_seconds is None else time.monotonic() + timeout_seconds, self._escalation)
        while process.poll() is None:
            now = time.monotonic()
            if self._cancellation.kind != ending.seen_kind:
                ending.seen_kind = self._cancellation.kind
                if self._must_stop():
                    ending.cancel(now)
            if (number := ending.due_signal(now)) is not None:
                self._signalled.update(signal_tree(process.pid, number))
            self._wait(None if ending.next_at is None else ending.next_at - now)
        code = process.returncode
        return ProcessEnd(
            code if code >= 0 else 128 - code, was_cancelled=ending.was_cancelled, timed_out=ending.timed_out
        )

    def _wait(self, seconds: float | None) -> None:
        """Waits for output, a child's end or a change of the cancellation, and passes the output on."""
        poll = select.poll()
        poll.register(self._cancellation.wake_fd, select.POLLIN)
        if self._output_fd is not None:
            poll.register(self._output_fd, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds) * 1000)]
        if self._cancellation.wake_fd in ready:
            self._cancellation.clear_wakeups()
        if self._output_fd in ready:
            self._read(self._output_fd)

    def _read(self, output_fd: int) -> None:
        try:
            chunk = os.read(output_fd, 65_536)
        except BlockingIOError:
            return
        lines = (self._buffer + chunk).split(b"\n")
        self._buffer = lines.pop()
        if self._buffer and (not chunk or len(self._buffer) > MAXIMUM_LINE_BYTES):
            lines.append(self._buffer)
            self._buffer = b""
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").removesuffix("\r"))
        if not chunk:
            self._output_fd = None

    def _drain(self) -> None:
        until = time.monotonic() + self._output_close_seconds
        while self._output_fd is not None and (left := until - time.monotonic()) > 0:
            self._wait(left)
        if self._output_fd is not None:
            seconds = f"{self._output_close_seconds:g}"
            self._on_line(f"The STDIO streams did not close within {seconds} seconds of the exit event from process.")


class _Ending:
    """When the process gets which signal next: on a cancellation at once, on a time-out when the time is over."""

    def __init__(self, times_out_at: float | None, escalation: list[tuple[int, float]]) -> None:
        self.next_at = times_out_at
        self.seen_kind = 0
        self.was_cancelled = False
        self.timed_out = False
        self._waiting = list(escalation)

    def cancel(self, now: float) -> None:
        if not self.was_cancelled and not self.timed_out:
            self.was_cancelled, self.next_at = True, now

    def due_signal(self, now: float) -> int | None:
        if self.next_at is None or now < self.next_at:
            return None
        self.timed_out = not self.was_cancelled
        number, wait_seconds = self._waiting.pop(0)
        self.next_at = now + wait_seconds if self._waiting else None
        return number
