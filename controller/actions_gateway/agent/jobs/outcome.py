"""What a worker pod's state says: projected from the manifest, and judged once the worker has ended.

The wrapper hands on `Runner.Worker`'s exit code 100 + result, with 100 and 101 as 0. Such a code is returned only after
GitHub accepted the job's completion (actions/runner `src/Runner.Worker/JobRunner.cs`, `src/Runner.Common/Util/
TaskResultUtil.cs`); with any other one nobody has told GitHub how the job ended. A pod counts as ended when its
container `runner` has, since a sidecar may keep the pod itself running.

A worker that was taken away is told from one whose job failed by the pod's marks (`agent.recovery.causes`), or by a
deletion that was asked for before its container ended and not by the agent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from actions_gateway.agent.jobs.trouble import Trouble, trouble_of
from actions_gateway.agent.recovery.causes import marked_cause
from actions_gateway.api import labels
from actions_gateway.api.ledger import Cause
from actions_gateway.api.names import RUNNER_CONTAINER
from actions_gateway.github.payload import RunIdentity

_TERMINAL_PHASES = ("Succeeded", "Failed")


class Result(StrEnum):
    """How a job ended, as far as the worker tells; the values of the metric's label."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    LOST = "lost"
    """The worker never started, was taken away, or its job's lock was lost."""


GIVEN_UP = "pending_deadline"
"""The agent's word for a worker that it deleted since it did not start; its job is to run elsewhere."""

_DEADLINE = "DeadlineExceeded"
"""The pod outlived `activeDeadlineSeconds`: the job is too long, and would be again."""

WRONG_JOB = 80
"""The wrapper's exit code for a Secret that has become another job's (`worker.errors`): its own never ran."""

_REPORTED = {
    0: Result.SUCCEEDED,
    100: Result.SUCCEEDED,
    101: Result.SUCCEEDED,
    102: Result.FAILED,
    103: Result.CANCELED,
    104: Result.SUCCEEDED,
    105: Result.FAILED,
}


_UNKNOWN_RUN = RunIdentity()


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
    identity: RunIdentity = _UNKNOWN_RUN
    runner: str = ""
    """The registration that took its job."""
    mark: Cause | None = None
    """What its status names as the cause of its end."""
    deletion_asked_at: datetime | None = None
    deletion_due: datetime | None = None
    """By when its containers have ended, on a node that answers."""
    own_deletion: str = ""
    """Why the agent deleted it while it lived."""
    trouble: Trouble | None = None
    """What keeps it from running."""
    cancel_deadline: datetime | None = None
    """By when its worker has to have ended, since a person cancelled its job."""

    @property
    def has_ended(self) -> bool:
        """Whether the worker is at its end."""
        return self.is_gone or self.exit_code is not None or self.phase in _TERMINAL_PHASES

    @property
    def has_reported(self) -> bool:
        """GitHub knows from the worker itself how its job ended."""
        return self.exit_code in _REPORTED

    @property
    def cause(self) -> Cause | None:
        """Why its worker was taken away; None when nobody took it away."""
        if self.own_deletion or self.reason == _DEADLINE:
            return None
        return self.mark or (Cause.DELETION if self._was_deleted_first else None)

    @property
    def _was_deleted_first(self) -> bool:
        if self.finished_at is None or self.deletion_asked_at is None:
            return self.is_gone and self.exit_code is None
        # Both moments have a resolution of a second. A worker that still reports takes longer than that to end, and a
        # tool that clears ended pods away does not.
        resolution = timedelta(seconds=1 if self.has_reported else 0)
        return self.deletion_asked_at + resolution <= self.finished_at


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a worker."""

    result: Result
    is_reported: bool
    """GitHub knows the result from the worker itself."""
    has_started: bool
    detail: str
    message: str = ""
    cause: Cause | None = None
    """Why the worker was taken away; None when the end is the job's own."""


