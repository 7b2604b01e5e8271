"""Decides what a running `Runner.Worker` is told and when it is killed: pure, time comes in and actions come out.

It reads exactly one control message after the job, so of cancel and shutdown only the first is ever sent; SIGTERM after
a shutdown message would end it in the middle of its report, after a cancel message it is a valid escalation
(actions/runner `src/Runner.Worker/Worker.cs`, `src/Runner.Common/HostContext.cs`).
"""

from __future__ import annotations

import signal

from .framing import CANCEL_REQUEST, RUNNER_SHUTDOWN

DELIVERY_SECONDS = 30.0
"""How long the job message may take to be read (the stock listener's channel timeout)."""

# Phases. The message is DELIVERING until its last byte is in the pipe.
DELIVERING, RUNNING, CANCELLING, ENDING, KILLED = range(5)


class Send:
    """Write one control message of this type."""

    __slots__ = ("kind",)

    def __init__(self, kind: int) -> None:
        self.kind = kind


class Signal:
    """Send one signal to the Worker."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Control:
    """The state of one job's shutdown: `deadline` is in monotonic seconds, `reason` why the job was ended from here."""

    __slots__ = (
        "_grace_seconds",
        "_phase",
        "_shutdown_sent",
        "_waiting_cancel",
        "deadline",
        "reason",
        "refused_by_signal",
    )

    def __init__(self, *, started: float, grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._phase = DELIVERING
        self._waiting_cancel: float | None = None
        self._shutdown_sent = False
        self.deadline: float | None = started + DELIVERY_SECONDS
        self.reason = ""
        self.refused_by_signal = 0
        """The signal that ended the job before the Worker had it."""

    def on_delivered(self, now: float) -> list[Send | Signal]:
        """The job message is in the pipe."""
        if self._phase != DELIVERING:
            return []
        self._phase, self.deadline = RUNNING, None
        return [] if self._waiting_cancel is None else self.on_cancellation(self._waiting_cancel, now)

    def on_cancellation(self, seconds: float, now: float) -> list[Send | Signal]:
        """A user cancelled the job, which has `seconds` left."""
        if self._phase == DELIVERING:
            self._waiting_cancel = seconds
            return []
        if self._phase != RUNNING:
            return []
        self._phase, self.deadline, self.reason = CANCELLING, now + seconds, "the job was cancelled"
        return [Send(CANCEL_REQUEST)]

    def on_signal(self, number: int, now: float) -> list[Send | Signal]:
        """The pod is to end (SIGTERM or SIGINT); a repeat changes nothing."""
        if self._phase == DELIVERING:
            self.refused_by_signal = number
            return self._kill(f"{_name(number)} came before the job was handed to Runner.Worker")
        if self._phase == RUNNING:
            self._end(now, f"the pod was told to end ({_name(number)})")
            self._shutdown_sent = True
            return [Send(RUNNER_SHUTDOWN)]
        if self._phase == CANCELLING:
            self._end(now, f"{self.reason}, and the pod was told to end ({_name(number)})")
            return [Signal(signal.SIGTERM)]
        return []

    def on_broken_pipe(self) -> list[Send | Signal]:
        """The Worker no longer reads its pipe: usually it is about to be reaped, otherwise a signal must do."""
        if self._phase == ENDING and self._shutdown_sent:
            self._shutdown_sent = False
            return [Signal(signal.SIGTERM)]
        return []

    def on_deadline(self, now: float) -> list[Send | Signal]:
        """`deadline` has passed."""
        if self._phase == DELIVERING:
            return self._kill(f"Runner.Worker did not read the job message within {DELIVERY_SECONDS:.0f} s")
        if self._phase == CANCELLING:
            self._end(now, f"{self.reason} and did not end in time")
            return [Signal(signal.SIGTERM)]
        if self._phase == ENDING:
            return self._kill(f"{self.reason}; Runner.Worker was killed {self._grace_seconds:g} s later")
        return []

    def _end(self, now: float, reason: str) -> None:
        self._phase, self.deadline, self.reason = ENDING, now + self._grace_seconds, reason

    def _kill(self, reason: str) -> list[Send | Signal]:
        self._phase, self.deadline, self.reason = KILLED, None, reason
        return [Signal(signal.SIGKILL)]


def _name(number: int) -> str:
    return signal.Signals(number).name
