"""What a worker pod's state says: projected from the manifest, and judged once the worker has ended.

The wrapper hands on `Runner.Worker`'s exit code 100 + result, with 100 and 101 as 0. Such a code is returned only after
GitHub accepted the job's completion (actions/runner `src/Runner.Worker/JobRunner.cs`, `src/Runner.Common/Util/
TaskResultUtil.cs`); with any other one nobody has told GitHub how the job ended. A pod counts as ended when its
container `runner` has, since a sidecar may keep the pod itself running.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import RUNNER_CONTAINER

_TERMINAL_PHASES = ("Succeeded", "Failed")


class Result(StrEnum):
    """How a job ended, as far as the worker tells; the values of the metric's label."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"
    """The worker never started, or its job's lock was lost."""


_REPORTED = {
    0: Result.SUCCEEDED,
    100: Result.SUCCEEDED,
    101: Result.SUCCEEDED,
    102: Result.FAILED,
    103: Result.CANCELED,
    104: Result.SUCCEEDED,
    105: Result.FAILED,
}


@dataclass(frozen=True, slots=True)
class PodView:
    """What the agent needs to know of a worker pod."""

    name: str
    uid: str
    group: str
    phase: str = "Pending"
    reason: str = ""
    slot: str = ""
    slot_uid: str = ""
    is_scheduled: bool = False
    is_deleting: bool = False
    has_started: bool = False
    """The runner container has run; if only for a moment."""
    exit_code: int | None = None
    exit_reason: str = ""
    message: str = ""
    """The runner container's termination message: the tail of the worker's output."""
    finished_at: datetime | None = None
    is_gone: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether the worker is at its end."""
        return self.is_gone or self.exit_code is not None or self.phase in _TERMINAL_PHASES


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a worker."""

    result: Result
    is_reported: bool
    """GitHub knows the result from the worker itself."""
    has_started: bool
    detail: str
    message: str = ""


def view_of(pod: dict[str, Any], *, is_gone: bool = False) -> PodView:
    """The projection of a pod; `is_gone` for the last state of a deleted one."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    runner: dict[str, Any] = next(
        (s for s in status.get("containerStatuses") or [] if s.get("name") == RUNNER_CONTAINER), {}
    )
    state = runner.get("state") or {}
    ended = state.get("terminated") or {}
    # A kubelet that lost the container writes exit code 137 without ever having started it.
    has_started = "running" in state or bool(ended.get("startedAt")) or bool(runner.get("started"))
    return PodView(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        group=(metadata.get("labels") or {}).get(labels.RUNNER_GROUP, ""),
        phase=status.get("phase") or "Pending",
        reason=status.get("reason") or "",
        slot=annotations.get(labels.JOB_SLOT, ""),
        slot_uid=annotations.get(labels.SLOT_UID, ""),
        is_scheduled=has_started or _is_scheduled(status),
        is_deleting=bool(metadata.get("deletionTimestamp")),
        has_started=has_started,
        exit_code=int(ended["exitCode"]) if "exitCode" in ended else None,
        exit_reason=str(ended.get("reason") or ""),
        message=str(ended.get("message") or ""),
        finished_at=_moment(ended.get("finishedAt")),
        is_gone=is_gone,
    )


def judge(view: PodView, *, has_started: bool = False) -> Outcome | None:
    """The outcome of an ended worker, None while it goes on; `has_started` adds what earlier views showed."""
    if not view.has_ended:
        return None
    started = has_started or view.has_started
    if view.exit_code is not None and (result := _REPORTED.get(view.exit_code)) is not None:
        return Outcome(result, is_reported=True, has_started=True, detail=f"exit code {view.exit_code}")
    if view.exit_code is None and view.phase == "Succeeded":
        return Outcome(Result.SUCCEEDED, is_reported=True, has_started=True, detail="the pod succeeded")
    detail = _detail(view)
    if not started:
        return Outcome(Result.LOST, is_reported=False, has_started=False, detail=detail)
    return Outcome(Result.FAILED, is_reported=False, has_started=True, detail=detail, message=view.message)


def _detail(view: PodView) -> str:
    if view.exit_code is not None:
        cause = f" ({view.exit_reason})" if view.exit_reason not in ("", "Error") else ""
        return f"the worker ended with exit code {view.exit_code}{cause}"
    if view.is_gone:
        return "the worker's pod was deleted"
    return f"the worker's pod failed{f' ({view.reason})' if view.reason else ''}"


def _is_scheduled(status: dict[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    return any(c.get("type") == "PodScheduled" and c.get("status") == "True" for c in conditions)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
