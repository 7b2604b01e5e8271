"""Jobs as they are: what runs, what waits and why, what was lost and what has become of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from actions_gateway.api.ledger import NEEDS_PERSON, RerunState
from actions_gateway.engine.clock import Clock
from gw.checks.catalog.causes import Reports, look
from gw.errors import Blind, Refused
from gw.exits import ExitCode
from gw.ops.tenants import not_a_tenant
from gw.sources.cluster import Cluster
from gw.sources.facts import Fact, Facts, Known, Missing, Need
from gw.sources.gateways import GatewayFact, GroupFact, WaitFact
from gw.sources.gathering import gather_facts
from gw.sources.jobs import JobReference, host_of, run_url
from gw.sources.lostjobs import UNREADABLE, LostJobFact
from gw.sources.pods import PodFact, PodRole

T = TypeVar("T")

_ENDED = ("Succeeded", "Failed")
_SHOWN = 5
_RERUN = (RerunState.REQUESTED, RerunState.UNNEEDED)


class JobState(StrEnum):
    """The parts of the list."""

    RUNNING = "running"
    """A worker stands behind it, started or not."""
    WAITING = "waiting"
    """Delivered or claimed, and without a worker that runs."""
    LOST = "lost"
    """It lost its worker and was not rerun."""
    RERUN = "rerun"
    """It lost its worker, and GitHub reruns it or need not."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A worker's pod."""

    pod: PodFact
    url: str
    """Of its run; empty when the pod or its gateway does not say."""


@dataclass(frozen=True, slots=True)
class WaitingJobs:
    """Jobs of a group that wait for one thing."""

    namespace: str
    group: str
    wait: WaitFact


@dataclass(frozen=True, slots=True)
class LostJob:
    """A job in a tenant's ledger."""

    fact: LostJobFact
    url: str
    budget_left: int | None
    """Reruns that its run still has; None while its group is not known."""

    @property
    def state(self) -> JobState:
        return JobState.RERUN if self.fact.state in _RERUN else JobState.LOST

    @property
    def needs_person(self) -> bool:
        return self.fact.state in NEEDS_PERSON

    @property
    def is_unreadable(self) -> bool:
        return self.fact.state == UNREADABLE


@dataclass(frozen=True, slots=True)
class JobReport:
    """The jobs of a tenant, or of all, at one moment."""

    at: datetime
    namespace: str | None
    running: tuple[RunningJob, ...]
    waiting: tuple[WaitingJobs, ...]
    lost: tuple[LostJob, ...]
    """Those that were rerun included."""
    unseen: tuple[Missing, ...]
    """What could not be read: nothing is known of its jobs."""
    gateways: tuple[GatewayFact, ...] = ()
    ended: tuple[RunningJob, ...] = ()
    """Pods of jobs that have ended, as long as they are kept."""
    stale: tuple[Missing, ...] = ()
    """Why what was read may have changed."""

    @property
    def exit_code(self) -> ExitCode:
        """What could not be read is unknown, never fine."""
        is_blind = bool(self.unseen or self.stale) or any(job.is_unreadable for job in self.lost)
        return ExitCode.UNKNOWN if is_blind else ExitCode.OK


_NEEDS = {
    JobState.RUNNING: {Need.PODS},
    # Pods tell whether there is an agent, which says what waits and what was lost.
    JobState.WAITING: {Need.GROUPS, Need.PODS},
    JobState.LOST: {Need.LOST_JOBS, Need.GROUPS, Need.PODS},
    JobState.RERUN: {Need.LOST_JOBS, Need.GROUPS, Need.PODS},
}


async def list_jobs(cluster: Cluster, namespace: str | None, states: Sequence[JobState], clock: Clock) -> JobReport:
    """The jobs in these states, in all of them without any; raises Refused when the namespace is no tenant."""
    wanted = set(states or JobState)
    needs = {Need.GATEWAYS}.union(*(_NEEDS[state] for state in wanted))
    facts = await gather_facts(cluster, namespace, needs, clock)
    report = decide_report(facts, needs)
    if namespace and not report.gateways and not report.unseen:
        raise await not_a_tenant(cluster, namespace)
    return JobReport(
        at=report.at,
        namespace=namespace,
        running=report.running if JobState.RUNNING in wanted else (),
        waiting=report.waiting if JobState.WAITING in wanted else (),
        lost=tuple(job for job in report.lost if job.state in wanted),
        unseen=report.unseen,
        gateways=report.gateways,
        stale=() if wanted == {JobState.RUNNING} else tuple(_without_report(facts)),
    )


async def find_jobs(cluster: Cluster, namespace: str | None, reference: JobReference, clock: Clock) -> JobReport:
    """All that is known of a run, of one job of it or of a pod's; raises Refused when that is nothing.

    Raises Blind when it is nothing and something could not be read.
    """
    needs = {Need.GATEWAYS, Need.GROUPS, Need.PODS, Need.LOST_JOBS}
    facts = await gather_facts(cluster, namespace, needs, clock)
    report = decide_report(facts, needs)
    if namespace and not report.gateways and not report.unseen:
        raise await not_a_tenant(cluster, namespace)
    found = narrowed(report, reference)
    if not found.running and not found.ended and not found.lost:
        where = f" in {namespace}" if namespace else ""
        what = f"nothing is known of {reference.text}{where}"
        if report.unseen:
            reasons = "; ".join(missing.reason for missing in report.unseen)
            raise Blind(f"{what}, and {reasons}", next(m.next_step for m in report.unseen) or "Try again.")
        raise Refused(what, "A job that waits has no run here, and the pod of one that ended goes: see `gw job list`.")
    return replace(found, stale=tuple(_without_report(facts, {job.fact.namespace for job in found.lost})))


