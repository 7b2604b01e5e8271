"""What ends a job early: one control message or SIGTERM, the first of them only.

Source: actions/runner `src/Runner.Worker/Worker.cs` (one further message is read), `src/Runner.Common/HostContext.cs`
(SIGTERM raises the unload event, which shuts down like message 3 and holds the process for 30 s).
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time

from .channel import CANCEL_REQUEST, OPERATING_SYSTEM_SHUTDOWN, RUNNER_SHUTDOWN
from .errors import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .channel import Channel
    from .diagnostics import Trace
    from .knobs import Knobs

DIED_BY_SIGTERM = 128 + signal.SIGTERM


class Cancellation:
    """`kind` is the type of the control message that ended the job, 0 while it goes on. `wake_fd` becomes readable on
    every change and whenever a child ends, so that a waiting loop looks again."""

    def __init__(self, trace: Trace, knobs: Knobs) -> None:
        self.kind = 0
        self._trace = trace
        self._knobs = knobs
        self._had_sigterm = False
        self.wake_fd, self._write_fd = os.pipe()
        os.set_blocking(self.wake_fd, False)
        os.set_blocking(self._write_fd, False)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        # A handler, not SIG_IGN, which the steps' processes would inherit.
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)

    @property
    def is_shutdown(self) -> bool:
        return self.kind in (RUNNER_SHUTDOWN, OPERATING_SYSTEM_SHUTDOWN)

    def wait(self, seconds: float) -> None:
        """Waits until the job is being ended, at most `seconds`."""
        until = time.monotonic() + seconds
        while not self.kind and (left := until - time.monotonic()) > 0:
            select.select([self.wake_fd], [], [], left)
            self.clear_wakeups()

    def clear_wakeups(self) -> None:
        try:
            while os.read(self.wake_fd, 512):
                pass
        except BlockingIOError:
            pass

    def listen(self, channel: Channel) -> None:
        """Waits for the one control message in a thread."""
        threading.Thread(target=self._receive, args=(channel,), name="control", daemon=True).start()

    def _receive(self, channel: Channel) -> None:
        try:
            kind, _ = channel.receive()
        except (WorkerError, OSError) as exc:
            self._trace.error("Worker", f"the channel failed: {exc}")
            os._exit(1)
        if kind not in (CANCEL_REQUEST, RUNNER_SHUTDOWN, OPERATING_SYSTEM_SHUTDOWN):
            self._trace.error("Worker", f"unexpected message type {kind}")
            os._exit(1)
        self._trace.info("Worker", "Cancellation/Shutdown message received.")
        self._set(kind)

    def _set(self, kind: int) -> None:
        if self._knobs.ignore_control or self.kind:
            return
        self.kind = kind
        os.write(self._write_fd, b"\0")

    def _on_sigterm(self, _number: int, _frame: object) -> None:
        if self._knobs.ignore_control:
            return
        if self._had_sigterm or self.is_shutdown:
            os._exit(DIED_BY_SIGTERM)
        self._had_sigterm = True
        timer = threading.Timer(self._knobs.sigterm_seconds, os._exit, [DIED_BY_SIGTERM])
        timer.daemon = True
        timer.start()
        # Unlike a message it also escalates a cancellation.
        self.kind = RUNNER_SHUTDOWN
