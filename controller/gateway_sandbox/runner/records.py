"""The state of a job's steps, and its two wire forms.

For completejob: actions/runner `src/Sdk/RSWebApi/Contracts/StepResult.cs`. For the results service: the words of
GitHub's REST API ("List jobs for a workflow run").
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TASK_RESULTS = {"success": "succeeded", "failure": "failed", "cancelled": "canceled", "skipped": "skipped"}
STATES = {"queued": "pending", "in_progress": "inProgress", "completed": "completed"}


def timestamp(unix_seconds: float) -> str:
    """RFC 3339 with milliseconds."""
    milliseconds = int(unix_seconds * 1000) % 1000
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_seconds)) + f".{milliseconds:03}Z"


class StepRecord:
    """`conclusion` is success, failure, cancelled or skipped once `status` is completed; `outcome` is the same before
    continue-on-error; `reason` says why a step was skipped or failed, when its log does not."""

    def __init__(self, step_id: str, number: int, name: str, *, action_name: str = "", ref: str = "") -> None:
        self.id = step_id
        self.number = number
        self.name = name
        self.action_name = action_name
        self.ref = ref
        self.status = "queued"
        self.conclusion: str | None = None
        self.outcome: str | None = None
        self.reason = ""
        self._started_at: str | None = None
        self._completed_at: str | None = None

    def start(self) -> None:
        self.status, self._started_at = "in_progress", timestamp(time.time())

    def complete(self, conclusion: str, *, outcome: str | None = None, reason: str = "") -> None:
        self.status, self.conclusion, self.outcome = "completed", conclusion, outcome or conclusion
        self.reason = reason or self.reason
        self._completed_at = timestamp(time.time())
        self._started_at = self._started_at or self._completed_at

    def for_results(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "number": self.number,
            "name": self.name,
            "status": self.status,
            "conclusion": self.conclusion,
            "reason": self.reason or None,
            "started_at": self._started_at,
            "completed_at": self._completed_at,
        }

    def for_completion(self) -> dict[str, Any]:
        return {
            "external_id": self.id,
            "number": self.number,
            "name": self.name,
            "action_name": self.action_name or None,
            "ref": self.ref or None,
            "type": "runner" if not self.action_name else "action",
            "status": STATES[self.status],
            "conclusion": TASK_RESULTS.get(self.conclusion or ""),
            "started_at": self._started_at,
            "completed_at": self._completed_at,
            "is_background": False,
        }
