"""A gateway's conditions as a whole, and Ready, which is their sum.

Ready means that the tenant's jobs are taken: agent and proxy are available, the credential works, and each group that
should poll has an open session. Its reason when False is the first of these that fails, in the order in which people
look: what was asked for, what the manager could not write, agent, proxy, credential, sessions. A paused gateway, whose
groups have no session by intention, can be Ready. RateLimited, RunnerGroupsDegraded and PodSecurityOverridden inform.
"""

from dataclasses import dataclass
from datetime import datetime

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.manager.gateway.pod_security import pod_security_conditions
from actions_gateway.manager.gateway.snapshot import Failure, Plan, Snapshot
from actions_gateway.manager.gateway.verdict.credential import credential_condition, keeps_from_jobs
from actions_gateway.manager.gateway.verdict.groups import (
    active_groups,
    deaf_groups,
    groups_condition,
    named,
    rate_limited_condition,
)
from actions_gateway.manager.gateway.verdict.lifecycle import degraded_condition, paused_condition
from actions_gateway.manager.gateway.verdict.workloads import agent_condition, proxy_condition


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conditions, and when time alone may change them."""

    conditions: tuple[Condition, ...]
    again_after_seconds: float | None = None


def decide_conditions(snapshot: Snapshot, plan: Plan, failures: tuple[Failure, ...], now: datetime) -> Verdict:
    """All of a gateway's conditions, Ready first."""
    agent = agent_condition(snapshot, plan.refusal)
    proxy = proxy_condition(snapshot, plan.spec, plan.refusal)
    credential = credential_condition(snapshot, agent)
    degraded = degraded_condition(failures)
    paused = paused_condition(snapshot)
    deaf, again_after_seconds = deaf_groups(snapshot, now)
    ready = (
        (_not_ready(plan.refusal.reason, plan.refusal.message) if plan.refusal else None)
        or (_because(paused) if paused.reason is Reason.CONTAINED else None)
        or (_because(degraded) if degraded.status is ConditionStatus.TRUE else None)
        or (_because(agent) if agent.status is not ConditionStatus.TRUE else None)
        or (_because(proxy) if proxy.status is not ConditionStatus.TRUE else None)
        or _from_credential(credential, snapshot)
        or _from_groups(deaf, snapshot)
        or _all_available(snapshot, is_paused=paused.status is ConditionStatus.TRUE)
    )
    folded = (rate_limited_condition(snapshot, agent), groups_condition(snapshot, agent))
    levels = pod_security_conditions(snapshot.gateway, plan.kept_levels)
    return Verdict((ready, agent, proxy, credential, *folded, degraded, paused, *levels), again_after_seconds)


def _from_credential(credential: Condition, snapshot: Snapshot) -> Condition | None:
    """A credential that nothing has checked counts only while there is a group that needs it."""
    if credential.status is ConditionStatus.UNKNOWN and not active_groups(snapshot):
        return None
    return _because(credential) if keeps_from_jobs(credential) else None


def _from_groups(deaf: list[str], snapshot: Snapshot) -> Condition | None:
    if not deaf:
        return None
    namespace = snapshot.gateway["metadata"]["namespace"]
    return _not_ready(
        Reason.NO_ACTIVE_SESSIONS,
        f"No session is open for {named(deaf)}; see 'kubectl describe runnergroup -n {namespace} {deaf[0]}'.",
    )


def _all_available(snapshot: Snapshot, *, is_paused: bool) -> Condition:
    message = "Agent and proxy are available, and every runner group is polled for."
    if not snapshot.runner_groups:
        message = "Agent and proxy are available; add an entry to spec.runnerGroups to take jobs."
    elif is_paused:
        message = "Agent and proxy are available; no job is claimed while spec.paused is true."
    elif not active_groups(snapshot):
        message = "Agent and proxy are available; no job is claimed, since every runner group is suspended."
    return Condition(ConditionType.READY, ConditionStatus.TRUE, Reason.ALL_AVAILABLE, message)


def _because(cause: Condition) -> Condition:
    return _not_ready(cause.reason, cause.message)


def _not_ready(reason: Reason, message: str) -> Condition:
    return Condition(ConditionType.READY, ConditionStatus.FALSE, reason, message)
