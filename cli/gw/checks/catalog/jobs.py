"""Checks of jobs: what do they wait for, and which lost ones does nobody rerun."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from actions_gateway.api import names
from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.ledger import NEEDS_PERSON
from actions_gateway.api.waits import WaitReason
from gw.checks.catalog.causes import Reports, look
from gw.checks.catalog.workers import check_of_pending, given_up_lately
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, lasting, seconds_since
from gw.sources.facts import Facts, Need
from gw.sources.gateways import GroupFact, WaitFact
from gw.sources.github import RUNS
from gw.sources.lostjobs import UNREADABLE, LostJobFact
from gw.sources.pods import PodRole
from gw_alerts.thresholds import JOB_UNSERVED_SECONDS, LOST_JOB_OWED, POD_CREATION_P99_SECONDS, Severity

_WAITS_FOR: Mapping[str, str] = {
    WaitReason.CEILING: "for one of the group's own jobs to end",
    WaitReason.QUOTA: "for room in the namespace's quota",
    WaitReason.BACKOFF: "for the group to try again, since its last workers could not be made or did not start",
    WaitReason.CLAIM: "for GitHub to hand them over",
    WaitReason.START: "for their workers to run",
}
_ENDS_WITH: Mapping[str, str] = {
    # Where an agent does not say it in its own words.
    WaitReason.CEILING: "it ends when a job of the group ends, or with a higher maxWorkers of the group",
    WaitReason.QUOTA: "it ends when a pod of the namespace ends, or when the platform's owners raise the quota",
    WaitReason.BACKOFF: "it ends by itself: the group tries one job, at most 5 min apart, and takes all again once a "
    "worker runs",
    WaitReason.CLAIM: "it ends when GitHub answers the claim",
    WaitReason.START: "it ends when the worker's pod runs; one that does not is given up and its job rerun",
}


def _waiting(facts: Facts) -> Iterator[Finding]:
    reports, blocked = Reports(facts), _blocked(facts)
    for group in facts.groups.value:
        subject, gateway = f"{group.namespace}/{group.name}", reports.gateway_of(group)
        intention = gateway.intention if gateway is not None else ""
        by_intention = f"its gateway is {intention} by intention" if intention else "suspended by intention"
        # What was delivered before a pause still waits here.
        is_shut = gateway is not None and gateway.wants_no_agent
        if is_shut or ((intention or group.suspended) and not group.waiting):
            yield skipped(subject, f"{by_intention}; jobs that are not delivered wait at GitHub")
        elif not reports.has_agent(group.namespace):
            yield unknown(subject, "no agent is ready to tell what its jobs wait for; see agent.available")
        elif group.waiting:
            for wait in group.waiting:
                yield _wait(group, wait, facts, _told_elsewhere(group, wait, reports, blocked))
        elif group.pending_jobs:
            yield ok(subject, f"{counted(group.pending_jobs, 'job')} on the way to a worker")
        else:
            yield ok(subject, "no job waits")


def _wait(group: GroupFact, wait: WaitFact, facts: Facts, told_by: str) -> Finding:
    subject, waited_seconds = f"{group.namespace}/{group.name}", seconds_since(wait.since, facts.now)
    verb = "waits" if wait.jobs == 1 else "wait"
    words = f"{counted(wait.jobs, 'job')} {verb} {_WAITS_FOR.get(wait.reason, f'for {wait.reason}')}"
    if wait.reason != WaitReason.CEILING and waited_seconds is None:
        return unknown(subject, f"{words}, and its agent does not say since when")
    if (
        wait.reason != WaitReason.CEILING
        and waited_seconds is not None
        and waited_seconds <= POD_CREATION_P99_SECONDS.value
    ):
        return ok(subject, f"{words}, for {lasting(waited_seconds)}")
    is_told = wait.reason == WaitReason.CEILING or bool(told_by)
    return problem(
        subject,
        words,
        since=wait.since,
        evidence=(wait.message or _ENDS_WITH.get(wait.reason, ""),),
        next_step=look(group.namespace, told_by) if told_by else f"gw job list -n {group.namespace}",
        severity=Severity.INFO if is_told else POD_CREATION_P99_SECONDS.severity,
    )


def _told_elsewhere(group: GroupFact, wait: WaitFact, reports: Reports, blocked: Mapping[tuple[str, str], str]) -> str:
    """The check that pages for what the jobs wait for; empty when only this one does."""
    degraded = group.condition(ConditionType.DEGRADED)
    is_refused = degraded is not None and degraded.is_true and degraded.reason == Reason.WORKERS_REFUSED
    match wait.reason:
        case WaitReason.QUOTA:
            return "quota.headroom"
        case WaitReason.BACKOFF | WaitReason.START:
            return blocked.get((group.namespace, group.name)) or ("worker.admitted" if is_refused else "")
        case WaitReason.CLAIM:
            return reports.cause_of_silence(group)
        case _:
            return ""


def _blocked(facts: Facts) -> Mapping[tuple[str, str], str]:
    """By namespace and group the check that tells what keeps its workers from starting."""
    pending = {
        (pod.namespace, pod.group): check_id
        for pod in facts.pods.value
        if pod.role is PodRole.WORKER and pod.phase == "Pending" and (check_id := check_of_pending(pod))
    }
    return {(namespace, group): check_id for namespace, group, check_id in given_up_lately(facts)} | pending


def _lost(facts: Facts) -> Iterator[Finding]:
    runs: dict[tuple[str, str, int], list[LostJobFact]] = defaultdict(list)
    for job in facts.lost_jobs.value:
        runs[job.namespace, job.repository, job.run_id].append(job)
    if not runs:
        yield ok("", "no ledger has a lost job")
    for (namespace, repository, run_id), jobs in runs.items():
        subject = f"{namespace}/{repository} run {run_id}"
        owed = [job for job in jobs if job.state in NEEDS_PERSON]
        if not owed and any(job.state == UNREADABLE for job in jobs):
            yield unknown(
                f"{namespace} run {run_id}",
                "its entry in the ledger cannot be read; another release wrote it, or a person",
                next_step=f"kubectl get configmap -n {namespace} {names.RERUN_LEDGER} -o yaml",
            )
        elif not owed:
            yield ok(subject, f"{counted(len(jobs), 'job')} lost, and none needs a person")
        else:
            yield problem(
                subject,
                f"{counted(len(owed), 'lost job')} of it will not be rerun until a person asks for it",
                since=min((job.lost_at for job in owed if job.lost_at), default=None),
                evidence=tuple(_told(job) for job in owed[:_SHOWN]),
                next_step=f"gw job rerun {run_id} -n {namespace}",
            )


def _unserved(facts: Facts) -> Iterator[Finding]:
    found = facts.github.value
    served: dict[str, list[frozenset[str]]] = defaultdict(list)
    for group in facts.groups.value:
        served[group.namespace].append(_lower(group.runner_labels))
    if found is None:
        yield skipped("", "GitHub alone knows of a job that no group serves; it is asked with --private-key-file")
        return
    for why in found.unlisted:
        yield unknown("", why, next_step="Look at the run's page at GitHub.", is_lasting=True)
    if found.runs_left_out:
        yield unknown(
            "",
            f"{counted(found.runs_left_out, 'older run')} may have jobs that wait: gw asks for those of the newest "
            f"{RUNS} queued and the newest {RUNS} running runs",
            next_step="Look at the queued runs in the Actions tab of the repository.",
            is_lasting=True,
        )
    elif not found.jobs and not found.unlisted:
        yield ok("", "no job waits at GitHub")
    for job in found.jobs:
        subject, wanted = f"{job.repository} run {job.run_id} {job.name}", _lower(job.labels)
        age_seconds = seconds_since(job.queued_at, facts.now) or 0.0
        if any(wanted <= offered for offered in served[job.namespace]):
            yield ok(subject, "a group serves its labels")
        elif age_seconds <= JOB_UNSERVED_SECONDS.value:
            yield ok(subject, f"no group here serves its labels; it has waited for {lasting(age_seconds)} only")
        else:
            yield problem(
                subject,
                f"no group of {job.namespace} serves its labels, and nobody else has taken it",
                since=job.queued_at,
                evidence=(f"runs-on {', '.join(job.labels)}", job.url),
                next_step=f"gw runner-group list -n {job.namespace}",
            )


def _lower(texts: Iterable[str]) -> frozenset[str]:
    """GitHub compares labels without regard to case."""
    return frozenset(text.lower() for text in texts)


_SHOWN = 8


def _told(job: LostJobFact) -> str:
    budget = f", after {counted(job.retries, 'rerun')}" if job.retries else ""
    return f"{job.name or 'a job'} of group {job.group}, attempt {job.attempt}: {job.cause}, {job.state}{budget}"


CHECKS: tuple[Check, ...] = (
    Check(
        "job.waiting",
        "No job waits for longer than it has to",
        POD_CREATION_P99_SECONDS.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS, Need.EVENTS}),
        _waiting,
        category=Category.JOBS,
        looks_at="what every RunnerGroup's status says its jobs wait for, and what keeps its workers",
    ),
    Check(
        "job.unserved",
        "Every job that waits at GitHub has a group",
        JOB_UNSERVED_SECONDS.severity,
        Scope.TENANT,
        frozenset({Need.GROUPS, Need.GITHUB}),
        _unserved,
        category=Category.JOBS,
        looks_at="the jobs that wait at GitHub beside the labels of the tenant's groups, if the App's key is given",
    ),
    Check(
        "job.lost",
        "No lost job waits for a person",
        LOST_JOB_OWED.severity,
        Scope.TENANT,
        frozenset({Need.LOST_JOBS}),
        _lost,
        category=Category.JOBS,
        looks_at="the tenants' ledgers of lost jobs, for those that nobody reruns by itself",
    ),
)
