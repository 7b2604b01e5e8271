"""The JSON that readers see: GitHub's REST documents, and the sandbox's own fuller ones.

Source: GitHub REST docs, "Self-hosted runners", "Workflow runs" and "Workflow jobs" (the fields our clients read).
"""

from typing import Any

from gateway_sandbox.github.models import DeliveryState, Job, JobState, Run, Runner, RunnerState
from gateway_sandbox.github.state import State, stamp

READ_ONLY_LABELS = ("self-hosted", "linux", "macos", "windows", "x64", "x86", "arm", "arm64")


def runner_json(runner: Runner, *, is_online: bool) -> dict[str, Any]:
    kinds = {label: "read-only" if label.lower() in READ_ONLY_LABELS else "custom" for label in runner.labels}
    return {
        "id": runner.id,
        "name": runner.name,
        "os": "linux" if runner.polled_seen is not None else "unknown",
        "status": "online" if is_online else "offline",
        "busy": runner.state is RunnerState.BUSY,
        "labels": [{"id": number, "name": name, "type": kind} for number, (name, kind) in enumerate(kinds.items(), 1)],
        "runner_group_id": runner.group_id,
        "ephemeral": True,
    }


def run_json(state: State, run: Run) -> dict[str, Any]:
    url = f"{state.base_url}/api/v3/repos/{run.repository}/actions/runs/{run.id}"
    return {
        "id": run.id,
        "name": run.name,
        "path": run.path,
        "run_number": run.number,
        "run_attempt": run.attempt,
        "event": "workflow_dispatch",
        "status": run.status,
        "conclusion": run.conclusion,
        "head_branch": "main",
        "head_sha": run.sha,
        "url": url,
        "jobs_url": f"{url}/jobs",
        "html_url": f"{state.base_url}/{run.repository}/actions/runs/{run.id}",
        "created_at": stamp(run.created_at),
        "run_started_at": stamp(run.attempt_started_at),
        "updated_at": stamp(run.completed_at or run.attempt_started_at),
        "repository": {"full_name": run.repository, "name": run.repository.partition("/")[2]},
    }


def job_json(state: State, job: Job) -> dict[str, Any]:
    run, runner = job.run, job.runner
    is_skipped = job.is_done and job.started_at is None
    return {
        "id": job.id,
        "run_id": run.id,
        "run_attempt": job.attempt,
        "workflow_name": run.name,
        "head_sha": run.sha,
        "name": job.plan.name,
        "labels": list(job.plan.labels),
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.completed_at if is_skipped else job.started_at),
        "completed_at": stamp(job.completed_at),
        "runner_id": runner.id if runner else None,
        "runner_name": runner.name if runner else None,
        "runner_group_id": runner.group_id if runner else None,
        "runner_group_name": "Default" if runner else None,
        "steps": [job.steps[number] for number in sorted(job.steps)],
        "url": f"{state.base_url}/api/v3/repos/{run.repository}/actions/jobs/{job.id}",
        "html_url": f"{state.base_url}/{run.repository}/actions/runs/{run.id}/job/{job.id}",
    }


def sandbox_job_json(state: State, job: Job) -> dict[str, Any]:
    """With what GitHub keeps to itself: why a job waits and how often it was delivered, claimed and completed."""
    return job_json(state, job) | {
        "key": job.plan.key,
        "state": job.state,
        "queued_at": stamp(job.queued_at),
        "waiting": job.waiting_for or _unserved(state, job),
        "needs": list(job.plan.needs),
        "is_cancelling": job.is_cancelling,
        "deliveries": len(job.deliveries),
        "offers": sum(delivery.offer_count for delivery in job.deliveries),
        "acquired": sum(1 for delivery in job.deliveries if delivery.token),
        "completions": job.completion_count,
    }


def _unserved(state: State, job: Job) -> str | None:
    """Why a queued job waits for nobody: no registered runner has its labels."""
    if job.state is not JobState.QUEUED or any(runner.reach.serves(job.reach) for runner in state.runners.values()):
        return None
    return f"labels: no registered runner has {', '.join(job.plan.labels)}"


def sandbox_run_json(state: State, run: Run) -> dict[str, Any]:
    jobs = [sandbox_job_json(state, job) for job in run.jobs]
    return run_json(state, run) | {
        "repository": run.repository,
        "notices": list(run.notices),
        "completed_at": stamp(run.completed_at),
        "jobs": jobs,
    }


def sandbox_runner_json(runner: Runner, *, is_online: bool) -> dict[str, Any]:
    delivery = runner.delivery
    holds = delivery is not None and delivery.state in (DeliveryState.OFFERED, DeliveryState.ACQUIRED)
    return runner_json(runner, is_online=is_online) | {
        "scope": runner.scope,
        "state": runner.state,
        "job_id": delivery.job.id if delivery is not None and holds else None,
    }
