"""What a plan says of live objects, and what it leaves out."""

from typing import Any

import pytest

from actions_gateway.api.names import INSTALL_FIELDS
from gw.ops.changes.fields import FieldChange, changes_between
from gw.ops.installation.plan import Action, decide_plan
from gw.ops.installation.snapshot import Identity, Snapshot
from gw.sources.server import ServerFact

Manifest = dict[str, Any]
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "x"}, "rules": []}
IDENTITY = Identity("ClusterRole", "x")
SERVER = ServerFact("h", "v1.36.3", (1, 36))
BY_GW = [{"manager": INSTALL_FIELDS, "operation": "Apply"}]


def live(**changes: Any) -> Manifest:
    return {**ROLE, "metadata": {"name": "x", "uid": "1", "resourceVersion": "7", "managedFields": BY_GW}, **changes}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"spec": {"replicas": 2}}, {"spec": {"replicas": 3}}, [("spec.replicas", "2", "3")]),
        ({"spec": {}}, {"spec": {"paused": True}}, [("spec.paused", None, "true")]),
        ({"data": {"a": "x"}}, {"data": {}}, [("data.a", "x", None)]),
        (
            {"spec": {"containers": [{"name": "manager", "image": "a"}]}},
            {"spec": {"containers": [{"name": "manager", "image": "b"}]}},
            [("spec.containers[manager].image", "a", "b")],
        ),
        ({"rules": [1]}, {"rules": [1, 2]}, [("rules", "[1]", "[1,2]")]),
        ({"status": {"x": 1}}, {"status": {"x": 2}}, []),
        ({"metadata": {"resourceVersion": "1"}}, {"metadata": {"resourceVersion": "2"}}, []),
    ],
)
def test_changes_name_the_field_and_leave_out_what_the_server_keeps(
    before: Manifest, after: Manifest, changes: list[tuple[str, str | None, str | None]]
) -> None:
    assert changes_between(before, after) == tuple(FieldChange(*change) for change in changes)


def test_a_long_value_is_cut() -> None:
    (change,) = changes_between({"spec": "short"}, {"spec": "x" * 500})
    assert change.after is not None
    assert len(change.after) == 60


@pytest.mark.parametrize(
    ("there", "becomes", "action"),
    [
        (None, None, Action.CREATE),
        (live(), live(), Action.UNCHANGED),
        (live(), live(rules=[1]), Action.CHANGE),
        (live(metadata={"name": "x"}), live(metadata={"name": "x"}), Action.TAKE_OVER),
    ],
)
def test_the_action_follows_from_what_is_there_and_what_it_becomes(
    there: Manifest | None, becomes: Manifest | None, action: Action
) -> None:
    snapshot = Snapshot(SERVER, live={IDENTITY: there} if there else {})
    plan = decide_plan([ROLE], snapshot, {IDENTITY: becomes} if becomes else {})
    assert [step.action for step in plan.steps] == [action]
    assert bool(plan.to_write) is (action is not Action.UNCHANGED)


def test_leftovers_go_last_and_by_their_uid() -> None:
    left = {"kind": "ClusterRole", "metadata": {"name": "old", "uid": "9"}}
    plan = decide_plan([ROLE], Snapshot(SERVER, leftovers=(left,)), {})
    assert [(step.action, step.identity.name, step.uid) for step in plan.steps][-1] == (Action.REMOVE, "old", "9")
