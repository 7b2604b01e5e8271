"""What a Deployment says about its rollout."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway_sandbox.controllers.rollout import Strategy
from gateway_sandbox.controllers.rollout_status import RolloutFacts, build_status, seconds_until_deadline

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def replica_set(name: str, replicas: int, available: int, **status: Any) -> dict[str, Any]:
    counts = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas}, "status": counts | status}


def deployment(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "d", "generation": 3}, "spec": spec, "status": status or {}}


def status_of(
    owner: dict[str, Any],
    new: dict[str, Any] | None,
    *olds: dict[str, Any],
    found_new: tuple[str, str] | None = None,
    now: datetime = NOW,
) -> dict[str, Any]:
    return build_status(RolloutFacts(owner, 2, Strategy(False, 1, 0), new, olds, found_new, now))


def reasons(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_new_rollout_is_progressing_and_unavailable() -> None:
    status = status_of(deployment(), None, found_new=("NewReplicaSetCreated", "Created"))
    assert reasons(status) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetCreated"),
    }
    assert status["observedGeneration"] == 3
    assert status["unavailableReplicas"] == 2


def test_a_finished_rollout_is_complete() -> None:
    status = status_of(deployment(), replica_set("n", 2, 2))
    assert reasons(status) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert (status["replicas"], status["updatedReplicas"], status["unavailableReplicas"]) == (2, 2, 0)


def test_old_replicas_keep_it_unfinished() -> None:
    status = status_of(deployment(), replica_set("n", 2, 2), replica_set("o", 1, 1))
    assert reasons(status)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert (status["replicas"], status["updatedReplicas"]) == (3, 2)


def test_a_pod_that_fails_later_leaves_the_rollout_complete() -> None:
    before = status_of(deployment(), replica_set("n", 2, 2))
    after = status_of(deployment(before), replica_set("n", 2, 1))
    assert reasons(after) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_a_rollout_without_progress_times_out_and_recovers() -> None:
    owner = deployment(progressDeadlineSeconds=60)
    owner["status"] = status_of(owner, replica_set("n", 2, 0))
    assert seconds_until_deadline(owner["status"], owner, NOW) == 61
    late = NOW + timedelta(seconds=61)
    owner["status"] = status_of(owner, replica_set("n", 2, 0), now=late)
    assert reasons(owner["status"])["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert seconds_until_deadline(owner["status"], owner, late) is None
    status = status_of(owner, replica_set("n", 2, 2), now=late)
    assert reasons(status)["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_pausing_and_resuming_is_said_once() -> None:
    owner = deployment(paused=True)
    owner["status"] = status_of(owner, replica_set("n", 2, 1))
    assert reasons(owner["status"])["Progressing"] == ("True", "DeploymentPaused")
    owner["spec"] = {}
    assert reasons(status_of(owner, replica_set("n", 2, 1)))["Progressing"] == ("True", "DeploymentResumed")


def test_an_unchanged_rollout_gives_an_unchanged_status() -> None:
    first = status_of(deployment(), replica_set("n", 2, 1))
    second = status_of(deployment(first), replica_set("n", 2, 1), now=NOW + timedelta(seconds=30))
    assert second == first


def test_a_refused_pod_shows_in_the_deployment() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    status = status_of(deployment(), replica_set("n", 0, 0, conditions=[failure]))
    assert reasons(status)["ReplicaFailure"] == ("True", "FailedCreate")
