"""What changed in a shift, section by section; pure over facts."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from actions_gateway.api.ledger import NEEDS_PERSON, RerunState
from actions_gateway.metrics.catalog import Component
from gw.checks.catalog.observability import firing_problems, why_mute
from gw.checks.wording import counted
from gw.ops.handoff.checklist import LEDGERS_KEEP, RULES_STEP, named
from gw.ops.handoff.coverage import without
from gw.ops.handoff.edits import Told, gateways, in_order, of_objects, quotas, rotations
from gw.ops.handoff.model import Entry, Gap, LostJob, Section
from gw.sources.alerting import SilenceFact
from gw.sources.changes import RESTARTED, ObjectFact
from gw.sources.facts import Facts, Known, Missing, NotKnown
from gw.sources.jobs import run_url
from gw.sources.lostjobs import UNREADABLE, LostJobFact
from gw.sources.pods import PodFact, PodRole
from gw.sources.shift import ShiftFacts
from gw.sources.shiftseries import FiredFact

EXPIRES_WITHIN = timedelta(hours=24)
_KEY_AGE = Gap("how old the keys of GitHub Apps are: GitHub tells it in an App's settings alone", "", False)
_CERTIFICATES = Gap("when the cluster's certificates end: gw does not read them", "", False)


def sections_of(facts: Facts, shift: ShiftFacts) -> tuple[Section, ...]:
    """All of them, each with what could not be found out."""
    return (
        Section("alerts", "Alerts that fired", *_alerts(facts, shift)),
        Section("rotations", "Credentials rotated", *rotations(shift)),
        Section("quotas", "Quotas edited", *quotas(facts, shift)),
        Section("specs", "Gateways made, edited, deleted", *gateways(facts, shift)),
        Section("restarts", "Restarts", *_restarts(facts, shift)),
        Section("silences", "Silences", *_silences(facts, shift.since)),
        Section("expiring", "About to expire", *_expiring(facts)),
    )


def lost_jobs_of(facts: Facts, since: datetime) -> tuple[LostJob, ...]:
    """The jobs that were lost in the shift or still wait for a person, as the ledgers tell them; none when unknown."""
    if isinstance(facts.lost_jobs, Missing):
        return ()
    addresses = (
        {each.namespace: each.github_url for each in facts.gateways.value} if isinstance(facts.gateways, Known) else {}
    )
    return tuple(
        LostJob(
            namespace=job.namespace,
            run=run_url(addresses.get(job.namespace, ""), job.repository, job.run_id)
            or f"{job.repository or 'unknown repository'} run {job.run_id}",
            run_id=job.run_id,
            name=job.name,
            group=job.group,
            lost_at=job.lost_at,
            cause=job.cause,
            state=job.state,
            retries=job.retries,
            needs_person=job.state in NEEDS_PERSON or job.state == UNREADABLE,
        )
        for job in facts.lost_jobs.value
        if job.lost_at is None or job.lost_at >= since or job.state in NEEDS_PERSON
    )


def _alerts(facts: Facts, shift: ShiftFacts) -> Told:
    if isinstance(shift.series, Known):
        fired = (Entry(each.first_at, each.title, _course(each, shift.since)) for each in shift.series.value.fired)
        return tuple(fired), tuple(_unheard(facts, shift))
    gaps = (Gap(f"which alerts came and went: {shift.series.reason}", shift.series.next_step),)
    try:
        # Alertmanager forgets an alert soon after its end, so it knows those that still fire.
        alerts = firing_problems(facts)
    except NotKnown:
        return (), gaps
    still = [
        Entry(each.started_at, named(each), f"{each.severity}, still fires: {each.summary}".rstrip(": "))
        for each in alerts
    ]
    return in_order(still), gaps


def _course(alert: FiredFact, since: datetime) -> str:
    """How bad, how often, until when."""
    parts = [alert.severity or "no severity"]
    parts += ["fired before the shift began"] if alert.first_at <= since else []
    parts += [f"{alert.times} times"] if alert.times > 1 else []
    return ", ".join([*parts, "still fires" if alert.is_firing else f"until {alert.last_at:%Y-%m-%d %H:%M} UTC"])


def _unheard(facts: Facts, shift: ShiftFacts) -> Iterator[Gap]:
    """Alerts that Prometheus may not know of: for want of rules now, or of the series that rules judge."""
    if isinstance(facts.monitoring, Missing):
        yield Gap(f"whether the alert rules are evaluated: {facts.monitoring.reason}", facts.monitoring.next_step)
    elif mute := why_mute(facts.monitoring.value):
        yield Gap(f"what else would have fired: {mute}", RULES_STEP)
    for words in without(facts, shift, Component.MANAGER, Component.AGENT):
        yield Gap(f"what else would have fired: {words}")


def _restarts(facts: Facts, shift: ShiftFacts) -> Told:
    asked, gaps = of_objects(shift.deployments, lambda each: _asked_restart(each, shift.since))
    entries = list(asked)
    gaps_by_reason = {gap.reason: gap for gap in gaps}
    for pods in (facts.pods, *([facts.manager_pods] if facts.namespace is None else [])):
        if isinstance(pods, Missing):
            gaps_by_reason[pods.reason] = Gap(pods.reason, pods.next_step)
            continue
        entries += [entry for pod in pods.value for entry in _of_pod(pod, shift.since)]
        entries += _new_pods(pods.value, shift.since)
    return in_order(entries), tuple(gaps_by_reason.values())


def _new_pods(pods: Iterable[PodFact], since: datetime) -> Iterator[Entry]:
    """By namespace and role: a proxy makes and loses pods with its load. Workers come with every job."""
    new: dict[tuple[str, PodRole], list[tuple[datetime, str]]] = {}
    for pod in pods:
        if pod.role is not PodRole.WORKER and pod.created_at is not None and pod.created_at >= since:
            new.setdefault((pod.namespace, pod.role), []).append((pod.created_at, pod.name))
    for (namespace, role), made in new.items():
        at, name = max(made)
        if len(made) == 1:
            yield Entry(at, f"{namespace}/{name}", f"a new {role} pod")
        else:
            yield Entry(at, namespace, f"{len(made)} new {role} pods that are still there, {name} the latest")


def _asked_restart(each: ObjectFact, since: datetime) -> Iterator[Entry]:
    if each.restarted_at is not None and each.restarted_at >= since:
        writers = [edit.manager for edit in each.edits if RESTARTED in edit.fields]
        yield Entry(each.restarted_at, f"{each.namespace}/{each.name}", "a restart was asked for", ", ".join(writers))


def _of_pod(pod: PodFact, since: datetime) -> Iterator[Entry]:
    subject = f"{pod.namespace}/{pod.name}"
    for container in pod.containers:
        ended = container.last_ended_at or (container.terminated_at if container.restart_count else None)
        if container.restart_count and ended is not None and ended >= since:
            reason = container.last_reason or container.terminated_reason or "for no reason that is told"
            restarts = counted(container.restart_count, "restart")
            yield Entry(
                ended, subject, f"container {container.name} ended: {reason}; {restarts} since the pod was made"
            )


def _silences(facts: Facts, since: datetime) -> Told:
    """Those of the present, and those that ended in the shift."""
    if isinstance(facts.alerting, Missing):
        return (), (Gap(f"which silences there are: {facts.alerting.reason}", facts.alerting.next_step),)
    entries = [
        Entry(each.starts_at, each.matchers, f"{_standing(each)}: {each.comment}".rstrip(": "), each.created_by)
        for each in facts.alerting.value.silences
        if not each.is_over or each.ends_at is None or each.ends_at >= since
    ]
    return in_order(entries), ()


def _standing(silence: SilenceFact) -> str:
    if silence.is_over:
        word, verb = "over", "ended"
    else:
        word, verb = "in force" if silence.is_active else "not in force yet", "ends"
    return f"{word}, {verb} {silence.ends_at:%Y-%m-%d %H:%M} UTC" if silence.ends_at else word


def _expiring(facts: Facts) -> Told:
    entries, gaps = list(_forgotten(facts)), []
    if isinstance(facts.alerting, Missing):
        gaps.append(Gap(f"which silences end soon: {facts.alerting.reason}"))
    else:
        end = facts.now + EXPIRES_WITHIN
        living = [each for each in facts.alerting.value.silences if not each.is_over]
        soon = [each for each in living if each.ends_at is not None and each.ends_at <= end]
        entries += [Entry(each.ends_at, each.matchers, "this silence ends", each.created_by) for each in soon]
    if isinstance(facts.lost_jobs, Missing):
        gaps.append(Gap(f"which lost jobs leave their ledger soon: {facts.lost_jobs.reason}"))
    return in_order(entries), (*gaps, _KEY_AGE, _CERTIFICATES)


def _forgotten(facts: Facts) -> Iterator[Entry]:
    """Runs that wait for a person: gw reruns what a ledger has, and that is for a day."""
    runs: dict[tuple[str, int], list[LostJobFact]] = {}
    for job in facts.lost_jobs.value if isinstance(facts.lost_jobs, Known) else ():
        runs.setdefault((job.namespace, job.run_id), []).append(job)
    for (namespace, run_id), jobs in runs.items():
        ends = [
            job.lost_at + LEDGERS_KEEP * (2 if job.state == RerunState.EXPIRED else 1) for job in jobs if job.lost_at
        ]
        states = {job.state for job in jobs}
        if ends and states & NEEDS_PERSON and RerunState.PENDING not in states:
            words = "its lost jobs leave the ledger, and gw job rerun knows them no more"
            yield Entry(max(ends), f"{namespace} run {run_id}", words)