def narrowed(report: JobReport, reference: JobReference) -> JobReport:
    """The report without other jobs than those meant; raises Refused when no gateway works for the address's host."""
    hosts = sorted({host_of(gateway.github_url) for gateway in report.gateways})
    if reference.host and reference.host not in hosts and not report.unseen:
        raise Refused(
            f"no gateway works for {reference.host}",
            f"Name a run at {' or '.join(hosts)}." if hosts else "See the tenants with `gw tenant list`.",
        )
    places = {one.namespace for one in report.gateways if reference.host in ("", host_of(one.github_url))}
    if not reference.host or not report.gateways:
        places |= {job.pod.namespace for job in (*report.running, *report.ended)}
        places |= {job.fact.namespace for job in report.lost}
    workers = [job for job in (*report.running, *report.ended) if job.pod.namespace in places]
    pods = [job for job in workers if _is_meant_pod(job.pod, reference)]
    runners = {(job.pod.namespace, job.pod.runner) for job in pods if job.pod.runner}
    lost = [job for job in report.lost if job.fact.namespace in places and _is_meant(job.fact, reference, runners)]
    if reference.job_id is not None:
        # A job of the run whose id nobody knows may be the one that is meant, unless that one is known.
        lost = [job for job in lost if job.fact.job_id is not None] or lost
    return JobReport(
        at=report.at,
        namespace=report.namespace,
        running=tuple(job for job in pods if job.pod.phase not in _ENDED),
        waiting=(),
        lost=tuple(lost),
        unseen=report.unseen,
        gateways=report.gateways,
        ended=tuple(job for job in pods if job.pod.phase in _ENDED),
    )


def _is_meant_pod(pod: PodFact, reference: JobReference) -> bool:
    if reference.pod:
        return pod.name == reference.pod
    return pod.run_id == str(reference.run_id) and _is_repository(pod.repository, reference)


def _is_meant(fact: LostJobFact, reference: JobReference, runners: set[tuple[str, str]]) -> bool:
    if reference.pod:
        return (fact.namespace, fact.runner) in runners
    is_job = reference.job_id is None or fact.job_id in (None, reference.job_id)
    return fact.run_id == reference.run_id and is_job and _is_repository(fact.repository, reference)


def _is_repository(repository: str, reference: JobReference) -> bool:
    return not reference.repository or repository.lower() in ("", reference.repository.lower())


def decide_report(facts: Facts, needs: set[Need]) -> JobReport:
    """What the facts say of jobs; what is missing of `needs` is named in `unseen`."""
    unseen = [fact for need in sorted(needs) if isinstance(fact := getattr(facts, need.fact), Missing)]
    gateways, groups = _of(facts.gateways), _of(facts.groups)
    workers = [RunningJob(pod, _url(gateways, pod.namespace, pod.repository, pod.run_id)) for pod in _workers(facts)]
    return JobReport(
        at=facts.now,
        namespace=facts.namespace,
        running=tuple(job for job in workers if job.pod.phase not in _ENDED),
        waiting=tuple(waiting for group in groups for waiting in _waiting(group)),
        lost=tuple(_lost(fact, gateways, groups) for fact in _of(facts.lost_jobs)),
        unseen=tuple(unseen),
        gateways=gateways,
        ended=tuple(job for job in workers if job.pod.phase in _ENDED),
    )


def _without_report(facts: Facts, namespaces: set[str] | None = None) -> Iterator[Missing]:
    """What a group's status and the ledger say is as old as the agent that wrote it; of these tenants, or of all."""
    if not isinstance(facts.gateways, Known) or not isinstance(facts.pods, Known):
        return
    reports = Reports(facts)
    silent = sorted(
        gateway.namespace
        for gateway in facts.gateways.value
        if (namespaces is None or gateway.namespace in namespaces)
        and not gateway.wants_no_agent
        and not reports.has_agent(gateway.namespace)
    )
    if silent:
        more = f" and {len(silent) - _SHOWN} more" if len(silent) > _SHOWN else ""
        where = ", ".join(silent[:_SHOWN]) + more
        what = f"what waits and what was lost in {where}: no agent is ready there, so it may have changed"
        yield Missing(what, f"See `{look(silent[0], 'agent.available')}`.")


def _of(fact: Fact[tuple[T, ...]]) -> tuple[T, ...]:
    return fact.value if isinstance(fact, Known) else ()


def _workers(facts: Facts) -> list[PodFact]:
    return [pod for pod in _of(facts.pods) if pod.role is PodRole.WORKER]


def _waiting(group: GroupFact) -> Iterator[WaitingJobs]:
    for wait in group.waiting:
        yield WaitingJobs(group.namespace, group.name, wait)
    if group.pending_jobs and not group.waiting:
        text = "Its agent does not say what they wait for: it is of an older release."
        yield WaitingJobs(group.namespace, group.name, WaitFact("unknown", group.pending_jobs, None, text))


def _lost(fact: LostJobFact, gateways: Sequence[GatewayFact], groups: Sequence[GroupFact]) -> LostJob:
    group = next((one for one in groups if (one.namespace, one.name) == (fact.namespace, fact.group)), None)
    most = group.max_eviction_retries if group is not None else None
    url = _url(gateways, fact.namespace, fact.repository, fact.run_id)
    return LostJob(fact, url, None if most is None else max(0, most - fact.retries))


def _url(gateways: Sequence[GatewayFact], namespace: str, repository: str, run_id: int | str) -> str:
    served = [gateway for gateway in gateways if gateway.namespace == namespace]
    return run_url(served[0].github_url, repository, run_id) if served and run_id else ""
