"""What a gateway's status says: pure functions of the snapshot after the writes.

Ready means that the tenant's jobs are taken: the agent is available, the credential works, and each group that should
poll has an open session. A gateway becomes Ready only with all of them, and a Ready one bears a group without session
for `_SESSION_GRACE_SECONDS`, since single-use sessions come and go with every job. A paused gateway, whose groups have
no session by intention, can be Ready.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    find_condition,
    is_true,
)
from actions_gateway.api.names import AGENT
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.snapshot import Failure, Plan, Refusal, Snapshot

_SESSION_GRACE_SECONDS = 60.0
_NAMED_GROUPS = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions, and when time alone may change them."""

    conditions: tuple[Condition, ...]
    again_after_seconds: float | None = None


def decide_conditions(snapshot: Snapshot, plan: Plan, failures: tuple[Failure, ...], now: datetime) -> Verdict:
    """All of a gateway's conditions; first the component ones, then Ready, which is their sum."""
    agent = agent_condition(snapshot)
    credential = credential_condition(snapshot, agent)
    degraded = degraded_condition(failures)
    deaf, again_after_seconds = deaf_groups(snapshot, now)
    ready = (
        _refused(plan.refusal)
        or _unless(degraded, ConditionStatus.FALSE)
        or _unless(agent, ConditionStatus.TRUE)
        or _from_credential(credential, snapshot)
        or _from_groups(deaf, snapshot)
        or _all_available(snapshot, is_paused=plan.spec is not None and plan.spec.paused)
    )
    return Verdict((ready, agent, credential, degraded), again_after_seconds)


def agent_condition(snapshot: Snapshot) -> Condition:
    """AGCAvailable: the Deployment runs its current template and the pod is ready."""
    deployment = snapshot.agent
    if deployment is not None and is_available(deployment):
        text = f"Deployment {AGENT} has a ready pod."
        return Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.TRUE, Reason.AGC_READY, text)
    text = f"The gateway has no Deployment {AGENT} yet."
    if deployment is not None:
        text = (
            f"Deployment {AGENT} has no ready pod of its current template{_cause(deployment)}; "
            f"see 'kubectl describe pod -n {snapshot.gateway['metadata']['namespace']} -l app={AGENT}'."
        )
    return Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.FALSE, Reason.AGC_NOT_READY, text)


def is_available(deployment: Manifest) -> bool:
    """Whether the Deployment's controller has seen the spec and its one pod is available."""
    status = deployment.get("status") or {}
    return (
        int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
        and int(status.get("updatedReplicas") or 0) >= 1
        and int(status.get("availableReplicas") or 0) >= 1
    )


def credential_condition(snapshot: Snapshot, agent: Condition) -> Condition:
    """CredentialUnavailable: the agent's report, folded up from its groups; a problem of any group counts.

    Only an agent that runs the current template has the current Secret mounted, so nothing older is repeated.
    """
    if agent.status is not ConditionStatus.TRUE:
        return _credential_unknown(snapshot, "waits for the agent")
    reports = [report for group in snapshot.runner_groups if (report := _credential_report(group))]
    for status in (ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN):
        for report in reports:
            if report.status is status:
                return report
    if not snapshot.runner_groups:
        return _credential_unknown(snapshot, "is not checked, since the gateway has no runner groups")
    return _credential_unknown(snapshot, "waits for the agent's first report")


def degraded_condition(failures: tuple[Failure, ...]) -> Condition:
    """Degraded: the last pass could not write everything; the message names the first step that failed."""
    if not failures:
        return Condition(
            ConditionType.DEGRADED, ConditionStatus.FALSE, Reason.RECONCILED, "The last reconcile completed."
        )
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return Condition(
        ConditionType.DEGRADED,
        ConditionStatus.TRUE,
        Reason.PROVISIONING_FAILED,
        f"{failures[0]}{more}; the manager tries again.",
    )


