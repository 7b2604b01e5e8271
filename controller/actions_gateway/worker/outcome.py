"""What the pod reports: the container's exit code and the termination message.

`Runner.Worker` exits with 100 + TaskResult, and only after GitHub accepted the result; anything else means that nobody
reported one (actions/runner `src/Runner.Common/Util/TaskResultUtil.cs`, `src/Sdk/DTWebApi/WebApi/TaskResult.cs`).
"""

# Importing pathlib would add 6 ms to every pod's start.
# ruff: noqa: PTH123
from __future__ import annotations

import os

from . import log

RESULTS = ("succeeded", "succeededWithIssues", "failed", "canceled", "skipped", "abandoned")
RESULT_BASE = 100

MESSAGE_CHARACTERS = 900
"""Kubernetes keeps at most 4096 bytes of a termination message, and a character may take four."""


class Outcome:
    """`exit_code` is the container's; `worker_code` the Worker's own, 128 + n after signal n, None if it never ran."""

    __slots__ = ("exit_code", "reason", "result", "worker_code")

    def __init__(self, exit_code: int, *, worker_code: int | None, result: str | None, reason: str) -> None:
        self.exit_code = exit_code
        self.worker_code = worker_code
        self.result = result
        self.reason = reason


def not_started(reason: str, *, exit_code: int = 1) -> Outcome:
    """The Worker did not get the job."""
    return Outcome(exit_code, worker_code=None, result=None, reason=reason)


def from_status(status: int, *, reason: str, tail: str) -> Outcome:
    """The outcome of an ended Worker: `status` as os.waitpid gives it, `reason` why it was ended from here (may be
    empty), `tail` the end of its output, already redacted."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        text = _sentence(reason or "Runner.Worker died", f"killed by signal {-code}", tail)
        return Outcome(128 - code, worker_code=128 - code, result=None, reason=text)
    if RESULT_BASE <= code < RESULT_BASE + len(RESULTS):
        result = RESULTS[code - RESULT_BASE]
        return Outcome(0 if code <= RESULT_BASE + 1 else code, worker_code=code, result=result, reason=reason)
    text = _sentence(reason or "Runner.Worker ended without a result", f"exit code {code}", tail)
    # Exit code 0 means that GitHub has a success; the Worker's own 0 means nothing of the kind.
    return Outcome(code or 1, worker_code=code, result=None, reason=text)


def _sentence(what: str, how: str, tail: str) -> str:
    last_lines = "".join(character for character in tail if character.isprintable() or character == "\n").strip()
    return f"{what} ({how})" + (f"; its last output:\n{last_lines}" if last_lines else "")


def write_termination_message(path: str, outcome: Outcome) -> None:
    """Writes {exit_code, result, reason} as short JSON where Kubernetes reads it; never fails the job."""
    if not path:
        return
    import json

    reason = outcome.reason
    if len(reason) > MESSAGE_CHARACTERS:
        reason = reason[: MESSAGE_CHARACTERS // 3] + " … " + reason[-2 * MESSAGE_CHARACTERS // 3 :]
    message = {"exit_code": outcome.worker_code, "result": outcome.result, "reason": reason or None}
    text = json.dumps(message, ensure_ascii=False)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        log.error(f"cannot write the termination message to {path}: {exc.strerror}")


def clear_termination_message(path: str) -> None:
    """Takes back what the launcher said for the case that the interpreter does not start; never fails the job."""
    try:
        with open(path, "r+b") as file:
            file.truncate()
    except OSError:
        pass  # none was written, or none can be: the outcome's own write tells
