"""What the manager writes for a gateway, decided from a snapshot."""

from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import Reason
from actions_gateway.api.names import (
    AGENT,
    GATEWAY_FINALIZER,
    MANAGER_FIELDS,
    PROXY,
    RESERVED_NAMESPACES,
    WORKLOAD_POLICY,
)
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


def served(**changes: Any) -> dict[str, Any]:
    """A gateway that has the finalizer."""
    return make.gateway(**{"metadata": {"finalizers": [GATEWAY_FINALIZER]}, **changes})


def refusal(snapshot: Snapshot, settings: ManagerSettings = ANY) -> tuple[Reason, str]:
    plan = plan_of(snapshot, settings)
    assert plan.refusal is not None
    assert plan.stages == ()
    return plan.refusal.reason, plan.refusal.message


# -- what is written


def test_a_new_gateway_marks_its_namespace_and_waits_until_that_is_seen() -> None:
    (step,) = steps(make.snapshot(children={}, place=make.namespace(mark=None)))
    assert isinstance(step, MarkNamespace)
    assert dict(step.labels) == {labels.TENANT: labels.TENANT_MARK, **make.pod_security("baseline")}
    assert step.is_first


def test_in_a_marked_namespace_every_child_is_applied_policies_first() -> None:
    _, first, second = plan_of(make.snapshot(children={})).stages
    assert [step.resource.kind for step in first] == [
        *["ServiceAccount"] * 3,
        "RoleBinding",
        *["NetworkPolicy"] * 3,
    ]
    assert [step.resource.kind for step in second] == [
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        *["Deployment"] * 2,
        "RunnerGroup",
    ]
    assert all(isinstance(step, ApplyChild) and step.is_new for step in (*first, *second))


def test_a_gateway_that_has_everything_needs_nothing() -> None:
    assert steps(make.snapshot(served())) == []


@pytest.mark.parametrize(
    ("replicas", "is_raised"),
    [(0, True), (1, True), (2, False), (7, False)],
    ids=["scaled to zero", "below", "the minimum", "what the autoscaler chose"],
)
def test_proxies_below_the_minimum_are_raised_and_what_the_autoscaler_chose_stays(
    replicas: int, is_raised: bool
) -> None:
    children = make.children_of(served())
    children["Deployment", PROXY]["spec"]["replicas"] = replicas
    found = steps(make.snapshot(served(), children=children))
    assert [(step.name, getattr(step, "least_replicas", 0)) for step in found] == ([(PROXY, 2)] if is_raised else [])


def test_a_raised_minimum_raises_the_proxies() -> None:
    children = make.children_of(served())
    found = steps(make.snapshot(served(proxy={"minReplicas": 3}), children=children))
    assert [step.least_replicas for step in found if isinstance(step, ApplyChild) and step.name == PROXY] == [0, 3]


def test_a_contained_gateway_loses_its_agent_and_every_rule_of_its_policies_and_gets_them_back() -> None:
    contained = served(metadata={"finalizers": [GATEWAY_FINALIZER], "annotations": {labels.CONTAINED: "leak"}})
    there = steps(make.snapshot(contained, children=make.children_of(served())))
    back = steps(make.snapshot(served(), children=make.children_of(contained)))
    expected = {("NetworkPolicy", PROXY), ("NetworkPolicy", WORKLOAD_POLICY), ("NetworkPolicy", AGENT)}
    for found in (there, back):
        changed = {(step.resource.kind, step.name) for step in found}
        assert expected | {("Deployment", AGENT)} <= changed


@pytest.mark.parametrize("replicas", [1, 0])
def test_an_invalid_spec_keeps_no_gateway_from_being_contained(replicas: int) -> None:
    metadata = {"finalizers": [GATEWAY_FINALIZER], "annotations": {labels.CONTAINED: "leak"}}
    contained = served(metadata=metadata, gitHubURL="https://github.com:70000/octo")
    children = make.children_of(served())
    children["Deployment", AGENT]["spec"]["replicas"] = replicas
    plan = plan_of(make.snapshot(contained, children=children))
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.INVALID_SPEC
    (steps,) = plan.stages
    policies = [step.manifest for step in steps if isinstance(step, ApplyChild)]
    assert {policy["metadata"]["name"] for policy in policies} == {PROXY, WORKLOAD_POLICY, AGENT}
    assert all(policy["spec"]["ingress"] == policy["spec"]["egress"] == [] for policy in policies)
    assert [type(step).__name__ for step in steps[3:]] == ["SetReplicas"] * replicas


def test_what_contains_comes_first_and_once_so_that_nothing_else_can_keep_it_away() -> None:
    contained = served(metadata={"finalizers": [], "annotations": {labels.CONTAINED: "leak"}})
    plan = plan_of(make.snapshot(contained, children=make.children_of(served())))
    first, keep, limits, makers = plan.stages
    assert [(step.resource.kind, step.name) for step in first] == [
        *(("NetworkPolicy", name) for name in (PROXY, WORKLOAD_POLICY, AGENT)),
        ("Deployment", AGENT),
    ]
    assert [type(step).__name__ for step in keep] == ["SetFinalizer"]
    assert limits == ()
    assert {step.resource.kind for step in makers} == {"Deployment"}


