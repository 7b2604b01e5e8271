"""CredentialUnavailable: what the agent reports of the App's Secret, which the manager itself cannot read."""

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason, find_condition
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.snapshot import Snapshot

_WORKS_ON = Reason.EDITED_SECRET_UNUSABLE
"""True, and still no reason not to be ready: the agent takes jobs with what it read before the edit."""


def credential_condition(snapshot: Snapshot, agent: Condition) -> Condition:
    """The agent's report, folded up from its groups; the worst of any group counts.

    Only an agent that runs the current template has the current Secret mounted, so nothing older is repeated.
    """
    if agent.status is not ConditionStatus.TRUE:
        return _unknown(snapshot, "waits for the agent")
    reports = [report for group in snapshot.runner_groups if (report := _report(group))]
    if reports:
        return min(reports, key=_order)
    if not snapshot.runner_groups:
        return _unknown(snapshot, "is not checked, since the gateway has no runner groups")
    return _unknown(snapshot, "waits for the agent's first report")


def keeps_from_jobs(credential: Condition) -> bool:
    """Whether no job can be taken with the credential as it is, or nothing is known about it."""
    return credential.status is not ConditionStatus.FALSE and credential.reason is not _WORKS_ON


def _order(report: Condition) -> tuple[int, bool]:
    """Problems first, those that stop the work before the others; then news on one that works."""
    statuses = (ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN)
    return statuses.index(report.status), report.reason in (_WORKS_ON, Reason.CREDENTIAL_AVAILABLE)


def _report(group: Manifest) -> Condition | None:
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


def _unknown(snapshot: Snapshot, state: str) -> Condition:
    secret = ((snapshot.gateway.get("spec") or {}).get("gitHubAppRef") or {}).get("name", "")
    return Condition(
        ConditionType.CREDENTIAL_UNAVAILABLE,
        ConditionStatus.UNKNOWN,
        Reason.CREDENTIAL_UNKNOWN,
        f"The credential in Secret {secret} {state}.",
    )
