"""The user's cancellation, as the agent leaves it: a downward-API file with the absolute deadline of the job.

Empty or absent means none. The kubelet may take its sync period (over a minute) to show a change.
"""

# Importing pathlib would add 6 ms to every pod's start.
# ruff: noqa: PTH116, PTH123
from __future__ import annotations

import os

DEFAULT_CANCEL_SECONDS = 45.0
"""For a deadline that cannot be read: what the stock listener grants for a cancellation without its own timeout,
max(0, 60) - 15 s (actions/runner `src/Runner.Listener/JobDispatcher.cs`)."""

MINIMUM_CANCEL_SECONDS = 15.0
"""A step's process gets 10 s to end on a cancellation (actions/runner `src/Runner.Sdk/ProcessInvoker.cs`); a deadline
that the kubelet delivered late still leaves that and the report."""


class CancellationFile:
    """Looks at the file, reading it only when it changed."""

    __slots__ = ("_path", "_seen")

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def read_new(self) -> str:
        """The text of a cancellation that was not there at the last look; empty when there is none."""
        try:
            state = os.stat(self._path)
            signature = (state.st_mtime_ns, state.st_ino, state.st_size)
            if signature == self._seen:
                return ""
            with open(self._path, "rb") as file:
                text = file.read(200).decode("utf-8", "replace").strip()
        except OSError:
            return ""  # absent, or being replaced: the next look is a second away
        self._seen = signature
        return text


def seconds_until(deadline: str, *, now_unix_seconds: float) -> float:
    """Seconds from now until an RFC 3339 `deadline`, never under MINIMUM_CANCEL_SECONDS."""
    try:
        remaining = _unix_seconds(deadline) - now_unix_seconds
    except ValueError:
        return DEFAULT_CANCEL_SECONDS
    return max(remaining, MINIMUM_CANCEL_SECONDS)


def _unix_seconds(text: str) -> float:
    from datetime import datetime, timezone

    if text[10:11] not in ("T", "t", " "):
        raise ValueError("no time of day")
    instant, zone = text[:19], text[19:].lstrip(".0123456789").upper()
    parsed = datetime.fromisoformat(instant + ("+00:00" if zone in ("", "Z") else zone))
    return parsed.astimezone(timezone.utc).timestamp()  # noqa: UP017 - Python 3.10 has no datetime.UTC
