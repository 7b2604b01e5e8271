"""Checks of a tenant's gateway: is it ready, is its agent there, does its credential work, does each group listen."""

from collections.abc import Iterator
from datetime import datetime

from actions_gateway.api import names
from actions_gateway.api.conditions import ConditionStatus, ConditionType, Reason
from gw.checks.model import Check, Finding, Scope, ok, problem, skipped, unknown
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

CONTAINED, DELETING = "contained", "deleting"
"""Intentions of a gateway that has no agent."""
OUT_OF_DATE = "the manager keeps that condition; if it is down, see manager.running"

_WITHIN = f"within {PROVISIONING_SECONDS.value:.0f} s of its creation"


def _gateway_ready(facts: Facts) -> Iterator[Finding]:
    for gateway in facts.gateways.value:
        subject, ready = subject_of(gateway), gateway.condition(ConditionType.READY)
        if gateway.is_ready:
            yield ok(subject, "Ready")
        elif gateway.intention in (CONTAINED, DELETING):
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
                next_step=f"gw tenant show {gateway.namespace}",
            )


def _agent_available(facts: Facts) -> Iterator[Finding]:
    for gateway in served(facts):
        subject, available = subject_of(gateway), gateway.condition(ConditionType.AGC_AVAILABLE)
        if gateway.intention in (CONTAINED, DELETING):
            yield skipped(subject, f"no agent is wanted: the gateway is {gateway.intention}")
        elif available is not None and available.is_true and ready_pods(facts, gateway, PodRole.AGENT):
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


def _credential_available(facts: Facts) -> Iterator[Finding]:
    for gateway in served(facts):
        subject, tried = subject_of(gateway), tried_credential(gateway)
        if isinstance(tried, Finding):
            yield tried
        elif tried.reason == Reason.EDITED_SECRET_UNUSABLE:
            yield ok(
                subject, f"the agent works on with what it read of the Secret {gateway.secret_name} before its edit"
            )
        elif tried.is_true:
            yield problem(
                subject,
                f"the App credential does not work: {told(tried)}",
                since=tried.since,
                evidence=(f"Secret {gateway.secret_name}, {gateway.github_url}",),
                next_step=f"gw tenant show {gateway.namespace}",
            )
        else:
            yield ok(subject, f"the Secret {gateway.secret_name} works")


def _session_open(facts: Facts) -> Iterator[Finding]:
    gateways = {(gateway.namespace, gateway.name): gateway for gateway in facts.gateways.value}
    for group in facts.groups.value:
        gateway = gateways.get((group.namespace, group.gateway))
        yield _session_of(group, gateway, facts.now, agent_phases=_agent_phases(facts, group.namespace))


def _session_of(group: GroupFact, gateway: GatewayFact | None, now: datetime, *, agent_phases: list[str]) -> Finding:
    subject = f"{group.namespace}/{group.name}"
    if gateway is not None and gateway.intention:
        return skipped(subject, f"its gateway is {gateway.intention} by intention")
    if group.suspended:
        return skipped(subject, "suspended by intention")
    if group.active_sessions > NO_ACTIVE_SESSION.value:
        return _reported_sessions(subject, group, agent_phases)
    ready = group.condition(ConditionType.READY)
    since = ready.since if ready is not None and not ready.is_true else group.created_at
    age_seconds = seconds_since(since, now)
    if is_new(group.created_at, now) or (age_seconds is not None and age_seconds <= SESSION_GAP_SECONDS.value):
        return unknown(subject, "no session is open yet; one is due within seconds")
    return problem(
        subject,
        "no session is open; its jobs wait at GitHub",
        since=since,
        evidence=(f"labels {', '.join(group.runner_labels)}", "" if ready is None else told(ready)),
        next_step=_cause_of_silence(group),
    )


def _reported_sessions(subject: str, group: GroupFact, agent_phases: list[str]) -> Finding:
    """An agent that dies leaves its last count in the status, so the count holds only while an agent runs."""
    if "Running" in agent_phases:
        return ok(subject, f"{counted(group.active_sessions, 'session')} open")
    if agent_phases:
        return unknown(subject, "its agent is starting and has not counted its sessions yet")
    return problem(
        subject,
        "no session is open: its agent is gone; its jobs wait at GitHub",
        evidence=(
            f"labels {', '.join(group.runner_labels)}",
            f"its status still counts {counted(group.active_sessions, 'session')}",
        ),
        next_step=f"gw health {group.namespace} --check agent.available",
    )


def _cause_of_silence(group: GroupFact) -> str:
    """A credential that does not work explains the silence; else the agent's log does."""
    credential = group.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
    if credential is not None and credential.is_true:
        return f"gw health {group.namespace} --check credential.available"
    return f"kubectl logs -n {group.namespace} deploy/{names.AGENT} --tail=100"


def _agent_phases(facts: Facts, namespace: str) -> list[str]:
    return [pod.phase for pod in facts.pods.value if pod.role is PodRole.AGENT and pod.namespace == namespace]


def ready_pods(facts: Facts, gateway: GatewayFact, role: PodRole) -> int:
    """How many of the gateway's pods of that role serve now, whatever its conditions say."""
    pods = (pod for pod in facts.pods.value if pod.role is role and pod.namespace == gateway.namespace)
    return sum(pod.is_ready for pod in pods)


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


def tried_credential(gateway: GatewayFact) -> ConditionFact | Finding:
    """What the agent says of the credential; a finding in its place where none is wanted, or none has tried it."""
    missing = gateway.condition(ConditionType.CREDENTIAL_UNAVAILABLE)
    if gateway.intention in (CONTAINED, DELETING):
        return skipped(subject_of(gateway), f"no agent is there to try it: the gateway is {gateway.intention}")
    if missing is None or missing.status == ConditionStatus.UNKNOWN or missing.reason == Reason.CREDENTIAL_UNKNOWN:
        return unknown(subject_of(gateway), f"no agent has reported on the Secret {gateway.secret_name} yet")
    return missing


def subject_of(gateway: GatewayFact) -> str:
    """As findings name it."""
    return f"{gateway.namespace}/{gateway.name}"


def is_new(created_at: datetime | None, now: datetime) -> bool:
    """Whether the time that provisioning may take is not over."""
    age_seconds = seconds_since(created_at, now)
    return age_seconds is not None and age_seconds <= PROVISIONING_SECONDS.value


_GATEWAYS = frozenset({Need.GATEWAYS})

CHECKS: tuple[Check, ...] = (
    Check(
        "gateway.ready", "Every gateway is Ready", GATEWAY_NOT_READY.severity, Scope.TENANT, _GATEWAYS, _gateway_ready
    ),
    Check(
        "agent.available",
        "Every agent is ready",
        AGENT_OOM_KILLED.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.PODS}),
        _agent_available,
    ),
    Check(
        "credential.available",
        "Every App credential works",
        GATEWAY_NOT_READY.severity,
        Scope.TENANT,
        _GATEWAYS,
        _credential_available,
    ),
    Check(
        "session.open",
        "Every runner group has an open session",
        NO_ACTIVE_SESSION.severity,
        Scope.TENANT,
        frozenset({Need.GATEWAYS, Need.GROUPS, Need.PODS}),
        _session_open,
    ),
)
