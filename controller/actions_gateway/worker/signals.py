"""Signals as bytes on a pipe, so that one poll loop sees them in order with everything else.

PID 1 ignores every signal without a handler, so the handlers are installed before anything else is done: a SIGTERM that
comes while files are staged is kept.
"""

from __future__ import annotations

import os
import signal

ENDING = (signal.SIGTERM, signal.SIGINT)


class SignalPipe:
    """`fd` becomes readable when a signal arrived."""

    __slots__ = ("_write_fd", "fd")

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in (*ENDING, signal.SIGCHLD):
            signal.signal(number, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ENDING, signal.SIGCHLD))  # whoever started us may block them

    def read(self) -> bytes:
        """The numbers of the signals that arrived since the last call, one byte each."""
        try:
            return os.read(self.fd, 512)
        except BlockingIOError:
            return b""

    def ending_signal(self) -> int:
        """The first SIGTERM or SIGINT that arrived since the last call, 0 when there is none."""
        return next((number for number in self.read() if number in ENDING), 0)
