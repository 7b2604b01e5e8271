"""Which lost jobs a person wants rerun: by reference or by what they need, and one request for each group of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from actions_gateway.api.ledger import MOST_OF_A_REQUEST, NEEDS_PERSON, RerunState
from actions_gateway.engine.clock import Clock
from gw.checks.wording import counted
from gw.errors import Blind, Refused
from gw.ops.jobs import JobReport, JobState, LostJob, find_jobs, list_jobs
from gw.sources.cluster import Cluster
from gw.sources.facts import Missing
from gw.sources.jobs import JobReference

_ON_REQUEST = NEEDS_PERSON | {RerunState.WITHHELD}


class Selection(StrEnum):
    """Which of a tenant's lost jobs, when none is named."""

    EXHAUSTED = "exhausted"
    """Those whose run has no retry left."""
    LOST = "lost"
    """All that need a person."""

    def takes(self, job: LostJob) -> bool:
        """Whether it means this job."""
        return job.fact.state == RerunState.EXHAUSTED if self is Selection.EXHAUSTED else job.fact.state in NEEDS_PERSON


@dataclass(frozen=True, slots=True)
class RerunOrder:
    """What to rerun, by reference or by selection, and how to go about it."""

    namespace: str | None
    references: tuple[JobReference, ...]
    selection: Selection | None
    token: str
    """Unique; letters, digits and hyphens."""
    timeout_seconds: float
    dry_run: bool = False
    yes: bool = False


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """One annotation to be written; what does not fit into it is asked for in turns."""

    namespace: str
    group: str
    jobs: tuple[LostJob, ...]


@dataclass(frozen=True, slots=True)
class RerunPlan:
    """What is about to be asked for, and what stays as it is."""

    requests: tuple[GroupRequest, ...]
    others: tuple[LostJob, ...]
    """Lost jobs that were named and need nothing."""

    @property
    def jobs(self) -> tuple[LostJob, ...]:
        return tuple(job for request in self.requests for job in request.jobs)


async def gather_losses(cluster: Cluster, order: RerunOrder, clock: Clock) -> JobReport:
    """What the order is about; raises Refused, and Blind when not all of it could be read."""
    if not order.references:
        report = await list_jobs(cluster, order.namespace, (JobState.LOST, JobState.RERUN), clock)
    else:
        # Each is looked for by itself, so that one that is unknown is named.
        reports = [await find_jobs(cluster, order.namespace, reference, clock) for reference in order.references]
        for reference, one in zip(order.references, reports, strict=True):
            _refuse_unsure(reference, one, order.namespace)
        report = replace(reports[-1], lost=tuple(dict.fromkeys(job for one in reports for job in one.lost)))
    if report.unseen:
        _raise_blind(report.unseen, order.namespace)
    return report


def _refuse_unsure(reference: JobReference, report: JobReport, namespace: str | None) -> None:
    """Raises Refused, with what is there, when the reference may mean a job that nobody named."""
    tenants = sorted({job.fact.namespace for job in report.lost})
    details = tuple(f"{job.fact.namespace}: {described(job)}" for job in report.lost)
    if not reference.host and namespace is None and len(tenants) > 1:
        what = f"{reference.text} may be a run of {' or of '.join(tenants)}"
        raise Refused(what, "Name the tenant with -n, or the run by its address.", details=details)
    if reference.job_id is not None and any(job.fact.job_id is None for job in report.lost):
        what = f"the ledger does not say which lost job of run {reference.run_id} is {reference.job_id}"
        step = f"Look at it at GitHub; `gw job rerun {reference.run_id} -n {tenants[0]}` reruns all that need it there."
        raise Refused(what, step, details=details)


def _raise_blind(unseen: Sequence[Missing], namespace: str | None) -> None:
    step = next((missing.next_step for missing in unseen if missing.next_step), "Try again.")
    if any(missing.is_forbidden for missing in unseen):
        where = f"in {namespace}" if namespace else "in all namespaces, or name one tenant with -n"
        step = f"Ask for the rights of gw-oncall or gw-tenant {where}."
    raise Blind("; ".join(missing.reason for missing in unseen), step)


def decide_plan(report: JobReport, order: RerunOrder) -> RerunPlan:
    """The plan; raises Refused that says what is there when it would be empty, or no agent could carry it out."""
    wanted = [job for job in report.lost if _is_wanted(job, order)]
    if not wanted:
        known = report.lost
        what = f"none of the {counted(len(known), 'lost job')} needs a rerun" if known else "there is no lost job"
        where = f" in {order.namespace}" if order.namespace else ""
        raise Refused(
            what + where,
            "What runs or fails by itself is rerun at GitHub; see `gw job list` for the rest.",
            details=tuple(described(job) for job in known),
        )
    idle = {gateway.namespace: gateway.intention for gateway in report.gateways if gateway.wants_no_agent}
    for job in wanted:
        if state := idle.get(job.fact.namespace):
            raise Refused(
                f"the gateway of {job.fact.namespace} is {state}: no agent carries a rerun out", "Lift that first."
            )
    groups = dict[tuple[str, str], list[LostJob]]()
    for job in wanted:
        groups.setdefault((job.fact.namespace, job.fact.group), []).append(job)
    requests = tuple(
        GroupRequest(*place, tuple(jobs[first : first + MOST_OF_A_REQUEST]))
        for place, jobs in sorted(groups.items())
        for first in range(0, len(jobs), MOST_OF_A_REQUEST)
    )
    named = order.references and not order.selection
    return RerunPlan(requests, tuple(job for job in report.lost if job not in wanted) if named else ())


def _is_wanted(job: LostJob, order: RerunOrder) -> bool:
    return order.selection.takes(job) if order.selection else job.fact.state in _ON_REQUEST


def described(job: LostJob) -> str:
    """One line of a lost job."""
    fact = job.fact
    return f"job {fact.name or '?'} of run {fact.run_id} ({fact.repository}): {fact.state}"
