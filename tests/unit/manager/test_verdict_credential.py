"""How the agent's reports on the credential become the gateway's condition, and which of them keep it from Ready."""

from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.agent.tokens.verdict import Verdict
from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.manager.gateway.conditions import decide_conditions
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.snapshot import Plan, Snapshot
from support import manager_objects as make

Manifest = dict[str, Any]

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TWO_GROUPS = [{"name": name, "runnerLabels": ["linux"]} for name in ("cpu", "gpu")]

REPORTED = {
    Reason.CREDENTIAL_AVAILABLE: ("False", True),
    Reason.SECRET_EDITED: ("False", True),
    Reason.EDITED_SECRET_UNUSABLE: ("True", True),
    Reason.CREDENTIAL_UNKNOWN: ("Unknown", False),
    Reason.GITHUB_UNREACHABLE: ("Unknown", False),
    Reason.SECRET_NOT_FOUND: ("True", False),
    Reason.SECRET_FIELD_MISSING: ("True", False),
    Reason.SECRET_FIELD_INVALID: ("True", False),
    Reason.KEY_REJECTED: ("True", False),
    Reason.INSTALLATION_NOT_FOUND: ("True", False),
    Reason.INSTALLATION_SUSPENDED: ("True", False),
    Reason.PERMISSION_MISSING: ("True", False),
}
"""By what the agent may report: the condition's status, and whether the gateway can be Ready with it."""


def reports(*entries: tuple[str, str], agent: dict[str, Any] | None = None) -> Snapshot:
    """A gateway with a group for each (status, reason) that the agent reports; `agent` changes its Deployment."""
    owner = make.gateway(runnerGroups=TWO_GROUPS[: len(entries)])
    children = make.with_proxy(make.with_agent(make.children_of(owner), **(agent or {})))
    for entry, group in zip(entries, TWO_GROUPS, strict=False):
        credential = make.condition("CredentialUnavailable", *entry, message=f"field privateKey: {entry[1]}")
        listening = make.condition("Ready", "True", "ListenerActive")
        children = make.with_group_status(children, f"ci-{group['name']}", conditions=[listening, credential])
    return make.snapshot(owner, children=children)


def judged(snapshot: Snapshot) -> tuple[Condition, Condition]:
    """(CredentialUnavailable, Ready)."""
    plan = Plan(parse_gateway(snapshot.gateway), None, ())
    conditions = {entry.type: entry for entry in decide_conditions(snapshot, plan, (), NOW).conditions}
    return conditions[ConditionType.CREDENTIAL_UNAVAILABLE], conditions[ConditionType.READY]


@pytest.mark.parametrize("reason", list(REPORTED), ids=str)
def test_each_report_is_repeated_and_counts_for_ready_as_it_should(reason: Reason) -> None:
    status, may_be_ready = REPORTED[reason]
    credential, ready = judged(reports((status, reason)))
    assert (credential.status, credential.reason) == (status, reason)
    assert credential.message == f"field privateKey: {reason}"
    assert ready.status == ("True" if may_be_ready else "False")
    assert ready.reason == (Reason.ALL_AVAILABLE if may_be_ready else reason)


@pytest.mark.parametrize("reason", list(REPORTED), ids=str)
def test_the_agent_gives_each_reason_the_status_that_is_expected_here(reason: Reason) -> None:
    assert Verdict(reason, "as it is").condition.status == REPORTED[reason][0]


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (Reason.CREDENTIAL_AVAILABLE, Reason.KEY_REJECTED, Reason.KEY_REJECTED),
        (Reason.EDITED_SECRET_UNUSABLE, Reason.PERMISSION_MISSING, Reason.PERMISSION_MISSING),
        (Reason.SECRET_EDITED, Reason.EDITED_SECRET_UNUSABLE, Reason.EDITED_SECRET_UNUSABLE),
        (Reason.CREDENTIAL_AVAILABLE, Reason.SECRET_EDITED, Reason.SECRET_EDITED),
        (Reason.GITHUB_UNREACHABLE, Reason.CREDENTIAL_AVAILABLE, Reason.CREDENTIAL_AVAILABLE),
    ],
)
def test_of_several_groups_the_worst_report_counts(first: Reason, second: Reason, counts: Reason) -> None:
    credential, _ = judged(reports(*((REPORTED[reason][0], reason) for reason in (first, second))))
    assert credential.reason is counts


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param({"availableReplicas": 0}, id="no pod is ready"),
        pytest.param({"observedGeneration": 0}, id="the change of the reference is not rolled out yet"),
        pytest.param({"updatedReplicas": 0}, id="the pod still has the Secret of before"),
    ],
)
def test_only_an_agent_of_the_current_template_is_believed(agent: dict[str, Any]) -> None:
    credential, _ = judged(reports(("True", "KeyRejected"), agent=agent))
    assert (credential.status, credential.reason) == (ConditionStatus.UNKNOWN, Reason.CREDENTIAL_UNKNOWN)
    assert "github-app-v1" in credential.message


def test_a_reason_of_a_newer_agent_keeps_its_message() -> None:
    credential, ready = judged(reports(("True", "KeyOnTheMoon")))
    assert (credential.status, credential.message) == (ConditionStatus.TRUE, "field privateKey: KeyOnTheMoon")
    assert ready.status is ConditionStatus.FALSE
