"""What the agent reports on the runner groups, folded up: RateLimited, RunnerGroupsDegraded, and who has no session."""

from collections.abc import Iterator, Sequence
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
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.snapshot import Snapshot

SESSION_GRACE_SECONDS = 60.0
"""Single-use sessions come and go with every job: a ready gateway bears a group without one for this long."""
_NAMED = 5

_FOLDED_ELSEWHERE = frozenset(
    {ConditionType.READY, ConditionType.CREDENTIAL_UNAVAILABLE, ConditionType.RATE_LIMITED, ConditionType.PAUSED}
)


def rate_limited_condition(snapshot: Snapshot, agent: Condition) -> Condition:
    """RateLimited: whether GitHub limits any group for long; an agent that is gone asks GitHub nothing."""
    kind = ConditionType.RATE_LIMITED
    if agent.status is not ConditionStatus.TRUE:
        return _unobserved(kind, agent)
    limited = [_name(group) for group in snapshot.runner_groups if is_true(group, kind)]
    if not limited:
        return Condition(kind, ConditionStatus.FALSE, Reason.WITHIN_RATE_LIMIT, "GitHub limits no runner group.")
    text = f"GitHub limits the requests of {named(limited)}; give the tenant an App of its own, or fewer listeners."
    return Condition(kind, ConditionStatus.TRUE, Reason.SUSTAINED_RATE_LIMIT, text)


def groups_condition(snapshot: Snapshot, agent: Condition) -> Condition:
    """RunnerGroupsDegraded: problems of single groups. Credential, limits and sessions have a place of their own."""
    kind = ConditionType.RUNNER_GROUPS_DEGRADED
    if agent.status is not ConditionStatus.TRUE:
        return _unobserved(kind, agent)
    problems = [f"{_name(group)} {told}" for group in snapshot.runner_groups for told in _problems(group)]
    if not problems:
        text = "No runner group reports a problem of its own."
        return Condition(kind, ConditionStatus.FALSE, Reason.RUNNER_GROUPS_HEALTHY, text)
    namespace = snapshot.gateway["metadata"]["namespace"]
    text = f"{named(problems)}; see 'kubectl describe runnergroup -n {namespace} {problems[0].split()[0]}'."
    return Condition(kind, ConditionStatus.TRUE, Reason.RUNNER_GROUPS_IMPAIRED, text)


def deaf_groups(snapshot: Snapshot, now: datetime) -> tuple[list[str], float | None]:
    """Groups without a session for longer than is borne, and when the next one gets there (seconds)."""
    was_ready = is_true(snapshot.gateway, ConditionType.READY)
    deaf: list[str] = []
    waits: list[float] = []
    for group in active_groups(snapshot):
        if is_true(group, ConditionType.READY):
            continue
        silent_seconds = (now - _silent_since(group)).total_seconds()
        # The agent's clock set the stamp: one that lies far in our future must not make silence borne for hours.
        if was_ready and abs(silent_seconds) < SESSION_GRACE_SECONDS:
            waits.append(SESSION_GRACE_SECONDS - max(0.0, silent_seconds))
        else:
            deaf.append(_name(group))
    return deaf, min(waits, default=None)


def active_groups(snapshot: Snapshot) -> list[Manifest]:
    """The groups that should have a session."""
    return [group for group in snapshot.runner_groups if not (group.get("spec") or {}).get("suspended")]


def named(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _problems(group: Manifest) -> Iterator[str]:
    """As "Degraded/WorkersRefused": what is True and named for a problem, known to this manager or not."""
    entries: list[dict[str, Any]] = (group.get("status") or {}).get("conditions") or []
    for entry in entries:
        is_own = entry["type"] not in _FOLDED_ELSEWHERE and entry["status"] == ConditionStatus.TRUE
        is_unusable = entry["type"] == ConditionType.READY and entry["reason"] == Reason.INVALID_SPEC
        if is_own or is_unusable:
            yield f"{entry['type']}/{entry['reason']}"


def _unobserved(kind: ConditionType, agent: Condition) -> Condition:
    return Condition(kind, ConditionStatus.UNKNOWN, agent.reason, "The agent, which observes it, is not available.")


def _name(group: Manifest) -> str:
    return str(group["metadata"]["name"])


def _silent_since(group: Manifest) -> datetime:
    ready = find_condition(group, ConditionType.READY)
    stamp = ready["lastTransitionTime"] if ready else group["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(str(stamp))
