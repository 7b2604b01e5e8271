"""The runbook's "AGC Total Failure" and "GMC Total Failure": diagnose, start anew, prove it, and see what was lost."""

import secrets
from datetime import datetime

from gw.checks.catalog import CATALOG
from gw.checks.engine import judge, needs_of, select
from gw.checks.model import Outcome as Found
from gw.checks.wording import counted
from gw.errors import Blind, TimedOut
from gw.ops.incidents.engine import Outcome, Proof, Step, Task, Truth
from gw.ops.incidents.site import Site
from gw.ops.incidents.targets import gather_served, sessions_of, targets_of
from gw.ops.jobs import JobState, LostJob, list_jobs
from gw.ops.rerun_plan import RerunOrder, Selection, described
from gw.ops.reruns import rerun_jobs
from gw.ops.tenants import not_a_tenant, reading_types
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.gathering import gather_facts, gather_gateways
from gw.sources.incidents import MOST_TARGETS, Incident, IncidentKind, StepRecord, incident_name

MANAGER = "the manager"
_AGENT_CHECKS = ("agent.available", "agent.stable", "credential.available", "session.open", "gateway.contained")
_MANAGER_CHECKS = ("manager.running", "manager.leading", "manager.stable")
_AGENT_BACK = ("agent.available", "session.open")
_MANAGER_BACK = ("manager.running", "manager.leading")
_LOOK_SECONDS = 0.5
_SHOWN = 5

_AGENT_STEPS = (
    ("diagnose", "Find out what is wrong", "asks the checks about agent, credential and sessions"),
    ("restart", "Start the agent anew", "restarts its Deployment, and waits until the pod is new and ready"),
    ("sessions", "See sessions again", "waits until every runner group has an open session"),
    ("lost-jobs", "See which jobs were lost", "lists jobs whose lock lapsed, and has them rerun where that is wanted"),
)
_MANAGER_STEPS = (
    ("diagnose", "Find out what is wrong", "asks the checks about the manager"),
    ("tenants", "See that tenants went on", "counts the sessions of every tenant, which need no manager"),
    ("restart", "Start the manager anew", "restarts its Deployment, and waits until one leads"),
    ("reconciled", "See that changes were taken up", "waits until every gateway's status speaks of its present spec"),
    ("sessions", "See that no tenant lost its sessions", "counts the sessions beside those from before"),
)


async def new_agent_failure(cluster: Cluster, namespace: str, *, opened_at: datetime, opened_by: str) -> Incident:
    """The incident before anything is done; raises Refused when the namespace is no tenant."""
    with reading_types(f"read the tenant {namespace}"):
        gateways, groups, agents = await gather_served(cluster, namespace)
    if not gateways:
        raise await not_a_tenant(cluster, namespace)
    return Incident(
        kind=IncidentKind.AGENT_FAILURE,
        subject=namespace,
        opened_at=opened_at,
        opened_by=opened_by,
        steps=tuple(StepRecord(step_id, title) for step_id, title, _ in _AGENT_STEPS),
        targets=targets_of(gateways, groups, agents),
        name=incident_name(IncidentKind.AGENT_FAILURE, opened_at, namespace),
    )


async def new_manager_failure(cluster: Cluster, *, opened_at: datetime, opened_by: str) -> Incident:
    """The incident before anything is done; raises GwError."""
    with reading_types("list the tenants"):
        gateways, groups, agents = await gather_served(cluster, None)
    return Incident(
        kind=IncidentKind.MANAGER_FAILURE,
        subject=MANAGER,
        opened_at=opened_at,
        opened_by=opened_by,
        steps=tuple(StepRecord(step_id, title) for step_id, title, _ in _MANAGER_STEPS),
        targets=targets_of(gateways[:MOST_TARGETS], groups, agents),
        name=incident_name(IncidentKind.MANAGER_FAILURE, opened_at, MANAGER),
    )


def agent_steps(site: Site) -> tuple[Step, ...]:
    """The procedure for a tenant whose agent is gone."""
    namespace = site.incident.subject
    acts = {
        "diagnose": lambda: _diagnose(site, _AGENT_CHECKS, namespace),
        "restart": lambda: _restart(site, namespace),
        "sessions": lambda: _verified(site, _AGENT_BACK, namespace),
        "lost-jobs": lambda: _lost_jobs(site, namespace),
    }
    return tuple(Step(step_id, title, will, acts[step_id]) for step_id, title, will in _AGENT_STEPS)


def manager_steps(site: Site) -> tuple[Step, ...]:
    """The procedure for a manager that is gone."""
    acts = {
        "diagnose": lambda: _diagnose(site, _MANAGER_CHECKS, None),
        "tenants": lambda: _tenants_went_on(site),
        "restart": lambda: _restart(site, None),
        "reconciled": lambda: _reconciled(site),
        "sessions": lambda: _kept_sessions(site),
    }
    return tuple(Step(step_id, title, will, acts[step_id]) for step_id, title, will in _MANAGER_STEPS)


async def _diagnose(site: Site, check_ids: tuple[str, ...], namespace: str | None) -> Outcome:
    checks = select(CATALOG, check_ids)
    facts = await gather_facts(site.cluster, namespace, needs_of(checks), site.clock, site.sources)
    told = [
        (result.check.id, finding)
        for result in judge(checks, facts, named=check_ids)
        for finding in result.findings
        if finding.outcome in (Found.PROBLEM, Found.UNKNOWN)
    ]
    lines = tuple(
        f"{check_id}: {'' if finding.outcome is Found.PROBLEM else 'unknown: '}{finding.summary}"
        for check_id, finding in told
    )
    if not told:
        return Outcome("the checks find nothing wrong", (", ".join(check_ids),))
    return Outcome(lines[0], lines[1:_SHOWN])


