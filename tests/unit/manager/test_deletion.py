"""The deletion of a gateway, stage by stage: what is waited for, what goes when, and what is told of the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.conditions import ConditionStatus, ConditionType, Reason
from actions_gateway.api.names import AGENT, GATEWAY_FINALIZER, PROXY, WORKLOAD_POLICY
from actions_gateway.kube.resources import DEPLOYMENTS, NETWORKPOLICIES, RUNNERGROUPS
from actions_gateway.manager.gateway.conditions import Verdict, decide_conditions
from actions_gateway.manager.gateway.decide import decide
from actions_gateway.manager.gateway.deletion import decide_deletion, has_left, leaving_verdict
from actions_gateway.manager.gateway.snapshot import (
    ApplyChild,
    DeleteChild,
    Deletion,
    Plan,
    RemoveFinalizer,
    SetFinalizer,
    SetReplicas,
    Snapshot,
    SuspendGroup,
)
from support.manager_objects import (
    SETTINGS,
    children_of,
    condition,
    gateway,
    group_conditions,
    namespace,
    snapshot,
    with_agent,
    with_group_status,
    with_proxy,
)

Manifest = dict[str, Any]
Children = dict[tuple[str, str], Manifest]

DELETED = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
STAMP = "2026-01-05T09:00:00Z"
GROUP = ("RunnerGroup", "ci-cpu")


def leaving(*finalizers: str, **changes: Any) -> Manifest:
    """A gateway that was deleted at DELETED."""
    names = list(finalizers or [GATEWAY_FINALIZER])
    metadata = {"deletionTimestamp": STAMP, "finalizers": names, "resourceVersion": "41"}
    return gateway(metadata=metadata, **changes)


def served(*, registrations: int | None = 2, suspended: bool = False, **agent: Any) -> Children:
    """The children of a gateway at work; the agent reports so many runners."""
    children = with_proxy(with_agent(children_of(gateway()), **agent))
    counts: Manifest = {} if registrations is None else {"registrations": registrations}
    children = with_group_status(children, observedGeneration=1, conditions=group_conditions(), **counts)
    children[GROUP]["spec"]["suspended"] = suspended
    return children


def on_its_way(manifest: Manifest, *finalizers: str) -> Manifest:
    metadata = {**manifest["metadata"], "deletionTimestamp": STAMP, "finalizers": list(finalizers)}
    return {**manifest, "metadata": metadata}


def plan_of(children: Children, seconds: float = 1.0, **around: Any) -> Plan:
    plan = decide_deletion(snapshot(around.pop("owner", leaving()), children=children, **around), at(seconds))
    assert plan is not None
    return plan


def at(seconds: float) -> datetime:
    return DELETED + timedelta(seconds=seconds)


def deletion_of(plan: Plan) -> Deletion:
    assert plan.deletion is not None
    return plan.deletion


def steps_of(plan: Plan) -> list[Any]:
    return [step for stage in plan.stages for step in stage]


def is_release(plan: Plan) -> bool:
    return any(isinstance(step, RemoveFinalizer) for step in steps_of(plan))


# -- the finalizer ---------------------------------------------------------------------------------------------------


def test_a_served_gateway_gets_the_finalizer_before_its_first_child_and_once() -> None:
    plan = decide(snapshot(children={}), SETTINGS)
    assert plan is not None
    assert plan.stages[0] == (SetFinalizer("ci", "uid-ci"),)
    kept = decide(snapshot(gateway(metadata={"finalizers": ["others/hold", GATEWAY_FINALIZER]}), children={}), SETTINGS)
    assert kept is not None
    assert steps_of(kept) == steps_of(plan)[1:]


@pytest.mark.parametrize(
    "refused",
    [
        snapshot(gateway("younger", metadata={"creationTimestamp": "2026-02-01T08:00:00Z"}), siblings=(gateway(),)),
        snapshot(gateway(gitHubURL="http://github.com/octo"), children={}),
        snapshot(gateway(namespace="kube-system"), children={}),
        snapshot(place=namespace(mark=None), children={}),
    ],
    ids=["another", "invalid", "reserved", "unmarked"],
)
def test_a_gateway_that_is_not_served_gets_none(refused: Snapshot) -> None:
    plan = decide(refused, SETTINGS)
    assert plan is not None
    assert not any(isinstance(step, SetFinalizer) for step in steps_of(plan))


def test_what_was_never_served_goes_by_itself() -> None:
    assert decide_deletion(snapshot(leaving("others/hold"), children=served()), at(1)) is None


def test_only_our_finalizer_is_removed_and_only_from_what_we_saw() -> None:
    plan = plan_of({}, owner=leaving("a/first", GATEWAY_FINALIZER, "z/last"))
    assert steps_of(plan) == [RemoveFinalizer("ci", ("a/first", "z/last"), "41")]
    assert deletion_of(plan).notices == ()


# -- runners at GitHub -----------------------------------------------------------------------------------------------


def test_first_the_agent_is_asked_to_remove_its_runners() -> None:
    plan = plan_of(served())
    assert steps_of(plan) == [SuspendGroup("ci-cpu", "uid-RunnerGroup-ci-cpu")]
    deletion = deletion_of(plan)
    assert deletion.reason is Reason.REMOVING_REGISTRATIONS
    assert "ci-cpu" in deletion.message
    assert "09:05:00 UTC" in deletion.message
    assert deletion.again_after_seconds == 299.0


def test_an_asked_agent_is_not_asked_again() -> None:
    assert steps_of(plan_of(served(suspended=True))) == []


AVAILABLE: Manifest = {"availableReplicas": 1}
DOWN: Manifest = {"availableReplicas": 0}
NO_KEY = [condition("CredentialUnavailable", "True", "KeyRejected")]
EDITED = [condition("CredentialUnavailable", "True", "EditedSecretUnusable")]
CASES = {
    # agent, what it says of the credential, seconds since the deletion: still waited for
    "asked": (AVAILABLE, None, 1, True),
    "busy": (AVAILABLE, None, 299, True),
    "too slow": (AVAILABLE, None, 300, False),
    "down": (DOWN, None, 29, True),
    "dead": (DOWN, None, 30, False),
    "without a key": (AVAILABLE, NO_KEY, 29, True),
    "without a key for long": (AVAILABLE, NO_KEY, 30, False),
    "with the key of before an edit": (AVAILABLE, EDITED, 299, True),
}


@pytest.mark.parametrize(("agent", "credential", "seconds", "is_waited_for"), CASES.values(), ids=CASES)
def test_an_agent_is_waited_for_as_long_as_it_can_help(
    agent: Manifest, credential: list[Manifest] | None, seconds: float, is_waited_for: bool
) -> None:
    children = served(suspended=True, **agent)
    if credential:
        children[GROUP]["status"]["conditions"] = credential
    deletion = deletion_of(plan_of(children, seconds))
    assert (deletion.reason is Reason.REMOVING_REGISTRATIONS) is is_waited_for


@pytest.mark.parametrize("replicas", [0, None], ids=["at zero", "gone"])
def test_an_agent_that_nobody_starts_is_not_waited_for(replicas: int | None) -> None:
    children = served(**DOWN)
    if replicas is None:
        del children["Deployment", AGENT]
    else:
        children["Deployment", AGENT]["spec"]["replicas"] = replicas
    assert deletion_of(plan_of(children)).reason is Reason.REMOVING_OBJECTS


@pytest.mark.parametrize(
    ("registrations", "suspended", "generation", "is_done"),
    [(0, True, 1, True), (0, True, 2, False), (0, False, 1, False), (1, True, 1, False), (None, True, 1, False)],
)
def test_no_runners_counts_only_when_it_is_said_of_a_group_that_opens_none(
    registrations: int | None, suspended: bool, generation: int, is_done: bool
) -> None:
    children = served(registrations=registrations, suspended=suspended)
    children[GROUP]["metadata"]["generation"] = generation
    deletion = deletion_of(plan_of(children))
    assert (deletion.reason is Reason.REMOVING_OBJECTS) is is_done
    assert deletion.notices == ()


@pytest.mark.parametrize(("registrations", "count"), [(2, "2 runners"), (None, "an unknown number of runners")])
def test_what_is_left_at_github_is_told_once(registrations: int | None, count: str) -> None:
    children = served(registrations=registrations, suspended=True, **DOWN)
    (notice,) = deletion_of(plan_of(children, 30)).notices
    assert notice.reason == "RunnersLeftAtGitHub"
    assert notice.regarding["kind"] == "ActionsGateway"
    assert f"may leave {count} named ci-cpu-uidRunne-*" in notice.message
    assert "-X DELETE /orgs/octo/actions/runners/ID" in notice.message
    assert len(notice.message) < 1024, "or the event cuts it"
    children[GROUP] = on_its_way(children[GROUP], "foregroundDeletion")
    assert deletion_of(plan_of(children, 31)).notices == ()


def test_a_gateway_whose_url_is_unusable_still_tells_what_it_leaves() -> None:
    (notice,) = deletion_of(plan_of(served(**DOWN), 30, owner=leaving(gitHubURL="http://x"))).notices
    assert "ci-cpu-uidRunne-*" in notice.message
    assert "DELETE" not in notice.message


# -- objects ---------------------------------------------------------------------------------------------------------


def test_objects_go_in_the_order_of_their_need_and_policies_last() -> None:
    children, order = served(registrations=0, suspended=True), []
    while children:
        steps = steps_of(plan_of(children))
        assert steps, "nothing holds and nothing goes"
        order.append({(step.resource.kind, step.name) for step in steps})
        for step in steps:
            assert step.is_foreground is (step.resource in (RUNNERGROUPS, DEPLOYMENTS))
            children = {key: found for key, found in children.items() if key != (step.resource.kind, step.name)}
    assert order[0] == {GROUP}
    assert order[1:3] == [{("Deployment", AGENT)}, {("Deployment", PROXY)}]
    assert ("RoleBinding", AGENT) in order[3]
    assert {kind for kind, _ in order[4]} == {NETWORKPOLICIES.kind}
    assert len(order) == 5
    assert is_release(plan_of(children))


def test_what_its_pods_hold_back_holds_back_what_they_need() -> None:
    children = served()
    children[GROUP] = on_its_way(children[GROUP], "foregroundDeletion")
    plan = plan_of(children)
    assert steps_of(plan) == []
    assert deletion_of(plan).again_after_seconds == 599.0


def test_a_finalizer_of_others_is_named_and_holds_only_the_end_back() -> None:
    children = served()
    children[GROUP] = on_its_way(children[GROUP], "example.com/hold")
    plan = plan_of(children)
    assert [(step.resource.kind, step.name) for step in steps_of(plan)] == [("Deployment", AGENT)]
    assert "RunnerGroup ci-cpu (held by the finalizer example.com/hold)" in deletion_of(plan).message
    alone = plan_of({GROUP: children[GROUP]}, 599)
    assert steps_of(alone) == []
    assert is_release(plan_of({GROUP: children[GROUP]}, 600))


def test_a_message_names_at_most_five_objects() -> None:
    message = deletion_of(plan_of(served(registrations=0, suspended=True))).message
    assert message.startswith("Still there: RunnerGroup ci-cpu, Deployment")
    assert message.count(",") == 4
    assert message.endswith(" more.")


def test_after_ten_minutes_the_finalizer_goes_whatever_remains() -> None:
    plan = plan_of(served(registrations=0, suspended=True), 600)
    assert steps_of(plan) == [RemoveFinalizer("ci", (), "41")]
    (notice,) = deletion_of(plan).notices
    assert notice.reason == "ObjectsLeftInCluster"
    assert "RunnerGroup ci-cpu" in notice.message


def test_a_successor_s_objects_are_not_ours_to_delete() -> None:
    successor = gateway(metadata={"uid": "uid-of-another"})
    assert is_release(plan_of(children_of(successor)))


# -- around it -------------------------------------------------------------------------------------------------------


def test_a_namespace_that_goes_is_never_held_up_and_told_of_where_events_can_be_written() -> None:
    place = namespace(deletionTimestamp=STAMP)
    plan = plan_of(served(), place=place)
    assert steps_of(plan) == [RemoveFinalizer("ci", (), "41")]
    (notice,) = deletion_of(plan).notices
    assert (notice.reason, notice.regarding) == ("RunnersLeftAtGitHub", place)
    assert "ActionsGateway ci in team-a may leave 2 runners" in notice.message
    (notice,) = deletion_of(plan_of({}, place=place)).notices
    assert "may leave an unknown number of runners named ci-cpu-*" in notice.message
    told = leaving(status={"conditions": [condition("Deleting", "True", "RemovingObjects")]})
    assert deletion_of(plan_of({}, place=place, owner=told)).notices == ()


def test_in_a_namespace_that_is_no_tenant_s_nothing_is_written() -> None:
    plan = plan_of(served(registrations=0, suspended=True), place=namespace(mark=None))
    assert [type(step) for step in steps_of(plan)] == [RemoveFinalizer]


def test_a_clock_that_is_behind_the_server_s_shortens_nothing() -> None:
    assert deletion_of(plan_of(served(), -100)).again_after_seconds == 300.0


def test_the_next_gateway_has_the_place_once_nothing_of_the_old_one_is_left() -> None:
    younger = gateway("next", metadata={"creationTimestamp": "2026-02-01T08:00:00Z"})
    waits = decide(snapshot(younger, siblings=(leaving(),), children={}), SETTINGS)
    assert waits is not None
    assert waits.refusal is not None
    assert waits.refusal.reason is Reason.ANOTHER_GATEWAY
    old = leaving("others/hold")
    assert has_left(old)
    serves = decide(snapshot(younger, siblings=(old,), children={}), SETTINGS)
    assert serves is not None
    assert serves.refusal is None


def test_a_leaving_gateway_is_not_ready_and_says_how_far_it_is() -> None:
    around = snapshot(leaving(), children=served())
    plan = plan_of(served())
    verdict: Verdict = leaving_verdict(decide_conditions(around, plan, (), at(1)), deletion_of(plan))
    said = {found.type: found for found in verdict.conditions}
    ready, deleting = said[ConditionType.READY], said[ConditionType.DELETING]
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, Reason.REMOVING_REGISTRATIONS)
    assert (deleting.status, deleting.reason) == (ConditionStatus.TRUE, Reason.REMOVING_REGISTRATIONS)
    assert deleting.message == ready.message == deletion_of(plan).message
    assert verdict.again_after_seconds == deletion_of(plan).again_after_seconds
    assert len(said) == len(verdict.conditions)


def test_a_step_never_names_an_object_without_its_uid() -> None:
    for step in steps_of(plan_of(served(registrations=0, suspended=True))):
        assert isinstance(step, DeleteChild)
        assert step.uid == f"uid-{step.resource.kind}-{step.name}"


def test_a_contained_gateway_is_contained_before_anything_else_of_it_goes() -> None:
    owner = leaving()
    owner["metadata"]["annotations"] = {labels.CONTAINED: "leak"}
    children = served()
    steps = steps_of(plan_of(children, owner=owner))
    assert {step.name for step in steps if isinstance(step, ApplyChild)} == {AGENT, PROXY, WORKLOAD_POLICY}
    assert [step for step in steps if isinstance(step, SetReplicas)] == [steps[-1]]
    assert paused_text(owner, children).startswith("The annotation ")
    assert "not carried out yet: the agent is to run, NetworkPolicy" in paused_text(owner, children)
    children = {**children, **{key: child for key, child in children_of(owner).items() if key[0] != "RunnerGroup"}}
    assert "no agent runs and no traffic passes" in paused_text(owner, children)
    assert not any(isinstance(step, ApplyChild | SetReplicas) for step in steps_of(plan_of(children, owner=owner)))


def paused_text(owner: Manifest, children: Children) -> str:
    verdict = decide_conditions(snapshot(owner, children=children), Plan(None, None, ()), (), at(1.0))
    (message,) = (found.message for found in verdict.conditions if found.type is ConditionType.PAUSED)
    return message
