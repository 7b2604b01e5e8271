"""What a pod's state says of its worker's end."""

from typing import Any

import pytest

from actions_gateway.agent.jobs.outcome import WRONG_JOB, Outcome, Result, judge, view_of
from actions_gateway.agent.jobs.reporting import annotation_text
from actions_gateway.api import labels
from actions_gateway.api.ledger import Cause
from actions_gateway.worker.errors import WrongJob

STARTED = "2026-01-05T09:00:00Z"


def pod(phase: str = "Running", *, state: Any = None, reason: str = "", **metadata: Any) -> dict[str, Any]:
    containers = [{"name": "runner", "state": state}] if state is not None else []
    status = {"phase": phase, "reason": reason, "containerStatuses": containers}
    return {"metadata": {"name": "p", "uid": "u", **metadata}, "status": status}


def ended(exit_code: int, **fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "startedAt": STARTED, "finishedAt": STARTED, **fields}}


@pytest.mark.parametrize(
    ("exit_code", "result"),
    [
        (0, Result.SUCCEEDED),
        (100, Result.SUCCEEDED),
        (101, Result.SUCCEEDED),
        (102, Result.FAILED),
        (103, Result.CANCELED),
        (104, Result.SUCCEEDED),
        (105, Result.FAILED),
    ],
)
def test_with_these_exit_codes_the_worker_has_told_github_itself(exit_code: int, result: Result) -> None:
    outcome = judge(view_of(pod("Failed", state=ended(exit_code))))
    assert outcome is not None
    assert outcome.result is result
    assert outcome.is_reported


@pytest.mark.parametrize("exit_code", [1, 2, 99, 106, 134, 137, 143])
def test_with_any_other_exit_code_nobody_has(exit_code: int) -> None:
    outcome = judge(view_of(pod("Failed", state=ended(exit_code, reason="OOMKilled", message="boom"))))
    assert outcome is not None
    assert outcome.result is Result.FAILED
    assert outcome.has_started
    assert not outcome.is_reported
    assert str(exit_code) in outcome.detail
    assert "OOMKilled" in outcome.detail
    assert outcome.message == "boom"


def test_a_pod_whose_runner_has_ended_counts_as_ended_although_a_sidecar_runs_on() -> None:
    outcome = judge(view_of(pod("Running", state=ended(0))))
    assert outcome is not None
    assert outcome.result is Result.SUCCEEDED


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_worker_that_goes_on_has_no_outcome(phase: str) -> None:
    assert judge(view_of(pod(phase, state={"running": {"startedAt": STARTED}}))) is None


def test_an_evicted_pod_that_never_started_is_lost_and_not_to_be_completed() -> None:
    outcome = judge(view_of(pod("Failed", reason="Evicted")))
    assert outcome is not None
    assert outcome.result is Result.LOST
    assert not outcome.has_started
    assert "Evicted" in outcome.detail


def test_a_pod_that_is_deleted_while_it_runs_has_lost_its_worker() -> None:
    outcome = judge(view_of(pod("Running"), is_gone=True), has_started=True)
    detail = "the worker's pod was deleted"
    assert outcome == Outcome(Result.LOST, is_reported=False, has_started=True, detail=detail, cause=Cause.DELETION)


def disrupted(reason: str, status: str = "True") -> list[dict[str, str]]:
    return [{"type": "DisruptionTarget", "status": status, "reason": reason}]


MARKS: list[tuple[str, list[dict[str, str]], Cause | None]] = [
    ("Evicted", [], Cause.EVICTION),
    ("Preempting", [], Cause.PREEMPTION),
    ("Terminated", [], Cause.DELETION),
    ("NodeLost", [], Cause.DELETION),
    ("", disrupted("PreemptionByScheduler"), Cause.PREEMPTION),
    ("", disrupted("TerminationByKubelet"), Cause.EVICTION),
    ("", disrupted("EvictionByEvictionAPI"), Cause.DELETION),
    ("", disrupted("DeletionByTaintManager"), Cause.DELETION),
    ("", disrupted("DeletionByPodGC"), Cause.DELETION),
    ("", disrupted("PreemptionByScheduler", status="False"), None),
    ("", disrupted("SomethingNew"), None),
    ("DeadlineExceeded", disrupted("EvictionByEvictionAPI"), None),
    ("", [], None),
]


