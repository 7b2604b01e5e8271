"""Checks of what else a gateway's status says: proxies, groups, limits, and what people asked for."""

from collections.abc import Callable, Iterator

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import ConditionType, Reason
from gw.checks.catalog.causes import Reports
from gw.checks.catalog.gateway import OUT_OF_DATE, is_new, served, subject_of, told
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, lasting, seconds_since
from gw.sources.facts import Facts, Need
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.pods import PodRole
from gw_alerts.thresholds import (
    DELETION_SECONDS,
    DELETION_SLOW_SECONDS,
    PROXY_NOT_READY,
    RATE_LIMITED_MINUTES,
    Severity,
)


def _proxy_ready(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    for gateway in served(facts):
        subject, available = subject_of(gateway), gateway.condition(ConditionType.PROXY_AVAILABLE)
        if gateway.wants_no_agent:
            yield skipped(subject, f"no traffic is wanted: the gateway is {gateway.intention}")
        elif available is None:
            yield unknown(subject, "the manager has not reported on its proxies")
        elif available.is_true and not (count := reports.ready_pods(gateway.namespace, PodRole.PROXY)):
            yield problem(
                subject,
                f"nothing reaches GitHub: no proxy has a ready pod, and {available.type} is out of date",
                evidence=(OUT_OF_DATE,),
                next_step=f"kubectl describe deploy -n {gateway.namespace} {names.PROXY}",
            )
        elif available.reason == Reason.PROXY_REDUCED:
            yield ok(subject, f"traffic passes, through fewer proxies than wanted: {told(available)}")
        elif available.is_true:
            yield ok(subject, counted(count, "ready pod"))
        elif is_new(gateway.created_at, facts.now):
            yield unknown(subject, "it is new; its proxies are starting")
        else:
            yield problem(
                subject,
                f"no proxy is ready, so nothing reaches GitHub: {told(available)}",
                since=available.since,
                next_step=f"kubectl describe pod -n {gateway.namespace} -l app={names.PROXY}",
            )


def _groups_healthy(facts: Facts) -> Iterator[Finding]:
    yield from _of_groups(
        facts,
        _own_problems,
        fine="no runner group has a problem of its own",
        wrong="{count} with a problem of its own",
        next_step="kubectl describe runnergroup -n {namespace}",
    )


def _within_limits(facts: Facts) -> Iterator[Finding]:
    yield from _of_groups(
        facts,
        lambda group: [each for each in group.conditions if each.type == ConditionType.RATE_LIMITED and each.is_true],
        fine="GitHub limits no runner group for long",
        wrong=f"GitHub limits the requests of {{count}} for over {RATE_LIMITED_MINUTES.value:.0f} min",
        next_step="gw logs agent -n {namespace}",
    )


def _own_problems(group: GroupFact) -> list[ConditionFact]:
    """What is wrong with it by itself; credential, limits and sessions have checks of their own."""
    return [
        entry
        for entry in group.conditions
        if (entry.is_problem and entry.type not in _TOLD_ELSEWHERE)
        or (entry.type == ConditionType.READY and entry.reason == Reason.INVALID_SPEC and not entry.is_true)
    ]


_TOLD_ELSEWHERE = frozenset(
    {ConditionType.READY, ConditionType.CREDENTIAL_UNAVAILABLE, ConditionType.RATE_LIMITED, ConditionType.PAUSED}
)


def _of_groups(
    facts: Facts, problems_of: Callable[[GroupFact], list[ConditionFact]], *, fine: str, wrong: str, next_step: str
) -> Iterator[Finding]:
    """What agents say of the groups now: what a manager folds up of it is as old as the manager's last look."""
    reports = Reports(facts)
    for gateway in served(facts):
        subject, groups = subject_of(gateway), reports.groups_of(gateway)
        found = [(group, entry) for group in groups for entry in problems_of(group)]
        reported = {group.name for group in groups if group.conditions}
        wanted = {names.runner_group_name(gateway.name, name) for name in gateway.group_names}
        silent = sorted((wanted | {group.name for group in groups}) - reported)
        if gateway.wants_no_agent:
            yield skipped(subject, f"no agent is wanted: the gateway is {gateway.intention}")
        elif not gateway.group_names:
            yield skipped(subject, "it has no runner groups")
        elif not reports.has_agent(gateway.namespace):
            yield unknown(subject, "no agent is ready to report on its groups; see agent.available")
        elif found:
            count = counted(len({group.name for group, _ in found}), "runner group")
            yield problem(
                subject,
                wrong.format(count=count),
                since=min((entry.since for _, entry in found if entry.since), default=None),
                evidence=tuple(f"{group.name}: {entry.type}, {told(entry)}" for group, entry in found[:_SHOWN]),
                next_step=next_step.format(namespace=gateway.namespace),
            )
        elif silent:
            yield unknown(subject, f"no agent has reported on {', '.join(silent[:_SHOWN])} yet")
        else:
            yield ok(subject, fine)


_SHOWN = 8


def _contained(facts: Facts) -> Iterator[Finding]:
    remove = f"kubectl annotate actionsgateway -n {{namespace}} {{name}} {labels.CONTAINED}-"
    yield from _intended(
        facts, lambda gateway: gateway.contained, "no agent runs and no traffic passes, since it is contained", remove
    )


def _paused(facts: Facts) -> Iterator[Finding]:
    words = "no job is claimed, since it is paused"
    yield from _intended(facts, lambda gateway: gateway.paused, words, "gw tenant resume {namespace}")


def _intended(facts: Facts, holds: Callable[[GatewayFact], bool], summary: str, undo: str) -> Iterator[Finding]:
    for gateway in facts.gateways.value:
        subject, paused = subject_of(gateway), gateway.condition(ConditionType.PAUSED)
        if holds(gateway):
            since = paused.since if paused is not None and paused.is_true else None
            step = undo.format(namespace=gateway.namespace, name=gateway.name)
            yield problem(subject, summary, since=since, next_step=f"when it shall go on: {step}")
        else:
            yield ok(subject, "nobody asked for it")


def _deleted(facts: Facts) -> Iterator[Finding]:
    for gateway in facts.gateways.value:
        subject, deleting = subject_of(gateway), gateway.condition(ConditionType.DELETING)
        age_seconds = seconds_since(gateway.deleted_at, facts.now)
        if age_seconds is None:
            yield ok(subject, "nobody deletes it")
        elif age_seconds <= DELETION_SLOW_SECONDS.value:
            yield ok(
                subject, f"it is being deleted for {lasting(age_seconds)}" + (f": {told(deleting)}" if deleting else "")
            )
        else:
            yield problem(
                subject,
                f"its deletion does not end{'' if deleting is None else f': {told(deleting)}'}",
                since=gateway.deleted_at,
                next_step="gw health --check manager.running --check manager.leading",
                severity=(DELETION_SECONDS if age_seconds > DELETION_SECONDS.value else DELETION_SLOW_SECONDS).severity,
            )


_IN_TIME = f"Every deletion ends within {DELETION_SECONDS.value / 60:.0f} min"


def _check(
    check_id: str,
    title: str,
    severity: Severity,
    run: Callable[[Facts], Iterator[Finding]],
    *needs: Need,
    category: Category,
    looks_at: str,
) -> Check:
    wanted = frozenset({Need.GATEWAYS, *needs})
    return Check(check_id, title, severity, Scope.TENANT, wanted, run, category=category, looks_at=looks_at)


CHECKS: tuple[Check, ...] = (
    _check(
        "gateway.proxy",
        "Every gateway has a ready proxy",
        PROXY_NOT_READY.severity,
        _proxy_ready,
        Need.PODS,
        category=Category.PROXY,
        looks_at="the condition ProxyAvailable of every ActionsGateway, and the proxies' pods",
    ),
    _check(
        "gateway.groups",
        "No runner group has a problem of its own",
        Severity.TICKET,
        _groups_healthy,
        *(Need.GROUPS, Need.PODS),
        category=Category.GATEWAY,
        looks_at="the conditions of every RunnerGroup that no other check is about, while an agent is ready",
    ),
    _check(
        "gateway.rate-limit",
        "GitHub limits no gateway for long",
        RATE_LIMITED_MINUTES.severity,
        _within_limits,
        *(Need.GROUPS, Need.PODS),
        category=Category.GITHUB,
        looks_at="the condition RateLimited of every RunnerGroup, while an agent is ready",
    ),
    _check(
        "gateway.contained",
        "No gateway is contained",
        Severity.TICKET,
        _contained,
        category=Category.GATEWAY,
        looks_at="the annotation `contained` of every ActionsGateway",
    ),
    _check(
        "gateway.paused",
        "No gateway is paused",
        Severity.INFO,
        _paused,
        category=Category.GATEWAY,
        looks_at="the field spec.paused of every ActionsGateway",
    ),
    _check(
        "gateway.deleting",
        _IN_TIME,
        DELETION_SECONDS.severity,
        _deleted,
        category=Category.GATEWAY,
        looks_at="how long the deletion of an ActionsGateway has gone on, and its condition Deleting",
    ),
)
