"""Checks of a tenant's gateway: is it ready, is its agent there, does each group listen."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from actions_gateway.api import names
from actions_gateway.api.conditions import ConditionType, Reason
from gw.checks.catalog.causes import Reports, look
from gw.checks.model import Category, Check, Finding, Scope, ok, problem, skipped, unknown
from gw.checks.wording import counted, seconds_since
from gw.sources.facts import Facts, Need
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.pods import PodRole
from gw_alerts.thresholds import (
    AGENT_OOM_KILLED,
    GATEWAY_NOT_READY,
    NO_ACTIVE_SESSION,
    PROVISIONING_SECONDS,
    SESSION_GAP_SECONDS,
)

OUT_OF_DATE = "the manager keeps that condition; if it is down, see manager.running"

_WITHIN = f"within {PROVISIONING_SECONDS.value:.0f} s of its creation"


_CAUSES: Mapping[str, str] = {
    Reason.AGC_NOT_READY: "agent.available",
    Reason.PROXY_NOT_READY: "gateway.proxy",
    Reason.GITHUB_UNREACHABLE: "github.reachable",
    Reason.PERMISSION_MISSING: "credential.permissions",
    Reason.NO_ACTIVE_SESSIONS: "session.open",
    **dict.fromkeys(
        (
            *(Reason.SECRET_NOT_FOUND, Reason.SECRET_FIELD_MISSING, Reason.SECRET_FIELD_INVALID, Reason.KEY_REJECTED),
            *(Reason.INSTALLATION_NOT_FOUND, Reason.INSTALLATION_SUSPENDED),
        ),
        "credential.available",
    ),
}
"""By Ready's reason: the check that tells more of it."""


