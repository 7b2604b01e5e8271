"""The status of a RunnerGroup: decided from facts, compared with what the object says, written only when it differs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.agent.runnergroups.waits import Wait
from actions_gateway.agent.tokens.verdict import Verdict
from actions_gateway.api.conditions import (
    SUSTAINED_LIMIT_SECONDS,
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    set_conditions,
)


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
    registrations: int | None
    is_rate_limited: bool
    """For so long that it is no passing matter."""
    session_problem: str
    verdict: Verdict
    credential: dict[str, Any] | None
    silence: str = ""
    """Why no open session hears of jobs; empty while one may."""
    refusals: tuple[str, ...] = ()
    """What the API server says of the pods that it does not admit, one of each claimed job that waits for it."""
    quota_problem: str = ""
    """Why the namespace's quotas keep the group from claiming; empty when they do not, or not for long yet."""
    version_problem: str = ""
    """What GitHub says of a runner version that it no longer serves; empty when it serves it."""
    runner_version: str = ""
    worker_image: str = ""
    rejection: str = ""
    """What GitHub says of runners that it rejects although they are new; empty when it accepts them."""
    waits: tuple[Wait, ...] = ()
    """What its jobs wait for."""
    template_refusal: str = ""
    """What the API server says of a worker of the group's settings, asked without need; empty when it admits one."""


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
    if facts.busy_sessions or (facts.active_sessions and not facts.silence):
        return ready(ConditionStatus.TRUE, Reason.LISTENER_ACTIVE, "At least one session is open.")
    lack = "No open session hears of jobs" if facts.active_sessions else "No session is open"
    cause = facts.silence or facts.session_problem or "the first one is being opened"
    message = f"{cause.rstrip('.')}." if facts.verdict.is_available else facts.verdict.message
    return ready(ConditionStatus.FALSE, Reason.NO_ACTIVE_SESSIONS, f"{lack}: {message}")


def decide_degraded(facts: GroupFacts) -> Condition:
    """The condition Degraded: whether pods are not admitted, or would not be, or GitHub rejects the group's runners."""
    if facts.quota_problem and not facts.refusals:
        text = f"No job is claimed: {facts.quota_problem}."
        return Condition(ConditionType.DEGRADED, ConditionStatus.TRUE, Reason.WORKERS_REFUSED, text)
    if facts.template_refusal and not facts.refusals:
        text = f"A worker of these settings is not admitted; the API server says: {facts.template_refusal}"
        return Condition(ConditionType.DEGRADED, ConditionStatus.TRUE, Reason.POD_TEMPLATE_REFUSED, text)
    if facts.rejection and not facts.refusals:
        text = f"GitHub rejects runners, and new ones in their place, too: {facts.rejection}"
        return Condition(ConditionType.DEGRADED, ConditionStatus.TRUE, Reason.UNAUTHORIZED, text)
    if not facts.refusals:
        text = "No claimed job waits for its pod to be admitted."
        return Condition(ConditionType.DEGRADED, ConditionStatus.FALSE, Reason.WORKERS_ADMITTED, text)
    text = f"Claimed jobs whose pods are not admitted: {len(facts.refusals)}; the API server says: {facts.refusals[0]}"
    return Condition(ConditionType.DEGRADED, ConditionStatus.TRUE, Reason.WORKERS_REFUSED, text)


def decide_rate_limited(facts: GroupFacts) -> Condition:
    """The condition RateLimited; its text is the same throughout, so that it is written on change only."""
    if facts.is_rate_limited:
        text = (
            f"GitHub has limited the group's requests for {SUSTAINED_LIMIT_SECONDS / 60:.0f} minutes without a good"
            " answer; they go on at the pace that GitHub asks for. Fewer listeners, or a GitHub App of its own, relieve"
            " the installation's budget."
        )
        return Condition(ConditionType.RATE_LIMITED, ConditionStatus.TRUE, Reason.SUSTAINED_RATE_LIMIT, text)
    text = "GitHub does not limit the group's requests for long."
    return Condition(ConditionType.RATE_LIMITED, ConditionStatus.FALSE, Reason.WITHIN_RATE_LIMIT, text)


def decide_version(facts: GroupFacts) -> Condition:
    """The condition RunnerVersionTooOld."""
    kind = ConditionType.RUNNER_VERSION_TOO_OLD
    if not facts.version_problem:
        return Condition(kind, ConditionStatus.FALSE, Reason.VERSION_SUPPORTED, "GitHub serves the runner version.")
    text = (
        f"GitHub does not serve runner version {facts.runner_version}, which the agent reports for workers of image"
        f" {facts.worker_image}: {facts.version_problem.rstrip('.')}. A newer release of Actions Gateway, with its"
        " runner image, is needed."
    )
    return Condition(kind, ConditionStatus.TRUE, Reason.VERSION_TOO_OLD, text)


def decide_status(manifest: dict[str, Any], facts: GroupFacts, *, now: datetime) -> dict[str, Any] | None:
    """The merge patch for the status subresource, None when the object says it all already."""
    current = manifest.get("status") or {}
    generation = int(manifest["metadata"].get("generation") or 0)
    decided = (
        decide_ready(facts),
        facts.verdict.condition,
        decide_degraded(facts),
        decide_rate_limited(facts),
        decide_version(facts),
    )
    wanted: dict[str, Any] = {
        "conditions": set_conditions(current.get("conditions") or [], decided, generation=generation, now=now),
        "activeSessions": facts.active_sessions,
        "activeJobs": facts.active_jobs,
        "pendingJobs": facts.pending_jobs,
        "waiting": [wait.render() for wait in facts.waits] or None,
        "registrations": facts.registrations,
        "observedGeneration": generation,
    }
    changed = {key: value for key, value in wanted.items() if current.get(key) != value}
    if facts.verdict.reason is not Reason.CREDENTIAL_UNKNOWN and current.get("credential") != facts.credential:
        changed["credential"] = _replacement(current.get("credential"), facts.credential)
    return {"status": changed} if changed else None


def _replacement(before: Any, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """The part of a merge patch that leaves exactly `after`: what is no longer said is nulled (RFC 7386)."""
    if after is None or not isinstance(before, dict):
        return after
    return dict.fromkeys(before.keys() - after.keys()) | {
        key: _replacement(before.get(key), value) if isinstance(value, dict) else value for key, value in after.items()
    }
