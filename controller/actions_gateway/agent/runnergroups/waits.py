"""What a group's jobs wait for: its gauges, the words for its condition, and what its status says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from actions_gateway.agent.jobs.acquirer import AcquirerState
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.job import Job
from actions_gateway.api.runnergroup import MOST_OF_A_WAIT
from actions_gateway.api.waits import WaitReason
from actions_gateway.metrics.catalog import OLDEST_WAITING_JOB, WORKER_QUOTA_EXCEEDED, WORKER_QUOTA_PRESSURE
from actions_gateway.metrics.registry import Metrics

_REFUSED_BY_QUOTA = "exceeded quota"
"""The words of Kubernetes' quota admission plugin."""
_SAME_WAIT = timedelta(seconds=60)
"""A wait that began so little later is told as the one before: jobs that come and go at a full ceiling are no news."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Jobs that wait for one reason."""

    reason: WaitReason
    jobs: int
    since: datetime
    limit: str
    """What binds, by what it is: when that stays, other numbers in the message are no news."""
    message: str
    """For the tenant: which limit binds, and what ends the wait."""

    def restates(self, other: "Wait") -> bool:
        """Whether it says nothing new to who was told of the other one."""
        same = (self.reason, self.jobs, self.limit) == (other.reason, other.jobs, other.limit)
        return same and abs(self.since - other.since) < _SAME_WAIT

    def render(self) -> dict[str, Any]:
        """The entry of `status.waiting`."""
        since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ")
        message = self.message[:MOST_OF_A_WAIT]
        return {"reason": self.reason.value, "jobs": self.jobs, "since": since, "message": message}


def decide_waits(
    admission: Admission, acquirer: AcquirerState, jobs: Sequence[Job], *, now: datetime, monotonic: float
) -> tuple[Wait, ...]:
    """What the jobs of a group wait for, in the order of `WaitReason`; both moments are the present one."""
    counts, oldest = dict(acquirer.waiting), dict(acquirer.oldest)
    unstarted = [(job.waiting_since, job) for job in jobs if job.waiting_since is not None]
    if unstarted:
        counts[WaitReason.START], oldest[WaitReason.START] = len(unstarted), min(since for since, _ in unstarted)
    waits = []
    for reason in WaitReason:
        if count := counts.get(reason, 0):
            limit, message = _words(reason, admission, [job for _, job in sorted(unstarted, key=_by_age)], now)
            since = now - timedelta(seconds=max(0.0, monotonic - oldest[reason]))
            waits.append(Wait(reason, count, since, limit, message))
    return tuple(waits)


def news_of(waits: tuple[Wait, ...], told: tuple[Wait, ...]) -> tuple[Wait, ...]:
    """The waits, each in the words that it was told in where it only restates those."""
    return tuple(next((one for one in told if wait.restates(one)), wait) for wait in waits)


def _by_age(unstarted: tuple[float, Job]) -> float:
    return unstarted[0]


def _words(reason: WaitReason, admission: Admission, unstarted: Sequence[Job], now: datetime) -> tuple[str, str]:
    """Which limit binds, and the message."""
    match reason:
        case WaitReason.CEILING:
            ceiling = admission.ceiling
            text = f"This group runs as many jobs as it may at once: {max(ceiling, admission.in_use)} of {ceiling}"
            return str(ceiling), f"{text}. The next one starts when one of them ends, or with a higher maxWorkers."
        case WaitReason.QUOTA:
            shortage = admission.shortage or "a quota of the namespace had no room"
            ends = "The next one starts when running jobs free it, or with a higher quota."
            if admission.undeclared:
                ends = "No job can start until the pod template declares it."
            # What is used of it moves with every pod.
            return shortage.partition(", used ")[0], f"{_sentence(shortage)} {ends}"
        case WaitReason.BACKOFF:
            due = now + timedelta(seconds=admission.backoff_left_seconds)
            text = "The last worker of this group could not be made or did not start"
            return str(admission.failures), f"{text}. One job is tried again at {due:%Y-%m-%d %H:%M:%S} UTC."
        case WaitReason.CLAIM:
            return "", "GitHub has delivered it and it is being claimed, which takes some seconds."
        case WaitReason.START:
            return _start_words(unstarted)


def _start_words(unstarted: Sequence[Job]) -> tuple[str, str]:
    """Of the oldest job that something keeps from starting."""
    ends = "It is tried until the group's pendingPodDeadline; then the job is given up and rerun."
    for job in unstarted:
        if job.refusal:
            return "refused", f"The API server does not admit pod {job.worker.name}: {_sentence(job.refusal)} {ends}"
        if (trouble := job.trouble) is not None:
            return trouble.kind, f"Pod {job.worker.name} does not start: {_sentence(trouble.text)} {ends}"
    return "", "It is claimed, and its worker starts."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def report_waits(
    metrics: Metrics,
    labels: dict[str, str],
    *,
    admission: Admission,
    acquirer: AcquirerState,
    jobs: list[Job],
    now: float,
) -> None:
    """Sets the gauges that tell of waiting; `now` is of the monotonic clock."""
    oldest = dict(acquirer.unheld)
    unstarted = [job.unheld_since for job in jobs if job.unheld_since is not None]
    if unstarted:
        oldest[WaitReason.START] = min(unstarted)
    for reason in WaitReason:
        metrics.set(OLDEST_WAITING_JOB, max(0.0, now - oldest.get(reason, now)), **labels, reason=reason.value)
    is_refused = any(_REFUSED_BY_QUOTA in job.refusal for job in jobs if not job.has_ended)
    metrics.set(WORKER_QUOTA_PRESSURE, int(bool(admission.shortage)), **labels)
    metrics.set(WORKER_QUOTA_EXCEEDED, int(is_refused or WaitReason.QUOTA in oldest), **labels)


def quota_problem(admission: Admission, acquirer: AcquirerState, *, now: float, patience_seconds: float) -> str:
    """Why no job of the group can be claimed until a person changes a quota or the template; empty when none is needed.

    A full quota is a problem only once a job has waited for it for long: where quotas are what bounds a tenant's jobs,
    they are full all day.
    """
    if undeclared := admission.undeclared:
        return undeclared
    since = acquirer.oldest.get(WaitReason.QUOTA)
    return admission.shortage if since is not None and now - since >= patience_seconds else ""
