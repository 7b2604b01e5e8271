"""Which pod goes to which node, and what is said when none fits."""

from typing import Any

from gateway_sandbox.controllers.scheduler import decide


def node(
    name: str, *, room: int = 10, ready: str = "True", labels: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {"allocatable": {"pods": str(room)}, "conditions": [{"type": "Ready", "status": ready}]},
    }


def pod(name: str, *, created: str = "2026-01-05T09:00:00Z", phase: str = "Pending", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": spec,
        "status": {"phase": phase},
    }


def placements(pods: list[dict[str, Any]], nodes: list[dict[str, Any]], **assumed: str) -> list[tuple[str, str | None]]:
    return [(found.pod["metadata"]["name"], found.node) for found in decide(pods, nodes, assumed)]


def message(waiting: dict[str, Any], *nodes: dict[str, Any]) -> str:
    (decision,) = decide([waiting], nodes, {})
    assert decision.node is None
    return decision.message


def test_pods_spread_over_the_emptiest_nodes() -> None:
    pods = [pod("held", nodeName="a", phase="Running"), pod("x"), pod("y")]
    assert placements(pods, [node("a"), node("b")]) == [("x", "b"), ("y", "a")]


def test_the_highest_priority_and_then_the_oldest_goes_first() -> None:
    pods = [pod("young"), pod("old", created="2026-01-05T08:00:00Z"), pod("urgent", priority=100)]
    assert placements(pods, [node("a", room=2)]) == [("urgent", "a"), ("old", "a"), ("young", None)]


def test_ended_pods_free_their_place_and_assumed_ones_hold_theirs() -> None:
    ended = pod("ended", nodeName="a", phase="Succeeded")
    assert placements([ended, pod("x")], [node("a", room=1)]) == [("x", "a")]
    assumed = {"uid-bound": "a"}
    (decision,) = decide([pod("bound"), pod("x")], [node("a", room=1)], assumed)
    assert (decision.pod["metadata"]["name"], decision.node) == ("x", None)


def test_a_node_selector_is_honoured() -> None:
    nodes = [node("a"), node("b", labels={"gpu": "yes"})]
    assert placements([pod("x", nodeSelector={"gpu": "yes"})], nodes) == [("x", "b")]


def test_a_refusal_names_its_causes_like_kubernetes() -> None:
    assert message(pod("x")) == "no nodes available to schedule pods"
    assert message(pod("x"), node("a", room=0)) == "0/1 nodes are available: 1 Too many pods."
    nodes = (node("a", ready="False"), node("b", unschedulable=True))
    assert message(pod("x"), *nodes) == (
        "0/2 nodes are available: 1 node(s) were not ready, 1 node(s) were unschedulable."
    )
    assert "didn't match Pod's node affinity/selector" in message(pod("x", nodeSelector={"gpu": "yes"}), node("a"))


def test_pods_that_are_going_are_not_placed() -> None:
    leaving = pod("x")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-05T09:00:00Z"
    assert placements([leaving], [node("a")]) == []
