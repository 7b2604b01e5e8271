"""What the Worker is told in which state, and when it is killed: every path in virtual time."""

import signal
from collections.abc import Callable

import pytest

from actions_gateway.worker.control import DELIVERY_SECONDS, Control, Send, Signal
from actions_gateway.worker.framing import CANCEL_REQUEST, RUNNER_SHUTDOWN

Event = Callable[[Control, float], list[Send | Signal]]


def told(actions: list[Send | Signal]) -> list[str]:
    return [
        f"message {action.kind}" if isinstance(action, Send) else signal.Signals(action.number).name
        for action in actions
    ]


def delivered(control: Control, now: float) -> list[Send | Signal]:
    return control.on_delivered(now)


def cancelled(control: Control, now: float) -> list[Send | Signal]:
    return control.on_cancellation(60.0, now)


def terminated(control: Control, now: float) -> list[Send | Signal]:
    return control.on_signal(signal.SIGTERM, now)


def interrupted(control: Control, now: float) -> list[Send | Signal]:
    return control.on_signal(signal.SIGINT, now)


def broken(control: Control, now: float) -> list[Send | Signal]:
    return control.on_broken_pipe()


def overdue(control: Control, now: float) -> list[Send | Signal]:
    assert control.deadline is not None
    return control.on_deadline(control.deadline)


PATHS: list[tuple[str, list[Event], list[str]]] = [
    ("a job that just runs", [delivered], []),
    ("nobody reads the job", [overdue], ["SIGKILL"]),
    ("terminated before the delivery", [terminated], ["SIGKILL"]),
    ("terminated twice before the delivery", [terminated, terminated], ["SIGKILL"]),
    ("delivered in the moment of the kill", [terminated, delivered], ["SIGKILL"]),
    ("a broken pipe before the delivery waits for the exit", [broken], []),
    ("a broken pipe before the delivery, and no exit", [broken, overdue], ["SIGKILL"]),
    ("terminated", [delivered, terminated], ["message 3"]),
    ("interrupted is the same", [delivered, interrupted], ["message 3"]),
    ("repeats change nothing", [delivered, terminated, terminated, interrupted], ["message 3"]),
    ("no cancellation after a shutdown", [delivered, terminated, cancelled], ["message 3"]),
    ("the grace ends in a kill, never in SIGTERM", [delivered, terminated, overdue], ["message 3", "SIGKILL"]),
    ("a shutdown that cannot be written", [delivered, terminated, broken], ["message 3", "SIGTERM"]),
    ("that SIGTERM is sent once", [delivered, terminated, broken, broken], ["message 3", "SIGTERM"]),
    ("cancelled", [delivered, cancelled], ["message 2"]),
    ("cancelled again", [delivered, cancelled, cancelled], ["message 2"]),
    ("cancelled before the delivery", [cancelled, delivered], ["message 2"]),
    ("a cancellation that cannot be written waits", [delivered, cancelled, broken], ["message 2"]),
    ("terminated while cancelling", [delivered, cancelled, terminated], ["message 2", "SIGTERM"]),
    ("and once only", [delivered, cancelled, terminated, terminated], ["message 2", "SIGTERM"]),
    ("the cancellation's deadline", [delivered, cancelled, overdue], ["message 2", "SIGTERM"]),
    ("and then the grace", [delivered, cancelled, overdue, overdue], ["message 2", "SIGTERM", "SIGKILL"]),
]


@pytest.mark.parametrize(("events", "expected"), [path[1:] for path in PATHS], ids=[path[0] for path in PATHS])
def test_paths(events: list[Event], expected: list[str]) -> None:
    control = Control(started=0.0, grace_seconds=25.0)
    actions = [action for now, event in enumerate(events) for action in event(control, float(now))]
    assert told(actions) == expected


def test_deadlines_are_those_of_the_phase() -> None:
    control = Control(started=100.0, grace_seconds=25.0)
    assert control.deadline == 100.0 + DELIVERY_SECONDS
    control.on_delivered(101.0)
    assert control.deadline is None
    control.on_cancellation(45.0, 200.0)
    assert control.deadline == 245.0
    control.on_deadline(245.0)
    assert control.deadline == 270.0


def test_only_a_kill_before_the_delivery_counts_as_refused() -> None:
    early, late = Control(started=0, grace_seconds=1), Control(started=0, grace_seconds=1)
    early.on_signal(signal.SIGTERM, 0)
    late.on_delivered(0)
    late.on_signal(signal.SIGTERM, 0)
    assert (early.refused_by_signal, late.refused_by_signal) == (signal.SIGTERM, 0)


def test_the_reason_tells_the_story() -> None:
    control = Control(started=0, grace_seconds=25)
    control.on_delivered(0)
    control.on_cancellation(45, 0)
    control.on_signal(signal.SIGTERM, 1)
    control.on_deadline(26)
    assert control.reason == (
        "the job was cancelled, and the pod was told to end (SIGTERM); Runner.Worker was killed 25 s later"
    )


def test_the_types_are_the_runners() -> None:
    assert (CANCEL_REQUEST, RUNNER_SHUTDOWN) == (2, 3)
