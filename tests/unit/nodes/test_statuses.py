"""Phases, conditions and container statuses as the kubelet reports them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway_sandbox.nodes.records import ContainerRecord, Running, State, Terminated, Waiting
from gateway_sandbox.nodes.restarts import RestartPolicy
from gateway_sandbox.nodes.statuses import Verdict, build_status, phase_of

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
RUNS = Running(NOW)
DONE = Terminated(0, "Completed", NOW, NOW)
BROKEN = Terminated(1, "Error", NOW, NOW)
WAITS = Waiting("ContainerCreating")
CRASHED = Waiting("CrashLoopBackOff")


def record(
    state: State, *, name: str = "main", is_init: bool = False, last: Terminated | None = None
) -> ContainerRecord:
    return ContainerRecord(name, "app:1", is_init, state, last)


@pytest.mark.parametrize(
    ("policy", "inits", "mains", "phase"),
    [
        pytest.param("Always", [], [WAITS], "Pending", id="a container that was not created yet"),
        pytest.param("Always", [RUNS], [WAITS], "Pending", id="an init container runs"),
        pytest.param("Always", [BROKEN], [WAITS], "Pending", id="an init container is retried"),
        pytest.param("Never", [BROKEN], [WAITS], "Failed", id="an init container failed for good"),
        pytest.param("Always", [DONE], [RUNS], "Running", id="it runs"),
        pytest.param("Always", [], [RUNS, WAITS], "Pending", id="one of two waits"),
        pytest.param("Always", [], [CRASHED], "Running", id="it waits for its restart"),
        pytest.param("Always", [], [DONE], "Running", id="it ended and is always restarted"),
        pytest.param("OnFailure", [], [BROKEN], "Running", id="it failed and is retried"),
        pytest.param("OnFailure", [], [DONE], "Succeeded", id="it succeeded"),
        pytest.param("Never", [], [DONE, DONE], "Succeeded", id="all succeeded"),
        pytest.param("Never", [], [DONE, BROKEN], "Failed", id="one failed"),
        pytest.param("Never", [], [BROKEN, RUNS], "Running", id="one failed and one still runs"),
    ],
)
def test_the_phase_follows_from_the_containers(policy: str, inits: list[State], mains: list[State], phase: str) -> None:
    last: dict[State, Terminated] = {CRASHED: BROKEN}
    assert (
        phase_of(
            RestartPolicy(policy),
            [record(state, is_init=True) for state in inits],
            [record(state, last=last.get(state)) for state in mains],
        )
        == phase
    )


def status_of(records: list[ContainerRecord], verdict: Verdict | None = None, **before: Any) -> dict[str, Any]:
    pod = {"spec": {"restartPolicy": "Never"}}
    return build_status(
        pod,
        records,
        host="127.0.0.1",
        address="10.244.0.2",
        started_at=NOW,
        verdict=verdict,
        before=before,
        now=NOW + timedelta(minutes=1),
    )


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_ready_pod_has_every_condition() -> None:
    ready = record(RUNS)
    ready.is_ready = True
    assert conditions(status_of([ready])) == {
        "Initialized": ("True", None),
        "ContainersReady": ("True", None),
        "Ready": ("True", None),
    }


def test_an_unready_container_is_named() -> None:
    status = status_of([record(RUNS, name="agc")])
    assert conditions(status)["Ready"] == ("False", "ContainersNotReady")
    assert status["conditions"][2]["message"] == "containers with unready status: [agc]"


def test_a_completed_pod_is_not_ready_any_more() -> None:
    assert conditions(status_of([record(DONE)]))["Ready"] == ("False", "PodCompleted")
    assert conditions(status_of([record(BROKEN)]))["Ready"] == ("False", "PodFailed")


def test_a_transition_time_moves_only_with_the_status() -> None:
    earlier = "2026-01-01T00:00:00Z"
    held = [{"type": "Ready", "status": "False", "lastTransitionTime": earlier}]
    times = {one["type"]: one["lastTransitionTime"] for one in status_of([record(RUNS)], conditions=held)["conditions"]}
    assert times["Ready"] == earlier
    assert times["ContainersReady"] == "2026-01-05T09:01:00Z"


def test_a_verdict_overrides_the_containers() -> None:
    status = status_of([record(RUNS)], Verdict("Failed", "DeadlineExceeded", "too long"))
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "DeadlineExceeded", "too long")


def test_a_restarted_container_shows_its_last_run() -> None:
    again = record(RUNS, last=Terminated(137, "OOMKilled", NOW, NOW, "gone"))
    again.restart_count, again.container_id = 1, "sandbox://x"
    (shown,) = status_of([again])["containerStatuses"]
    assert shown["restartCount"] == 1
    assert shown["containerID"] == "sandbox://x"
    assert shown["state"] == {"running": {"startedAt": "2026-01-05T09:00:00Z"}}
    assert shown["lastState"]["terminated"] == {
        "exitCode": 137,
        "reason": "OOMKilled",
        "startedAt": "2026-01-05T09:00:00Z",
        "finishedAt": "2026-01-05T09:00:00Z",
        "message": "gone",
    }
