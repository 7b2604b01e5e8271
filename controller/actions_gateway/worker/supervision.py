"""Runs one started Worker to its end: one poll loop over signals, job message, output and the cancellation file.

Every write is non-blocking, so that neither a Worker that does not read nor a log that nobody reads can delay a signal.
The Worker's end is its exit and never an end of file: background processes of a step inherit its pipes (they are not
close-on-exec), so after the exit the output is drained for a bounded time only.
"""

from __future__ import annotations

import os
import select
import signal
import time

from . import log
from .cancellation import CancellationFile, seconds_until
from .control import Control, Send, Signal
from .framing import frame
from .relay import OutputRelay
from .signals import ENDING, SignalPipe
from .spawning import Worker

DRAIN_SECONDS = 2.0
CANCELLATION_LOOK_SECONDS = 1.0
MESSAGE_WRITE_BYTES = 1 << 20

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[], None]


class Supervisor:
    """Call `run` once; `relay` then has the tail of the output and `control` the reason of an end from here."""

    def __init__(
        self, worker: Worker, message: bytes, *, control: Control, signals: SignalPipe, cancellation: CancellationFile
    ) -> None:
        self.control = control
        self.relay = OutputRelay(worker.output_fd, 1)
        self._worker = worker
        self._signals = signals
        self._cancellation = cancellation
        self._outgoing = memoryview(message)
        self._is_delivered = False
        self._control_fd_open = True
        self._events_open = True
        self._next_look = 0.0
        self._status: int | None = None

    def run(self) -> int:
        """Waits for the Worker's end; returns its status as os.waitpid gives it."""
        while self._status is None:
            self._turn()
        drain_until = time.monotonic() + DRAIN_SECONDS
        while not self.relay.is_done and time.monotonic() < drain_until:
            self._poll(self._drain_handlers(), drain_until - time.monotonic())
        if not self.relay.is_done:
            log.info(
                f"the output was still open {DRAIN_SECONDS:g} s after Runner.Worker ended: a process outlived the job"
            )
        return self._status

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._look_for_cancellation(now)
            self._next_look = now + CANCELLATION_LOOK_SECONDS
        deadline = self.control.deadline
        if deadline is not None and now >= deadline:
            self._act(self.control.on_deadline(now))
            deadline = self.control.deadline
        wait = self._next_look if deadline is None else min(deadline, self._next_look)
        handlers = {**self._drain_handlers(), self._signals.fd: (select.POLLIN, self._on_signals)}
        if self._outgoing:
            handlers[self._worker.control_fd] = (select.POLLOUT, self._on_control_writable)
        self._poll(handlers, wait - now)

    def _drain_handlers(self) -> dict[int, tuple[int, Handler]]:
        handlers: dict[int, tuple[int, Handler]] = {}
        if self.relay.reading_fd is not None:
            handlers[self.relay.reading_fd] = (select.POLLIN, self.relay.on_readable)
        if self.relay.writing_fd is not None:
            handlers[self.relay.writing_fd] = (select.POLLOUT, self.relay.on_writable)
        if self._events_open:
            handlers[self._worker.events_fd] = (select.POLLIN, self._on_worker_event)
        return handlers

    def _poll(self, handlers: dict[int, tuple[int, Handler]], seconds: float) -> None:
        poll = select.poll()
        for descriptor, (mask, _) in handlers.items():
            poll.register(descriptor, mask)
        for descriptor, _ in poll.poll(max(0.0, seconds) * 1000):
            handlers[descriptor][1]()

    def _on_signals(self) -> None:
        for number in self._signals.read():
            if number in ENDING:
                self._act(self.control.on_signal(number, time.monotonic()))
        self._reap()

    def _reap(self) -> None:
        """Collects every ended child: as PID 1 also the orphans, without losing the Worker's own status."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._worker.pid:
                self._status = status

    def _on_worker_event(self) -> None:
        try:
            self._events_open = bool(os.read(self._worker.events_fd, 65_536))
        except BlockingIOError:
            return

    def _on_control_writable(self) -> None:
        try:
            written = os.write(self._worker.control_fd, self._outgoing[:MESSAGE_WRITE_BYTES])
        except BlockingIOError:
            return
        except OSError:
            self._outgoing, self._control_fd_open = memoryview(b""), False
            self._act(self.control.on_broken_pipe())
            return
        self._outgoing = self._outgoing[written:]
        if not self._outgoing and not self._is_delivered:
            self._is_delivered = True
            self._act(self.control.on_delivered(time.monotonic()))

    def _look_for_cancellation(self, now: float) -> None:
        deadline = self._cancellation.read_new()
        if deadline:
            self._act(self.control.on_cancellation(seconds_until(deadline, now_unix_seconds=time.time()), now))

    def _act(self, actions: list[Send | Signal]) -> None:
        for action in actions:
            if isinstance(action, Signal):
                log.info(f"{self.control.reason}: sending {signal.Signals(action.number).name} to Runner.Worker")
                self._signal(action.number)
            else:
                log.info(f"{self.control.reason}: sending message type {action.kind} to Runner.Worker")
                self._send(action.kind)

    def _send(self, kind: int) -> None:
        if self._control_fd_open:
            self._outgoing = memoryview(bytes(self._outgoing) + frame(kind))
        else:
            self._act(self.control.on_broken_pipe())

    def _signal(self, number: int) -> None:
        if self._status is None:  # once reaped, the id may be another process's
            try:
                os.kill(self._worker.pid, number)
            except ProcessLookupError:
                pass
