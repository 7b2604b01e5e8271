"""The status of a RunnerGroup: decided from facts, compared with what the object says, written only when it differs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.agent.tokens.verdict import Verdict
from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason, set_conditions


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What the agent knows of one group at a moment."""

    is_suspended: bool
    spec_problem: str
    """Why its spec cannot be used; empty when it can."""
    active_sessions: int
    busy_sessions: int
    active_jobs: int
    pending_jobs: int
    session_problem: str
    verdict: Verdict
    credential: dict[str, Any] | None


def decide_ready(facts: GroupFacts) -> Condition:
    """The condition Ready: whether the group takes jobs, and if not, why."""

    def ready(status: ConditionStatus, reason: Reason, message: str) -> Condition:
        return Condition(ConditionType.READY, status, reason, message)

    if facts.spec_problem:
        return ready(ConditionStatus.FALSE, Reason.INVALID_SPEC, facts.spec_problem)
    if facts.is_suspended:
        return ready(
            ConditionStatus.FALSE, Reason.SUSPENDED, "The group is suspended; running jobs go on to their end."
        )
    # The successor of a session that has just claimed a job is on its way: that is no outage.
    if facts.active_sessions or facts.busy_sessions:
        return ready(ConditionStatus.TRUE, Reason.LISTENER_ACTIVE, "At least one session is open.")
    if not facts.verdict.is_available:
        message = f"No session is open: {facts.verdict.message}"
        return ready(ConditionStatus.FALSE, Reason.NO_ACTIVE_SESSIONS, message)
    cause = facts.session_problem or "the first one is being opened"
    return ready(ConditionStatus.FALSE, Reason.NO_ACTIVE_SESSIONS, f"No session is open: {cause.rstrip('.')}.")


def decide_status(manifest: dict[str, Any], facts: GroupFacts, *, now: datetime) -> dict[str, Any] | None:
    """The merge patch for the status subresource, None when the object says it all already."""
    current = manifest.get("status") or {}
    generation = int(manifest["metadata"].get("generation") or 0)
    decided = (decide_ready(facts), facts.verdict.condition)
    wanted: dict[str, Any] = {
        "conditions": set_conditions(current.get("conditions") or [], decided, generation=generation, now=now),
        "activeSessions": facts.active_sessions,
        "activeJobs": facts.active_jobs,
        "pendingJobs": facts.pending_jobs,
        "observedGeneration": generation,
    }
    if facts.credential is not None:
        wanted["credential"] = facts.credential
    changed = {key: value for key, value in wanted.items() if current.get(key) != value}
    return {"status": changed} if changed else None