# -- Pod Security


@pytest.mark.parametrize(
    ("profile", "marks"),
    [
        ("restricted", {}),
        ("baseline", {}),
        ("privileged", {labels.PRIVILEGED_PROFILE: labels.PRIVILEGED_ALLOWED}),
    ],
)
def test_another_profile_is_written_on_the_namespace_beside_what_limits_pods(
    profile: str, marks: dict[str, str]
) -> None:
    other = "restricted" if profile == "baseline" else "baseline"
    place = make.namespace()
    place["metadata"]["labels"] |= marks | make.pod_security(other)
    place["metadata"]["managedFields"] = make.label_owner(MANAGER_FIELDS, make.pod_security(other))
    _, limits, _ = plan_of(make.snapshot(served(securityProfile=profile), place=place)).stages
    (step,) = [step for step in limits if isinstance(step, MarkNamespace)]
    assert dict(step.labels) == make.pod_security(profile)
    assert not step.is_first


def test_the_privileged_profile_needs_the_platforms_label_which_the_message_names() -> None:
    reason, message = refusal(make.snapshot(served(securityProfile="privileged"), children={}))
    assert reason is Reason.INVALID_SPEC
    assert message.startswith("spec.securityProfile: privileged is not allowed in namespace team-a; ")
    assert f"'kubectl label namespace team-a {labels.PRIVILEGED_PROFILE}=allowed'" in message


def test_a_laxer_level_of_somebody_else_is_taken_over_and_told() -> None:
    place = make.namespace()
    place["metadata"]["labels"][labels.POD_SECURITY_ENFORCE] = "privileged"
    plan = plan_of(make.snapshot(served(), place=place))
    (notice,) = plan.notices
    assert notice.reason == "PodSecurityLevelTakenOver"
    assert f"{labels.POD_SECURITY_ENFORCE} is baseline, no longer privileged" in notice.message


# -- one child


def test_only_the_child_that_drifted_is_applied() -> None:
    children = make.children_of(make.gateway())
    children["RunnerGroup", "ci-cpu"]["spec"]["maxListeners"] = 7
    (step,) = steps(make.snapshot(served(), children=children))
    assert isinstance(step, ApplyChild)
    assert (step.resource.kind, step.name, step.replaces_uid) == ("RunnerGroup", "ci-cpu", None)


def test_a_binding_to_another_role_is_replaced() -> None:
    children = make.children_of(make.gateway())
    children["RoleBinding", AGENT]["roleRef"]["name"] = "cluster-admin"
    (step,) = steps(make.snapshot(served(), children=children))
    assert isinstance(step, ApplyChild)
    assert (step.resource, step.replaces_uid) == (ROLEBINDINGS, f"uid-RoleBinding-{AGENT}")


def test_a_group_that_left_the_spec_is_deleted() -> None:
    children = make.children_of(make.gateway())
    snapshot = make.snapshot(served(runnerGroups=[]), children=children)
    (step,) = steps(snapshot)
    assert isinstance(step, DeleteChild)
    assert (step.name, step.uid) == ("ci-cpu", "uid-RunnerGroup-ci-cpu")


def test_a_group_of_another_owner_is_left_alone() -> None:
    children = make.children_of(make.gateway())
    children["RunnerGroup", "ci-cpu"]["metadata"]["ownerReferences"][0]["uid"] = "uid-of-a-predecessor"
    assert steps(make.snapshot(served(runnerGroups=[]), children=children)) == []


def test_a_child_that_is_on_its_way_out_is_not_deleted_again() -> None:
    children = make.children_of(make.gateway())
    children["RunnerGroup", "ci-cpu"]["metadata"]["deletionTimestamp"] = make.CREATED
    assert steps(make.snapshot(served(runnerGroups=[]), children=children)) == []


def test_nothing_is_written_in_a_namespace_that_is_being_deleted() -> None:
    assert decide(make.snapshot(children={}, place=make.namespace(deletionTimestamp=make.CREATED)), ANY) is None


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


def test_of_the_same_second_the_one_that_is_served_stays_whatever_the_names() -> None:
    kept = served()
    newcomer = make.gateway("a")
    assert plan_of(make.snapshot(kept, children={}, siblings=(newcomer,))).refusal is None
    reason, message = refusal(make.snapshot(newcomer, children={}, siblings=(kept,)))
    assert reason is Reason.ANOTHER_GATEWAY
    assert "ActionsGateway ci" in message


def test_of_two_gateways_of_the_same_second_exactly_one_is_served() -> None:
    one, other = make.gateway("one"), make.gateway("other")
    served = [
        plan_of(make.snapshot(owner, children={}, siblings=(sibling,))).refusal is None
        for owner, sibling in ((one, other), (other, one))
    ]
    assert sorted(served) == [False, True]