async def _restart(site: Site, namespace: str | None) -> Outcome:
    lines = await site.restart(site, namespace)
    return Outcome(lines[0], lines[1:])


async def _verified(site: Site, check_ids: tuple[str, ...], namespace: str | None) -> Outcome:
    verified = await verify(
        site.cluster,
        check_ids,
        namespace=namespace,
        timeout_seconds=site.timeout_seconds,
        clock=site.clock,
        listener=site.conversation,
        takes_due=False,
    )
    if verified.unproven:
        raise Blind(f"the checks could not tell: {verified.unproven[0]}", "Look again, or go on with --skip.")
    fine = [finding.summary for result in verified.results for finding in result.findings if finding.subject]
    return Outcome(f"{' and '.join(check_ids)} are fine", tuple(fine[:_SHOWN]))


async def _lost_jobs(site: Site, namespace: str) -> Outcome | Task:
    jobs = await _needing_person(site, namespace)
    if not jobs:
        return Outcome("no lost job waits for a person")
    if not site.rerun:
        return Task(
            (
                f"{counted(len(jobs), 'job')} lost the lock, and nobody reruns them by themselves:",
                *(f"  {described(job)}" for job in jobs[:_SHOWN]),
                f"Have them rerun where that does no harm: gw job rerun --lost -n {namespace}",
                "Or go on with --rerun, which does that.",
            ),
            lambda: _proof_of_reruns(site, namespace),
        )
    order = RerunOrder(
        namespace=namespace,
        references=(),
        selection=Selection.LOST,
        token=secrets.token_hex(8),
        timeout_seconds=site.timeout_seconds,
        yes=site.manner.yes,
    )
    result = await rerun_jobs(site.cluster, order, clock=site.clock, conversation=site.reruns)
    return Outcome(
        f"{counted(len(result.decided), 'lost job')} decided", tuple(described(job) for job in result.decided[:_SHOWN])
    )


async def _proof_of_reruns(site: Site, namespace: str) -> Proof:
    """Whether a job needs a rerun is the person's to judge, so one that is left is no contradiction."""
    left = await _needing_person(site, namespace)
    if left:
        return Proof(Truth.UNPROVEN, f"{counted(len(left), 'lost job')} still in the ledger, by their decision")
    return Proof(Truth.PROVEN, "no lost job waits for a person")


async def _needing_person(site: Site, namespace: str) -> list[LostJob]:
    report = await list_jobs(site.cluster, namespace, (JobState.LOST,), site.clock)
    if report.unseen:
        raise Blind(f"which jobs were lost: {report.unseen[0].reason}", report.unseen[0].next_step or "Try again.")
    return [job for job in report.lost if job.needs_person]


async def _tenants_went_on(site: Site) -> Outcome:
    silent = [str(target) for target in site.incident.targets if not target.sessions]
    total = sum(target.sessions for target in site.incident.targets)
    tenants = counted(len(site.incident.targets), "tenant")
    words = f"{counted(total, 'session')} of {tenants} were open without the manager"
    if silent:
        more = f" and {len(silent) - _SHOWN} more" if len(silent) > _SHOWN else ""
        words += f"; without a ready agent or a session: {', '.join(silent[:_SHOWN])}{more}"
    return Outcome(words)


async def _reconciled(site: Site) -> Outcome:
    """Raises TimedOut that names the first gateway whose change is not taken up."""
    back = await _verified(site, _MANAGER_BACK, None)
    deadline = site.clock.monotonic() + site.timeout_seconds
    while True:
        with reading_types("list the gateways"):
            gateways = await gather_gateways(site.cluster, None)
        late = [f"{each.namespace}/{each.name}" for each in gateways if not each.is_observed]
        if not late:
            return Outcome(f"the manager has taken up {counted(len(gateways), 'gateway')}", back.evidence)
        if site.clock.monotonic() >= deadline:
            raise TimedOut(
                f"after {site.timeout_seconds:.0f} s the manager has not taken up the spec of {late[0]}",
                "See `gw health --check manager.running --check manager.leading`.",
                details=tuple(late[:_SHOWN]),
            )
        site.conversation.waiting(f"the manager takes up the spec of {late[0]}")
        await site.clock.sleep(_LOOK_SECONDS)


async def _kept_sessions(site: Site) -> Outcome:
    """Raises TimedOut that names the first tenant that had sessions and has none."""
    deadline = site.clock.monotonic() + site.timeout_seconds
    before = {(target.namespace, target.gateway): target.sessions for target in site.incident.targets}
    while True:
        with reading_types("count the sessions"):
            gateways, groups, agents = await gather_served(site.cluster, None)
        now = {(each.namespace, each.name): sessions_of(each, groups, agents) for each in gateways}
        idle = {(each.namespace, each.name) for each in gateways if each.intention}
        lost = [place for place, count in before.items() if count and now.get(place) == 0 and place not in idle]
        if not lost:
            total = f"{sum(before.values())} before, {sum(now.values())} now"
            return Outcome(f"no tenant lost its sessions: {total}")
        if site.clock.monotonic() >= deadline:
            raise TimedOut(
                f"{lost[0][0]} had sessions before, and has none",
                f"Go on with `gw incident agent-failure {lost[0][0]}`.",
            )
        site.conversation.waiting(f"sessions of {lost[0][0]}")
        await site.clock.sleep(_LOOK_SECONDS)
