"""Sends step states and log lines to the results service from a thread of its own, so that a job never waits for it.

Wire form (the simulator's, in place of GitHub's results service): `POST {ResultsServiceUrl}jobs/{planId}/steps` with
`{"steps": […]}` and `POST …/log` with text, both with the job's token.
"""

from __future__ import annotations

import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .service import ServiceClient

MAXIMUM_POST_CHARACTERS = 1 << 20
MAXIMUM_WAITING_CHARACTERS = 8 << 20
"""What waits for an unreachable service; beyond it lines are dropped, and the log says so."""

FLUSH_SECONDS = 10.0
"""How long the end of a job waits for what is not sent yet."""


class Reporter:
    """`log`, `steps` and `flush` are called by the job; `close` waits until everything is sent or FLUSH_SECONDS."""

    def __init__(
        self,
        connect: Callable[[], ServiceClient],
        base_url: str,
        plan_id: str,
        *,
        interval_seconds: float,
        on_error: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._base_url = base_url if base_url.endswith("/") else base_url + "/"
        self._path = f"jobs/{plan_id}/"
        self._interval_seconds = interval_seconds
        self._on_error = on_error
        self._condition = threading.Condition()
        self._lines: list[str] = []
        self._waiting_characters = 0
        self._dropped_lines = 0
        self._steps: list[dict[str, Any]] | None = None
        self._is_urgent = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="reporting", daemon=True)
        self._thread.start()

    def log(self, line: str) -> None:
        with self._condition:
            if self._waiting_characters + len(line) > MAXIMUM_WAITING_CHARACTERS:
                self._dropped_lines += 1
                return
            self._waiting_characters += len(line) + 1
            self._lines.append(line)
            if len(self._lines) == 1:
                self._condition.notify()

    def steps(self, steps: list[dict[str, Any]]) -> None:
        """Reports this state of all steps, in place of one that is not sent yet."""
        with self._condition:
            self._steps = steps
            self._is_urgent = True
            self._condition.notify()

    def close(self) -> None:
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(FLUSH_SECONDS)

    def _run(self) -> None:
        client: ServiceClient | None = None
        while (batch := self._next_batch()) is not None:
            steps, text = batch
            try:
                client = client or self._connect()
                if steps is not None:
                    client.post_json(self._base_url, self._path + "steps", {"steps": steps})
                for start in range(0, len(text), MAXIMUM_POST_CHARACTERS):
                    client.post_text(self._base_url, self._path + "log", text[start : start + MAXIMUM_POST_CHARACTERS])
            except Exception as exc:
                # As with GitHub's results service, a lost log line does not fail the job.
                self._on_error(f"cannot report to the results service: {exc}")

    def _next_batch(self) -> tuple[list[dict[str, Any]] | None, str] | None:
        """What to send next, None when everything is sent and the job is over."""
        with self._condition:
            while not self._lines and self._steps is None:
                if self._is_closing:
                    return None
                self._condition.wait()
            gather_until = time.monotonic() + self._interval_seconds
            while not self._is_urgent and not self._is_closing and (left := gather_until - time.monotonic()) > 0:
                self._condition.wait(left)
            if self._dropped_lines:
                self._lines.append(f"[{self._dropped_lines} lines dropped: the results service does not take them]")
            steps, text = self._steps, "".join(line + "\n" for line in self._lines)
            self._steps, self._lines, self._is_urgent = None, [], False
            self._waiting_characters, self._dropped_lines = 0, 0
            return steps, text