def deaf_groups(snapshot: Snapshot, now: datetime) -> tuple[list[str], float | None]:
    """Groups without a session for longer than is borne, and when the next one gets there (seconds)."""
    was_ready = is_true(snapshot.gateway, ConditionType.READY)
    deaf: list[str] = []
    waits: list[float] = []
    for group in snapshot.runner_groups:
        if (group.get("spec") or {}).get("suspended") or is_true(group, ConditionType.READY):
            continue
        silent_seconds = (now - _silent_since(group)).total_seconds()
        # The agent's clock set the stamp: one that lies far in our future must not make silence borne for hours.
        if was_ready and abs(silent_seconds) < _SESSION_GRACE_SECONDS:
            waits.append(_SESSION_GRACE_SECONDS - max(0.0, silent_seconds))
        else:
            deaf.append(str(group["metadata"]["name"]))
    return deaf, min(waits, default=None)


def _refused(refusal: Refusal | None) -> Condition | None:
    return _not_ready(refusal.reason, refusal.message) if refusal else None


def _unless(condition: Condition, good: ConditionStatus) -> Condition | None:
    return None if condition.status is good else _not_ready(condition.reason, condition.message)


def _from_credential(credential: Condition, snapshot: Snapshot) -> Condition | None:
    """A credential that nothing has checked counts only while there is a group that needs it."""
    if credential.status is ConditionStatus.UNKNOWN and not _active_groups(snapshot):
        return None
    return _unless(credential, ConditionStatus.FALSE)


def _from_groups(deaf: list[str], snapshot: Snapshot) -> Condition | None:
    if not deaf:
        return None
    names = ", ".join(deaf[:_NAMED_GROUPS]) + (", …" if len(deaf) > _NAMED_GROUPS else "")
    namespace = snapshot.gateway["metadata"]["namespace"]
    return _not_ready(
        Reason.NO_ACTIVE_SESSIONS,
        f"No session is open for {names}; see 'kubectl describe runnergroup -n {namespace} {deaf[0]}'.",
    )


def _all_available(snapshot: Snapshot, *, is_paused: bool) -> Condition:
    message = "The agent is available and polls for every runner group."
    if not snapshot.runner_groups:
        message = "The agent is available; add an entry to spec.runnerGroups to take jobs."
    elif is_paused:
        message = "The agent is available and claims no job while spec.paused is true."
    elif not _active_groups(snapshot):
        message = "The agent is available and claims no job, since every runner group is suspended."
    return Condition(ConditionType.READY, ConditionStatus.TRUE, Reason.ALL_AVAILABLE, message)


def _not_ready(reason: Reason, message: str) -> Condition:
    return Condition(ConditionType.READY, ConditionStatus.FALSE, reason, message)


def _active_groups(snapshot: Snapshot) -> list[Manifest]:
    return [group for group in snapshot.runner_groups if not (group.get("spec") or {}).get("suspended")]


def _credential_report(group: Manifest) -> Condition | None:
    entry = find_condition(group, ConditionType.CREDENTIAL_UNAVAILABLE)
    if entry is None:
        return None
    try:
        reason = Reason(entry["reason"])
    except ValueError:
        # An agent of another version knows more reasons than this manager; its message still says it.
        reason = Reason.CREDENTIAL_UNKNOWN
    return Condition(
        ConditionType.CREDENTIAL_UNAVAILABLE, ConditionStatus(entry["status"]), reason, str(entry["message"])
    )


def _credential_unknown(snapshot: Snapshot, state: str) -> Condition:
    secret = ((snapshot.gateway.get("spec") or {}).get("gitHubAppRef") or {}).get("name", "")
    return Condition(
        ConditionType.CREDENTIAL_UNAVAILABLE,
        ConditionStatus.UNKNOWN,
        Reason.CREDENTIAL_UNKNOWN,
        f"The credential in Secret {secret} {state}.",
    )


def _silent_since(group: Manifest) -> datetime:
    ready = find_condition(group, ConditionType.READY)
    stamp = ready["lastTransitionTime"] if ready else group["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(str(stamp))


def _cause(deployment: Manifest) -> str:
    """The last known cause, as the Deployment's controller tells it."""
    known: dict[str, Any] = {entry["type"]: entry for entry in (deployment.get("status") or {}).get("conditions") or []}
    for kind, bad in (("ReplicaFailure", "True"), ("Progressing", "False")):
        entry = known.get(kind)
        if entry and entry.get("status") == bad:
            return f": {entry.get('message', '').rstrip('.')}"
    return ""