def _gateway_ready(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    for gateway in facts.gateways.value:
        subject, ready = subject_of(gateway), gateway.condition(ConditionType.READY)
        roles = (PodRole.AGENT, PodRole.PROXY)
        gone = [role.value for role in roles if not reports.ready_pods(gateway.namespace, role)]
        if gateway.is_ready and not gateway.wants_no_agent and gone:
            yield unknown(
                subject,
                f"its status says Ready, but no {' and no '.join(gone)} is ready: nobody has looked at it since",
                next_step=look(gateway.namespace, "agent.available", "gateway.proxy"),
            )
        elif gateway.is_ready:
            yield ok(subject, "Ready")
        elif gateway.wants_no_agent:
            yield skipped(subject, f"it is {gateway.intention} by intention; see gateway.{gateway.intention}")
        elif is_new(gateway.created_at, facts.now):
            yield unknown(subject, f"it is new and has {PROVISIONING_SECONDS.value:.0f} s to become ready")
        elif ready is None:
            yield problem(
                subject,
                f"no manager has reported on it {_WITHIN}",
                since=gateway.created_at,
                next_step="gw health --check manager.running --check manager.leading",
            )
        elif ready.is_true:
            yield unknown(subject, "its status speaks of an older spec; the manager has not taken up the change yet")
        else:
            yield problem(
                subject,
                f"not Ready: {told(ready)}",
                since=ready.since,
                evidence=tuple(_as_evidence(other, ready) for other in _other_problems(gateway)),
                next_step=look(gateway.namespace, _CAUSES[ready.reason])
                if ready.reason in _CAUSES
                else f"gw tenant show {gateway.namespace}",
            )


def _agent_available(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    for gateway in served(facts):
        subject, available = subject_of(gateway), gateway.condition(ConditionType.AGC_AVAILABLE)
        if gateway.wants_no_agent:
            yield skipped(subject, f"no agent is wanted: the gateway is {gateway.intention}")
        elif available is not None and available.is_true and reports.has_agent(gateway.namespace):
            yield ok(subject, "the agent is ready")
        elif available is not None and available.is_true:
            yield problem(
                subject,
                f"the agent is not ready: it has no ready pod, and {available.type} is out of date",
                evidence=(OUT_OF_DATE,),
                next_step=f"kubectl describe deploy -n {gateway.namespace} {names.AGENT}",
            )
        elif is_new(gateway.created_at, facts.now):
            yield unknown(subject, f"it is new; the agent has {PROVISIONING_SECONDS.value:.0f} s to start")
        else:
            yield problem(
                subject,
                "the agent is not ready" if available is None else f"the agent is not ready: {told(available)}",
                since=gateway.created_at if available is None else available.since,
                next_step=f"kubectl get pod -n {gateway.namespace} -l app={names.AGENT}",
            )


def _session_open(facts: Facts) -> Iterator[Finding]:
    reports = Reports(facts)
    agents = {pod.namespace for pod in facts.pods.value if pod.role is PodRole.AGENT}
    for group in facts.groups.value:
        yield _session_of(group, reports, facts.now, has_pod=group.namespace in agents)


def _session_of(group: GroupFact, reports: Reports, now: datetime, *, has_pod: bool) -> Finding:
    subject, gateway = f"{group.namespace}/{group.name}", reports.gateway_of(group)
    if gateway is not None and gateway.intention:
        return skipped(subject, f"its gateway is {gateway.intention} by intention")
    if group.suspended:
        return skipped(subject, "suspended by intention")
    if group.active_sessions > NO_ACTIVE_SESSION.value:
        return _reported_sessions(subject, group, reports, has_pod=has_pod)
    ready = group.condition(ConditionType.READY)
    if ready is not None and ready.is_true and ready.reason == Reason.LISTENER_ACTIVE:
        return _between_sessions(subject, group, reports, has_pod=has_pod)
    since = ready.since if ready is not None and not ready.is_true else group.created_at
    age_seconds = seconds_since(since, now)
    if is_new(group.created_at, now) or (age_seconds is not None and age_seconds <= SESSION_GAP_SECONDS.value):
        return unknown(subject, "no session is open yet; one is due within seconds")
    cause = reports.cause_of_silence(group)
    return problem(
        subject,
        "no session is open; its jobs wait at GitHub",
        since=since,
        evidence=(f"labels {', '.join(group.runner_labels)}", "" if ready is None else told(ready)),
        next_step=look(group.namespace, cause)
        if cause
        else f"kubectl logs -n {group.namespace} deploy/{names.AGENT} --tail=100",
    )


def _between_sessions(subject: str, group: GroupFact, reports: Reports, *, has_pod: bool) -> Finding:
    """A session that has claimed a job counts no more, and its successor is on its way: the agent says Ready then."""
    if reports.has_agent(group.namespace):
        return unknown(subject, "its sessions have claimed jobs, and no successor is open at this moment; one is due")
    return _reported_sessions(subject, group, reports, has_pod=has_pod)


def _reported_sessions(subject: str, group: GroupFact, reports: Reports, *, has_pod: bool) -> Finding:
    """An agent that dies leaves its last count in the status, so the count holds only while an agent is ready."""
    if reports.has_agent(group.namespace):
        return ok(subject, f"{counted(group.active_sessions, 'session')} open")
    if has_pod:
        return unknown(subject, "its agent is not ready, so its last count says nothing of now; see agent.available")
    return problem(
        subject,
        "no session is open: its agent is gone; its jobs wait at GitHub",
        evidence=(
            f"labels {', '.join(group.runner_labels)}",
            f"its status still counts {counted(group.active_sessions, 'session')}" if group.active_sessions else "",
        ),
        next_step=look(group.namespace, "agent.available"),
    )


def served(facts: Facts) -> Iterator[GatewayFact]:
    """The gateways that an agent works for; the manager refuses the others for good, and gateway.ready says so."""
    for gateway in facts.gateways.value:
        ready = gateway.condition(ConditionType.READY)
        if ready is None or ready.reason not in _NOT_SERVED:
            yield gateway


_NOT_SERVED = frozenset({Reason.ANOTHER_GATEWAY, Reason.RESERVED_NAMESPACE, Reason.NAMESPACE_NOT_MARKED})


def _other_problems(gateway: GatewayFact) -> Iterator[ConditionFact]:
    return (entry for entry in gateway.conditions if entry.is_problem and entry.type != ConditionType.READY)


def _as_evidence(condition: ConditionFact, ready: ConditionFact) -> str:
    """The condition, with its own words unless Ready has said them already."""
    words = "" if told(condition) == told(ready) else f" {told(condition)}"
    return f"{condition.type}={condition.status}{words}"


def told(condition: ConditionFact) -> str:
    """Reason and message, without a full stop."""
    text = " ".join(condition.message.split()).rstrip(".")
    return f"{condition.reason}: {text}" if text else condition.reason


def subject_of(gateway: GatewayFact) -> str:
    """As findings name it."""
    return f"{gateway.namespace}/{gateway.name}"


def is_new(created_at: datetime | None, now: datetime) -> bool:
    """Whether the time that provisioning may take is not over."""
    age_seconds = seconds_since(created_at, now)
    return age_seconds is not None and age_seconds <= PROVISIONING_SECONDS.value


CHECKS: tuple[Check, ...] = (
    Check(
        "gateway.ready",
        "Every gateway is Ready",
        GATEWAY_NOT_READY.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.PODS}),
        _gateway_ready,
        category=Category.GATEWAY,
        looks_at="the condition Ready of every ActionsGateway, and whether the pods that it speaks of are there",
    ),
    Check(
        "agent.available",
        "Every agent is ready",
        AGENT_OOM_KILLED.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.PODS}),
        _agent_available,
        category=Category.GATEWAY,
        looks_at="the condition AGCAvailable of every ActionsGateway, and the agent's pods",
    ),
    Check(
        "session.open",
        "Every runner group has an open session",
        NO_ACTIVE_SESSION.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS}),
        _session_open,
        category=Category.SESSIONS,
        looks_at="the open sessions in every RunnerGroup's status, and the agent's pods",
    ),
)
