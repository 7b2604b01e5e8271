"""Checks of what else a gateway's status says: proxies, groups, limits, an edited Secret, and what people asked for."""

from collections.abc import Callable, Iterator

from actions_gateway.api import labels, names
from actions_gateway.api.conditions import ConditionType, Reason
from gw.checks.catalog.gateway import (
    CONTAINED,
    DELETING,
    OUT_OF_DATE,
    is_new,
    ready_pods,
    served,
    subject_of,
    told,
    tried_credential,
)
from gw.checks.model import Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, lasting, seconds_since
from gw.sources.facts import Facts, Need
from gw.sources.gateways import GatewayFact
from gw.sources.pods import PodRole
from gw_alerts.thresholds import DELETION_SECONDS, PROXY_NOT_READY, RATE_LIMITED_MINUTES, Severity


def _proxy_ready(facts: Facts) -> Iterator[Finding]:
    for gateway in served(facts):
        subject, available = subject_of(gateway), gateway.condition(ConditionType.PROXY_AVAILABLE)
        if gateway.intention in (CONTAINED, DELETING):
            yield skipped(subject, f"no traffic is wanted: the gateway is {gateway.intention}")
        elif available is None:
            yield unknown(subject, "the manager has not reported on its proxies")
        elif available.is_true and not (count := ready_pods(facts, gateway, PodRole.PROXY)):
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
    yield from _folded(
        facts,
        ConditionType.RUNNER_GROUPS_DEGRADED,
        fine="no runner group has a problem of its own",
        wrong="runner groups have problems of their own",
        next_step="kubectl describe runnergroup -n {namespace}",
    )


def _within_limits(facts: Facts) -> Iterator[Finding]:
    yield from _folded(
        facts,
        ConditionType.RATE_LIMITED,
        fine="GitHub limits no runner group",
        wrong=f"GitHub limits its requests for over {RATE_LIMITED_MINUTES.value:.0f} min",
        next_step=f"kubectl logs -n {{namespace}} deploy/{names.AGENT} --tail=100",
    )


def _folded(facts: Facts, kind: ConditionType, *, fine: str, wrong: str, next_step: str) -> Iterator[Finding]:
    """What the manager folds up from the groups; silent about a gateway whose agent does not report."""
    for gateway in served(facts):
        subject, folded = subject_of(gateway), gateway.condition(kind)
        if folded is None or folded.status not in ("True", "False"):
            yield skipped(subject, "no agent reports on it")
        elif folded.is_true:
            step = next_step.format(namespace=gateway.namespace)
            yield problem(subject, f"{wrong}: {told(folded)}", since=folded.since, next_step=step)
        else:
            yield ok(subject, fine)


def _secret_kept(facts: Facts) -> Iterator[Finding]:
    for gateway in served(facts):
        subject, tried = subject_of(gateway), tried_credential(gateway)
        if isinstance(tried, Finding):
            yield tried
        elif tried.reason == Reason.EDITED_SECRET_UNUSABLE:
            yield problem(
                subject,
                f"the next restart of the agent ends its work: {told(tried)}",
                since=tried.since,
                evidence=(f"Secret {gateway.secret_name}",),
                next_step=f"gw tenant show {gateway.namespace}",
            )
        elif tried.is_true:
            yield skipped(subject, "its credential does not work in the first place; see credential.available")
        elif tried.reason == Reason.SECRET_EDITED:
            yield ok(subject, told(tried))
        else:
            yield ok(subject, f"the Secret {gateway.secret_name} is as the agent read it")


def _contained(facts: Facts) -> Iterator[Finding]:
    remove = f"kubectl annotate actionsgateway -n {{namespace}} {{name}} {labels.CONTAINED}-"
    yield from _intended(
        facts, lambda gateway: gateway.contained, "no agent runs and no traffic passes, since it is contained", remove
    )


def _paused(facts: Facts) -> Iterator[Finding]:
    patch = """kubectl patch actionsgateway -n {namespace} {name} --type merge -p '{{"spec":{{"paused":false}}}}'"""
    yield from _intended(facts, lambda gateway: gateway.paused, "no job is claimed, since it is paused", patch)


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
        elif age_seconds <= DELETION_SECONDS.value:
            yield ok(
                subject, f"it is being deleted for {lasting(age_seconds)}" + (f": {told(deleting)}" if deleting else "")
            )
        else:
            yield problem(
                subject,
                f"its deletion does not end{'' if deleting is None else f': {told(deleting)}'}",
                since=gateway.deleted_at,
                next_step="gw health --check manager.running --check manager.leading",
            )


_IN_TIME = f"Every deletion ends within {DELETION_SECONDS.value / 60:.0f} min"


def _check(
    check_id: str, title: str, severity: Severity, run: Callable[[Facts], Iterator[Finding]], *needs: Need
) -> Check:
    return Check(check_id, title, severity, Scope.TENANT, frozenset({Need.GATEWAYS, *needs}), run)


CHECKS: tuple[Check, ...] = (
    _check("gateway.proxy", "Every gateway has a ready proxy", PROXY_NOT_READY.severity, _proxy_ready, Need.PODS),
    _check("gateway.groups", "No runner group has a problem of its own", Severity.TICKET, _groups_healthy),
    _check("gateway.rate-limit", "GitHub limits no gateway for long", RATE_LIMITED_MINUTES.severity, _within_limits),
    _check("credential.edited", "No App Secret was made unusable by an edit", Severity.TICKET, _secret_kept),
    _check("gateway.contained", "No gateway is contained", Severity.TICKET, _contained),
    _check("gateway.paused", "No gateway is paused", Severity.INFO, _paused),
    _check("gateway.deleting", _IN_TIME, DELETION_SECONDS.severity, _deleted),
)
