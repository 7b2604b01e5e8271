"""Whose doing the cancellation of a lost job or of its run is: a person's keeps the job from being rerun. Pure."""

from collections.abc import Sequence

from actions_gateway.api.ledger import LostJob, RunEntry
from actions_gateway.github.runs import WorkflowJob, WorkflowRun

_CANCELLED = "cancelled"


def is_same(lost: LostJob, job: WorkflowJob) -> bool:
    """Whether GitHub's job is the lost one."""
    return job.id == lost.job_id or job.runner_name == lost.runner


def is_persons_doing(
    entry: RunEntry,
    lost: LostJob,
    run: WorkflowRun,
    latest: Sequence[WorkflowJob],
    *,
    unstarted_limit_seconds: float,
) -> bool:
    """Whether a person cancelled a lost job of the entry, and has not asked for its rerun since.

    The run has ended, and `latest` are its jobs. Whoever heard of the cancellation may be gone. A job that GitHub ends
    because of us, or that got no worker until GitHub's own limit, is cancelled by nobody.
    """
    found = [job for job in latest if is_same(lost, job)]
    if _CANCELLED not in (run.conclusion, *(job.conclusion for job in found)):
        return False

    def is_nobodys(one: LostJob, job: WorkflowJob) -> bool:
        is_at_limit = job.seconds is None or job.seconds >= unstarted_limit_seconds
        return one.is_own_ending or (one.is_unstarted and is_at_limit)

    if not lost.request:
        return not any(is_nobodys(lost, job) for job in found)
    ended = latest if run.conclusion == _CANCELLED else found
    ended = [job for job in ended if job.conclusion == _CANCELLED] or ended
    known = entry.jobs.values()
    others = [job for job in ended if not any(is_same(one, job) and is_nobodys(one, job) for one in known)]
    return any(job.completed_at is None or job.completed_at > lost.not_before for job in others)
