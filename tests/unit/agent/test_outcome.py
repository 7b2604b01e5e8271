"""What a pod's state says of its worker's end."""

from typing import Any

import pytest

from actions_gateway.agent.jobs.outcome import Outcome, Result, judge, view_of
from actions_gateway.agent.jobs.reporting import annotation_text

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


def test_a_deleted_pod_that_had_started_is_a_crash() -> None:
    outcome = judge(view_of(pod("Running"), is_gone=True), has_started=True)
    assert outcome == Outcome(Result.FAILED, is_reported=False, has_started=True, detail="the worker's pod was deleted")


def test_a_deleted_pod_that_never_started_is_lost() -> None:
    outcome = judge(view_of(pod("Pending"), is_gone=True))
    assert outcome is not None
    assert not outcome.has_started


def test_a_deleted_pod_keeps_the_exit_code_it_showed_last() -> None:
    outcome = judge(view_of(pod("Running", state=ended(102)), is_gone=True))
    assert outcome is not None
    assert outcome.is_reported


def test_a_container_that_was_lost_unstarted_did_not_run() -> None:
    outcome = judge(view_of(pod("Failed", state={"terminated": {"exitCode": 137, "startedAt": None}})))
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