@pytest.mark.parametrize(("reason", "conditions", "cause"), MARKS)
@pytest.mark.parametrize("exit_code", [1, 102, 103, 137])
def test_the_marks_of_a_pod_name_the_cause_of_its_end(
    reason: str, conditions: list[dict[str, str]], cause: Cause | None, exit_code: int
) -> None:
    manifest = pod("Failed", state=ended(exit_code), reason=reason)
    manifest["status"]["conditions"] = conditions
    outcome = judge(view_of(manifest))
    assert outcome is not None
    assert outcome.cause is cause


def test_a_worker_that_succeeded_lost_nothing_whatever_its_pod_says() -> None:
    outcome = judge(view_of(pod("Failed", state=ended(0), reason="Evicted")))
    assert outcome is not None
    assert (outcome.result, outcome.cause) == (Result.SUCCEEDED, None)


@pytest.mark.parametrize(
    ("asked", "ended_at", "exit_code", "cause"),
    [
        ("09:00:00", "09:00:05", 102, Cause.DELETION),
        ("09:00:00", "09:00:00", 137, Cause.DELETION),
        ("09:00:00", "09:00:00", 102, None),
        ("09:00:06", "09:00:05", 137, None),
        ("09:00:06", "09:00:05", 102, None),
    ],
)
def test_a_deletion_is_the_cause_if_it_was_asked_for_before_the_end(
    asked: str, ended_at: str, exit_code: int, cause: Cause | None
) -> None:
    hours, minutes, seconds = asked.split(":")
    metadata = {
        "deletionTimestamp": f"2026-01-05T{hours}:{minutes}:{int(seconds) + 30}Z",
        "deletionGracePeriodSeconds": 30,
    }
    manifest = pod("Failed", state=ended(exit_code, finishedAt=f"2026-01-05T{ended_at}Z"), **metadata)
    outcome = judge(view_of(manifest))
    assert outcome is not None
    assert outcome.cause is cause


@pytest.mark.parametrize(
    ("reason", "cause"), [("cancelled", None), ("lock_lost", None), ("pending_deadline", "abandoned")]
)
def test_what_the_agent_deleted_itself_is_no_disruption(reason: str, cause: str | None) -> None:
    manifest = pod("Pending", annotations={labels.DELETION_REASON: reason})
    outcome = judge(view_of(manifest, is_gone=True))
    assert outcome is not None
    assert outcome.cause == cause
    started = judge(view_of(manifest, is_gone=True), has_started=True)
    assert started is not None
    assert started.cause is None


def test_a_worker_that_found_another_job_in_its_secret_ran_nothing_of_its_own() -> None:
    assert WrongJob.exit_code == WRONG_JOB
    outcome = judge(view_of(pod("Failed", state=ended(WRONG_JOB))))
    assert outcome is not None
    assert (outcome.result, outcome.cause, outcome.has_started) == (Result.LOST, Cause.ABANDONED, False)


def test_a_worker_that_never_started_and_bears_no_mark_was_abandoned() -> None:
    outcome = judge(view_of(pod("Failed", reason="OutOfcpu")))
    assert outcome is not None
    assert (outcome.result, outcome.cause, outcome.has_started) == (Result.LOST, Cause.ABANDONED, False)


def test_a_deleted_pod_that_never_started_is_lost() -> None:
    outcome = judge(view_of(pod("Pending"), is_gone=True))
    assert outcome is not None
    assert not outcome.has_started


def test_a_deleted_pod_keeps_the_exit_code_it_showed_last() -> None:
    outcome = judge(view_of(pod("Running", state=ended(102)), is_gone=True))
    assert outcome is not None
    assert outcome.is_reported


@pytest.mark.parametrize(
    "ended",
    [{"exitCode": 137, "startedAt": None}, {"exitCode": 128, "startedAt": "1970-01-01T00:00:00Z"}],
    ids=["lost by the kubelet", "refused by the container runtime"],
)
def test_a_container_that_was_never_started_did_not_run(ended: dict[str, Any]) -> None:
    outcome = judge(view_of(pod("Failed", state={"terminated": ended})))
    assert outcome is not None
    assert not outcome.has_started


def test_a_pod_is_scheduled_once_its_condition_says_so() -> None:
    waiting = pod("Pending")
    assert not view_of(waiting).is_scheduled
    waiting["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    assert view_of(waiting).is_scheduled


def test_the_annotation_gives_the_cause_and_the_tail_of_the_output() -> None:
    outcome = Outcome(Result.FAILED, is_reported=False, has_started=True, detail="the pod failed", message="x" * 5000)
    text = annotation_text(outcome)
    assert text.startswith("The pod failed before it could report to GitHub.\n")
    assert len(text) < 2100
