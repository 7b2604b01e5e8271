"""What a gateway's conditions say, from what its children are like."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.kube.errors import Forbidden
from actions_gateway.kube.resources import NETWORKPOLICIES, ROLEBINDINGS
from actions_gateway.manager.gateway.conditions import Verdict, decide_conditions
from actions_gateway.manager.gateway.decide import parse_gateway
from actions_gateway.manager.gateway.snapshot import Failure, Plan, Refusal, Snapshot
from support import manager_objects as make

Manifest = dict[str, Any]

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def seconds_ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ready_gateway(**changes: Any) -> Manifest:
    status = {"conditions": [make.condition("Ready", "True", "AllAvailable")]}
    return make.gateway(status=status, **changes)


def served(owner: Manifest | None = None, *, conditions: list[Manifest] | None = None, **agent: Any) -> Snapshot:
    """A gateway with a running agent (`agent` changes its status) that reports `conditions` on its group."""
    owner = owner or make.gateway()
    children = make.with_proxy(make.with_agent(make.children_of(owner), **agent))
    reported = make.group_conditions() if conditions is None else conditions
    return make.snapshot(owner, children=make.with_group_status(children, conditions=reported))


def judge(
    snapshot: Snapshot, *, refusal: Refusal | None = None, failures: tuple[Failure, ...] = ()
) -> tuple[dict[ConditionType, Condition], Verdict]:
    spec = None if refusal else parse_gateway(snapshot.gateway)
    verdict = decide_conditions(snapshot, Plan(spec, refusal, ()), failures, NOW)
    return {condition.type: condition for condition in verdict.conditions}, verdict


def ready(snapshot: Snapshot, **arguments: Any) -> Condition:
    return judge(snapshot, **arguments)[0][ConditionType.READY]


def test_a_gateway_is_ready_when_agent_credential_and_sessions_are_there() -> None:
    conditions, verdict = judge(served())
    assert {kind: (entry.status, entry.reason) for kind, entry in conditions.items()} == {
        ConditionType.READY: (ConditionStatus.TRUE, Reason.ALL_AVAILABLE),
        ConditionType.AGC_AVAILABLE: (ConditionStatus.TRUE, Reason.AGC_READY),
        ConditionType.CREDENTIAL_UNAVAILABLE: (ConditionStatus.FALSE, Reason.CREDENTIAL_AVAILABLE),
        ConditionType.PROXY_AVAILABLE: (ConditionStatus.TRUE, Reason.PROXY_READY),
        ConditionType.RATE_LIMITED: (ConditionStatus.FALSE, Reason.WITHIN_RATE_LIMIT),
        ConditionType.RUNNER_GROUPS_DEGRADED: (ConditionStatus.FALSE, Reason.RUNNER_GROUPS_HEALTHY),
        ConditionType.DEGRADED: (ConditionStatus.FALSE, Reason.RECONCILED),
        ConditionType.PAUSED: (ConditionStatus.FALSE, Reason.NOT_PAUSED),
    }
    assert verdict.again_after_seconds is None


@pytest.mark.parametrize(
    ("snapshot", "reason", "named"),
    [
        pytest.param(make.snapshot(children={}), Reason.AGC_NOT_READY, "has no Deployment", id="no Deployment yet"),
        pytest.param(make.snapshot(), Reason.AGC_NOT_READY, "kubectl describe pod -n team-a", id="no pod yet"),
        pytest.param(served(availableReplicas=0), Reason.AGC_NOT_READY, "no ready pod", id="the pod is not ready"),
        pytest.param(
            served(observedGeneration=0), Reason.AGC_NOT_READY, "current template", id="the change is not seen yet"
        ),
        pytest.param(
            served(updatedReplicas=0),
            Reason.AGC_NOT_READY,
            "no ready pod",
            id="the old pod of a rollout",
        ),
        pytest.param(
            served(conditions=make.group_conditions(credential="True")),
            Reason.KEY_REJECTED,
            "what the agent saw",
            id="the credential does not work",
        ),
        pytest.param(
            served(conditions=make.group_conditions(credential="Unknown")),
            Reason.GITHUB_UNREACHABLE,
            "what the agent saw",
            id="GitHub does not answer",
        ),
        pytest.param(
            served(conditions=[]), Reason.CREDENTIAL_UNKNOWN, "Secret github-app-v1", id="no report on the credential"
        ),
        pytest.param(
            served(conditions=make.group_conditions(ready=False)),
            Reason.NO_ACTIVE_SESSIONS,
            "kubectl describe runnergroup -n team-a ci-cpu",
            id="no session is open",
        ),
    ],
)
def test_what_is_missing_is_the_reason_and_the_message_names_it(snapshot: Snapshot, reason: Reason, named: str) -> None:
    condition = ready(snapshot)
    assert (condition.status, condition.reason) == (ConditionStatus.FALSE, reason)
    assert named in condition.message


def test_the_deployments_own_cause_is_repeated() -> None:
    cause = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: compute."}
    children = make.with_agent(make.children_of(make.gateway()), availableReplicas=0, conditions=[cause])
    assert "template: exceeded quota: compute; see" in ready(make.snapshot(children=children)).message


def test_another_owners_deployment_is_not_this_gateways_agent() -> None:
    children = make.with_agent(make.children_of(make.gateway("predecessor")))
    assert ready(make.snapshot(make.gateway(), children=children)).reason is Reason.AGC_NOT_READY


def test_a_refusal_is_the_reason_whatever_else_is_missing() -> None:
    refusal = Refusal(Reason.ANOTHER_GATEWAY, "served by the older one")
    condition = ready(make.snapshot(children={}), refusal=refusal)
    assert (condition.reason, condition.message) == (Reason.ANOTHER_GATEWAY, "served by the older one")


def test_a_failed_step_degrades_the_gateway_and_is_named() -> None:
    failures = (
        Failure(NETWORKPOLICIES, "actions-gateway-workload", Forbidden("a policy says no", status=403)),
        Failure(ROLEBINDINGS, "actions-gateway-controller", Forbidden("no right", status=403)),
    )
    conditions, _ = judge(served(), failures=failures)
    degraded = conditions[ConditionType.DEGRADED]
    assert (degraded.status, degraded.reason) == (ConditionStatus.TRUE, Reason.PROVISIONING_FAILED)
    assert degraded.message.startswith("NetworkPolicy actions-gateway-workload: a policy says no (and 1 more)")
    assert conditions[ConditionType.READY].reason is Reason.PROVISIONING_FAILED


# -- groups that claim nothing by intention


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"paused": True}, "spec.paused", id="a paused gateway"),
        pytest.param(
            {"runnerGroups": [{"name": "cpu", "runnerLabels": ["linux"], "suspended": True}]},
            "every runner group is suspended",
            id="all groups suspended",
        ),
    ],
)
def test_a_gateway_that_claims_nothing_by_intention_is_ready_and_says_so(changes: dict[str, Any], named: str) -> None:
    condition = ready(served(make.gateway(**changes), conditions=make.group_conditions(ready=False)))
    assert condition.status is ConditionStatus.TRUE
    assert named in condition.message


def test_a_gateway_without_groups_is_ready_and_says_what_to_add() -> None:
    owner = make.gateway(runnerGroups=[])
    children = make.with_proxy(make.with_agent(make.children_of(owner)))
    condition = ready(make.snapshot(owner, children=children))
    assert condition.status is ConditionStatus.TRUE
    assert "spec.runnerGroups" in condition.message


# -- sessions come and go


@pytest.mark.parametrize(
    ("owner", "silent_seconds", "status", "again"),
    [
        pytest.param(ready_gateway(), 10.0, ConditionStatus.TRUE, 50.0, id="a ready gateway bears a short silence"),
        pytest.param(ready_gateway(), 61.0, ConditionStatus.FALSE, None, id="not a long one"),
        pytest.param(make.gateway(), 10.0, ConditionStatus.FALSE, None, id="and becomes ready only with a session"),
        pytest.param(ready_gateway(), -30.0, ConditionStatus.TRUE, 60.0, id="an agent's clock may be a little ahead"),
        pytest.param(ready_gateway(), -7200.0, ConditionStatus.FALSE, None, id="not so far that silence is hidden"),
    ],
)
def test_sessions_are_missed_after_a_grace(
    owner: Manifest, silent_seconds: float, status: ConditionStatus, again: float | None
) -> None:
    silent = make.group_conditions(ready=False, since=seconds_ago(silent_seconds))
    conditions, verdict = judge(served(owner, conditions=silent))
    assert conditions[ConditionType.READY].status is status
    assert verdict.again_after_seconds == again


def test_a_group_added_to_a_ready_gateway_has_the_grace_from_its_creation() -> None:
    owner = ready_gateway()
    snapshot = served(owner, conditions=[make.condition("CredentialUnavailable", "False", "CredentialAvailable")])
    group = snapshot.children["RunnerGroup", "ci-cpu"]
    group["metadata"]["creationTimestamp"] = seconds_ago(20)
    assert judge(snapshot)[1].again_after_seconds == 40.0
    assert ready(snapshot).status is ConditionStatus.TRUE
