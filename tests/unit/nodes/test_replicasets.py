"""Pods of a ReplicaSet: built from the template, surplus ones chosen, counted."""

from datetime import UTC, datetime
from typing import Any

from gateway_sandbox.controllers.replicasets import build_pod, build_status, surplus

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def pod(
    name: str, *, node: str = "n", phase: str = "Running", ready: bool = True, created: str = "2026-01-05T08:00:00Z"
) -> dict[str, Any]:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-05T08:59:50Z"}
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": [condition]},
    }


def names(pods: list[dict[str, Any]]) -> list[str]:
    return [one["metadata"]["name"] for one in pods]


def test_the_least_useful_pods_go_first() -> None:
    pods = [
        pod("serves"),
        pod("serves-younger", created="2026-01-05T08:30:00Z"),
        pod("unready", ready=False),
        pod("pending", phase="Pending", ready=False),
        pod("unbound", node="", phase="Pending", ready=False),
    ]
    assert names(surplus(pods, 4)) == ["unbound", "pending", "unready", "serves-younger"]
    assert surplus(pods, -1) == []


def test_a_pod_is_the_template_with_an_owner() -> None:
    replica_set: dict[str, Any] = {
        "metadata": {"name": "rs", "namespace": "team-a", "uid": "u"},
        "spec": {"template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c"}]}}},
    }
    built = build_pod(replica_set, "abcde")
    assert built["metadata"]["name"] == "rs-abcde"
    assert built["metadata"]["labels"] == {"app": "x"}
    owner = built["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("ReplicaSet", "u", True)
    built["spec"]["containers"].clear()
    assert replica_set["spec"]["template"]["spec"]["containers"]


def test_a_pod_is_available_after_it_has_been_ready_for_long_enough() -> None:
    replica_set: dict[str, Any] = {"metadata": {"generation": 2}, "spec": {"minReadySeconds": 30}}
    status = build_status(replica_set, [pod("a"), pod("b", ready=False)], failure=None, now=NOW)
    assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (2, 1, 0)
    replica_set["spec"]["minReadySeconds"] = 10
    assert build_status(replica_set, [pod("a")], failure=None, now=NOW)["availableReplicas"] == 1