def view_of(pod: dict[str, Any], *, is_gone: bool = False) -> PodView:
    """The projection of a pod; `is_gone` for the last state of a deleted one."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    runner: dict[str, Any] = next(
        (s for s in status.get("containerStatuses") or [] if s.get("name") == RUNNER_CONTAINER), {}
    )
    state = runner.get("state") or {}
    ended = state.get("terminated") or {}
    # A kubelet that lost the container writes exit code 137 without ever having started it, and containerd's moment
    # for one that it could not start is 1970 (containerd, issue 9080).
    begun = str(ended.get("startedAt") or "")
    has_started = "running" in state or begun >= "1971" or bool(runner.get("started"))
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
        identity=RunIdentity(
            repository=annotations.get(labels.REPOSITORY),
            run_id=_number(annotations.get(labels.RUN_ID)),
            run_attempt=_number(annotations.get(labels.RUN_ATTEMPT)),
            job_name=annotations.get(labels.JOB_NAME, ""),
        ),
        runner=annotations.get(labels.RUNNER_NAME, ""),
        mark=marked_cause(status.get("reason") or "", _disruption_reason(status)),
        deletion_asked_at=_deletion_asked_at(metadata),
        deletion_due=_moment(metadata.get("deletionTimestamp")),
        own_deletion=annotations.get(labels.DELETION_REASON, ""),
        trouble=trouble_of(pod),
        cancel_deadline=_stated_moment(annotations.get(labels.CANCELLATION)),
    )


def judge(view: PodView, *, has_started: bool = False) -> Outcome | None:
    """The outcome of an ended worker, None while it goes on; `has_started` adds what earlier views showed."""
    if not view.has_ended:
        return None
    started = has_started or view.has_started
    if (view.exit_code is None and view.phase == "Succeeded") or (
        view.exit_code is not None and _REPORTED.get(view.exit_code) is Result.SUCCEEDED
    ):
        return Outcome(Result.SUCCEEDED, is_reported=True, has_started=True, detail=_detail(view))
    cause, detail = view.cause, _detail(view)
    if view.exit_code is not None and (result := _REPORTED.get(view.exit_code)) is not None:
        # A worker that is told to stop reports its job as failed or cancelled: that is not the job's own end.
        return Outcome(result, is_reported=True, has_started=True, detail=detail, cause=cause)
    if not started or view.exit_code == WRONG_JOB:
        is_given_up = view.own_deletion in ("", GIVEN_UP)
        cause = cause or (Cause.ABANDONED if is_given_up and view.reason != _DEADLINE else None)
        return Outcome(Result.LOST, is_reported=False, has_started=False, detail=detail, cause=cause)
    result = Result.FAILED if cause is None else Result.LOST
    return Outcome(result, is_reported=False, has_started=True, detail=detail, message=view.message, cause=cause)


def _detail(view: PodView) -> str:
    if view.exit_code in _REPORTED:
        return f"exit code {view.exit_code}"
    if view.phase == "Succeeded":
        return "the pod succeeded"
    if view.exit_code is not None:
        cause = f" ({view.exit_reason})" if view.exit_reason not in ("", "Error") else ""
        return f"the worker ended with exit code {view.exit_code}{cause}"
    if view.is_gone:
        return "the worker's pod was deleted"
    return f"the worker's pod failed{f' ({view.reason})' if view.reason else ''}"


def _is_scheduled(status: dict[str, Any]) -> bool:
    conditions = status.get("conditions") or []
    return any(c.get("type") == "PodScheduled" and c.get("status") == "True" for c in conditions)


def _stated_moment(text: object) -> datetime | None:
    """The moment in an annotation, which anybody may have edited."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _disruption_reason(status: dict[str, Any]) -> str:
    conditions = status.get("conditions") or []
    marks = (c for c in conditions if c.get("type") == "DisruptionTarget" and c.get("status") == "True")
    return next((str(mark.get("reason") or "") for mark in marks), "")


def _deletion_asked_at(metadata: dict[str, Any]) -> datetime | None:
    """A deletion's time stamp lies ahead by the grace that was given (Kubernetes API reference, ObjectMeta)."""
    ends_at = _moment(metadata.get("deletionTimestamp"))
    try:
        return ends_at and ends_at - timedelta(seconds=float(metadata.get("deletionGracePeriodSeconds") or 0))
    except OverflowError:
        return None  # a grace of ages: any int64 is admitted


def _number(text: str | None) -> int | None:
    # A person may have written it.
    return int(text) if text and text.isdecimal() and len(text) < 20 else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
