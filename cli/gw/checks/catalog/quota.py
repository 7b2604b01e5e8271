"""The check of quotas: how many more workers of each group they admit, and which key binds."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from actions_gateway.api.conditions import ConditionType, Reason
from actions_gateway.api.waits import WaitReason
from gw.checks.catalog.causes import Reports
from gw.checks.headroom import Room, rooms_for, worker_outline
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, seconds_since
from gw.sources.facts import Facts, Need
from gw.sources.gateways import GroupFact
from gw.sources.quotas import QuotaFact
from gw_alerts.thresholds import POD_CREATION_P99_SECONDS, Severity


def _headroom(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    quotas: dict[str, list[QuotaFact]] = defaultdict(list)
    for quota in facts.quotas.value:
        quotas[quota.namespace].append(quota)
    for group in facts.groups.value:
        subject, gateway = f"{group.namespace}/{group.name}", reports.gateway_of(group)
        # An agent that is gone says nothing of now; the quotas themselves do.
        held_since = _held_since(group, facts.now) if reports.has_agent(group.namespace) else None
        if group.suspended or (gateway is not None and gateway.intention):
            yield skipped(subject, "it takes no jobs by intention")
        elif group.namespace not in quotas:
            yield ok(subject, "no quota bounds it")
        else:
            yield _of(subject, group, tuple(quotas[group.namespace]), held_since)


def _of(subject: str, group: GroupFact, quotas: tuple[QuotaFact, ...], held_since: datetime | None) -> Finding:
    try:
        rooms = rooms_for(worker_outline(group.worker), group.priority_class, quotas)
    except (ValueError, TypeError, AttributeError) as problem_of_template:
        return unknown(subject, f"what one of its workers needs cannot be told: {problem_of_template}")
    left = max(0, group.worker_ceiling - group.active_jobs)
    tightest = rooms[0] if rooms else None
    if tightest is None or (tightest.room >= left > 0):
        return ok(subject, f"room for all {counted(left, 'worker')} that its ceiling leaves")
    if tightest.room:
        return ok(subject, f"room for {counted(tightest.room, 'more worker')}; then {tightest.words}")
    if not left:
        return ok(subject, f"its own ceiling of {group.worker_ceiling} is reached; {tightest.words}")
    return _full(subject, group, tightest, held_since)


def _full(subject: str, group: GroupFact, tightest: Room, held_since: datetime | None) -> Finding:
    """Full is no fault where quota is what bounds a tenant: a page only once jobs wait for it, a ticket if it is full
    for ever."""
    never = not tightest.room_when_empty
    words = "no worker ever fits" if never else "no further worker fits"
    if held_since is not None:
        words = f"its jobs wait for quota, since {words}"
    return problem(
        subject,
        words,
        since=held_since,
        evidence=(
            tightest.words,
            f"{group.active_jobs} of at most {group.worker_ceiling} jobs run",
            "it ends with a larger quota, or with smaller requests in the group's podTemplate"
            if never
            else "it ends when a pod of the namespace ends, or when the platform's owners raise the quota",
        ),
        next_step=f"gw quota show {group.namespace}",
        severity=POD_CREATION_P99_SECONDS.severity
        if held_since is not None
        else Severity.TICKET
        if never
        else Severity.INFO,
    )


def _held_since(group: GroupFact, now: datetime) -> datetime | None:
    """Since when quota has held up a job of the group for longer than is borne; None when it does not."""
    refused = group.condition(ConditionType.DEGRADED)
    moments = [wait.since for wait in group.waiting if wait.reason == WaitReason.QUOTA]
    if refused is not None and refused.is_true and refused.reason == Reason.WORKERS_REFUSED:
        moments += [refused.since] if "quota" in refused.message else []
    ages = ((seconds_since(moment, now), moment) for moment in moments)
    late = [moment for age, moment in ages if age is not None and age > POD_CREATION_P99_SECONDS.value and moment]
    return min(late, default=None)


CHECKS: tuple[Check, ...] = (
    Check(
        "quota.headroom",
        "No quota keeps a group from jobs",
        POD_CREATION_P99_SECONDS.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS, Need.QUOTAS}),
        _headroom,
        category=Category.QUOTA,
        looks_at="every ResourceQuota of the tenant's namespace beside what one more worker of each group needs",
    ),
)
