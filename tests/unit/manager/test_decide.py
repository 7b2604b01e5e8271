"""What the manager writes for a gateway, decided from a snapshot."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.api.names import AGENT, RESERVED_NAMESPACES
from actions_gateway.kube.resources import ROLEBINDINGS
from actions_gateway.manager.gateway.decide import decide
from actions_gateway.manager.gateway.snapshot import ApplyChild, DeleteChild, MarkNamespace, Plan, Snapshot, Step
from actions_gateway.settings import ManagerSettings, TenantNamespaces
from support import manager_objects as make

ANY = make.SETTINGS
MARKED = ManagerSettings(
    namespace="gmc-system",
    pod_name="gmc-0",
    controller_image="controller:test",
    tenant_namespaces=TenantNamespaces.MARKED,
)


def plan_of(snapshot: Snapshot, settings: ManagerSettings = ANY) -> Plan:
    plan = decide(snapshot, settings)
    assert plan is not None
    return plan


def steps(snapshot: Snapshot) -> list[Step]:
    return [step for stage in plan_of(snapshot).stages for step in stage]


def refusal(snapshot: Snapshot, settings: ManagerSettings = ANY) -> tuple[Reason, str]:
    plan = plan_of(snapshot, settings)
    assert plan.refusal is not None
    assert plan.stages == ()
    return plan.refusal.reason, plan.refusal.message


# -- what is written


def test_a_new_gateway_marks_its_namespace_and_waits_until_that_is_seen() -> None:
    assert steps(make.snapshot(children={}, place=make.namespace(mark=None))) == [MarkNamespace("team-a")]


def test_in_a_marked_namespace_every_child_is_applied_policies_first() -> None:
    first, second = plan_of(make.snapshot(children={})).stages
    assert [step.resource.kind for step in first] == [
        "ServiceAccount",
        "ServiceAccount",
        "RoleBinding",
        "NetworkPolicy",
        "NetworkPolicy",
    ]
    assert [step.resource.kind for step in second] == ["Deployment", "RunnerGroup"]


def test_a_gateway_that_has_everything_needs_nothing() -> None:
    assert steps(make.snapshot()) == []


def test_only_the_child_that_drifted_is_applied() -> None:
    children = make.children_of(make.gateway())
    children["RunnerGroup", "ci-cpu"]["spec"]["maxListeners"] = 7
    (step,) = steps(make.snapshot(children=children))
    assert isinstance(step, ApplyChild)
    assert (step.resource.kind, step.name, step.replaces_uid) == ("RunnerGroup", "ci-cpu", None)


def test_a_binding_to_another_role_is_replaced() -> None:
    children = make.children_of(make.gateway())
    children["RoleBinding", AGENT]["roleRef"]["name"] = "cluster-admin"
    (step,) = steps(make.snapshot(children=children))
    assert isinstance(step, ApplyChild)
    assert (step.resource, step.replaces_uid) == (ROLEBINDINGS, f"uid-RoleBinding-{AGENT}")


def test_a_group_that_left_the_spec_is_deleted() -> None:
    children = make.children_of(make.gateway())
    snapshot = make.snapshot(make.gateway(runnerGroups=[]), children=children)
    (step,) = steps(snapshot)
    assert isinstance(step, DeleteChild)
    assert (step.name, step.uid) == ("ci-cpu", "uid-RunnerGroup-ci-cpu")


def test_a_group_of_another_owner_is_left_alone() -> None:
    children = make.children_of(make.gateway())
    children["RunnerGroup", "ci-cpu"]["metadata"]["ownerReferences"][0]["uid"] = "uid-of-a-predecessor"
    assert steps(make.snapshot(make.gateway(runnerGroups=[]), children=children)) == []


def test_a_child_that_is_on_its_way_out_is_not_deleted_again() -> None:
    children = make.children_of(make.gateway())
    children["RunnerGroup", "ci-cpu"]["metadata"]["deletionTimestamp"] = make.CREATED
    assert steps(make.snapshot(make.gateway(runnerGroups=[]), children=children)) == []


@pytest.mark.parametrize(
    "snapshot",
    [
        pytest.param(
            make.snapshot(make.gateway(metadata={"deletionTimestamp": make.CREATED}), children={}), id="the gateway"
        ),
        pytest.param(
            make.snapshot(children={}, place=make.namespace(deletionTimestamp=make.CREATED)), id="its namespace"
        ),
    ],
)
def test_nothing_is_written_for_what_is_being_deleted(snapshot: Snapshot) -> None:
    assert decide(snapshot, ANY) is None


# -- who is refused


@pytest.mark.parametrize("name", sorted(RESERVED_NAMESPACES))
def test_a_system_namespace_is_refused(name: str) -> None:
    owner = make.gateway(namespace=name)
    reason, message = refusal(make.snapshot(owner, children={}))
    assert reason is Reason.RESERVED_NAMESPACE
    assert name in message


def test_the_managers_own_namespace_is_refused_whatever_it_is_called() -> None:
    settings = ManagerSettings(namespace="platform", pod_name="gmc-0", controller_image="controller:test")
    reason, _ = refusal(make.snapshot(make.gateway(namespace="platform"), children={}), settings)
    assert reason is Reason.RESERVED_NAMESPACE


@pytest.mark.parametrize(
    ("settings", "mark", "is_served"),
    [
        pytest.param(ANY, None, True, id="any: no mark yet"),
        pytest.param(ANY, labels.TENANT_MARK, True, id="any: marked"),
        pytest.param(ANY, "false", False, id="any: a platform owner said no"),
        pytest.param(MARKED, None, False, id="marked: no mark yet"),
        pytest.param(MARKED, labels.TENANT_MARK, True, id="marked: marked"),
    ],
)
def test_the_marker_decides_who_is_served(settings: ManagerSettings, mark: str | None, is_served: bool) -> None:
    snapshot = make.snapshot(children={}, place=make.namespace(mark=mark))
    if is_served:
        assert plan_of(snapshot, settings).refusal is None
    else:
        reason, message = refusal(snapshot, settings)
        assert reason is Reason.NAMESPACE_NOT_MARKED
        assert "kubectl label --overwrite namespace team-a" in message


def test_the_oldest_gateway_of_a_namespace_is_served_and_the_younger_ones_name_it() -> None:
    older = make.gateway("first")
    younger = make.gateway("second", metadata={"creationTimestamp": "2026-01-05T08:00:01Z"})
    assert plan_of(make.snapshot(older, children={}, siblings=(younger,))).refusal is None
    reason, message = refusal(make.snapshot(younger, children={}, siblings=(older,)))
    assert reason is Reason.ANOTHER_GATEWAY
    assert "the older ActionsGateway first" in message


def test_of_two_gateways_of_the_same_second_exactly_one_is_served() -> None:
    one, other = make.gateway("one"), make.gateway("other")
    served = [
        plan_of(make.snapshot(owner, children={}, siblings=(sibling,))).refusal is None
        for owner, sibling in ((one, other), (other, one))
    ]
    assert sorted(served) == [False, True]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"gitHubURL": "http://github.com/octo"}, "spec.gitHubURL: ", id="plain http"),
        pytest.param(
            {"runnerGroups": [{"name": "cpu", "runnerLabels": []}]},
            "spec.runnerGroups.0.runnerLabels: ",
            id="a group without labels",
        ),
        pytest.param(
            {"runnerGroups": [{"name": "g" * 40, "runnerLabels": ["linux"]}], "metadata": {"name": "n" * 30}},
            f"runnerGroups[{'g' * 40}].name: ",
            id="names too long together",
        ),
        pytest.param({"metadata": {"name": "n" * 63}}, "metadata.name: ", id="a name too long on its own"),
        pytest.param(
            {"agent": {"resources": {"limits": {"cpu": "many"}}}}, "'many' is no Kubernetes quantity", id="a quantity"
        ),
    ],
)
def test_a_spec_that_the_api_server_let_through_is_refused_with_the_field(
    changes: dict[str, Any], expected: str
) -> None:
    reason, message = refusal(make.snapshot(make.gateway(**changes), children={}))
    assert reason is Reason.INVALID_SPEC
    assert message.startswith(expected)
    assert message.endswith("; correct the ActionsGateway.")
