"""Stored objects become facts, also when they are old, partial or odd."""

from datetime import UTC, datetime

import pytest

from actions_gateway.api.conditions import ConditionType
from gw.sources.gateways import parse_gateway, parse_group, parse_time
from gw.sources.platform import parse_deployment, parse_lease, parse_served
from gw.sources.pods import PodRole, parse_pod


def test_an_empty_gateway_is_not_ready_and_has_no_numbers() -> None:
    fact = parse_gateway({"metadata": {"name": "a", "namespace": "b"}})
    assert (fact.is_ready, fact.active_sessions, fact.credential, fact.conditions) == (False, 0, None, ())


def test_a_gateway_is_ready_only_for_the_spec_that_was_looked_at() -> None:
    manifest = {
        "metadata": {"name": "a", "namespace": "b", "generation": 2},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert not parse_gateway(manifest).is_ready
    manifest["status"]["observedGeneration"] = 2
    assert parse_gateway(manifest).is_ready


@pytest.mark.parametrize(
    ("kind", "status", "is_problem"),
    [
        (ConditionType.READY, "True", False),
        (ConditionType.READY, "Unknown", True),
        (ConditionType.AGC_AVAILABLE, "False", True),
        (ConditionType.CREDENTIAL_UNAVAILABLE, "True", True),
        (ConditionType.CREDENTIAL_UNAVAILABLE, "Unknown", False),
        (ConditionType.DEGRADED, "False", False),
    ],
)
def test_a_condition_is_a_problem_by_its_polarity(kind: ConditionType, status: str, is_problem: bool) -> None:
    conditions = [{"type": kind.value, "status": status}]
    (entry,) = parse_gateway({"metadata": {}, "status": {"conditions": conditions}}).conditions
    assert entry.is_problem is is_problem


@pytest.mark.parametrize(
    ("spec", "ceiling"),
    [
        ({}, 1),
        ({"maxListeners": 4}, 4),
        ({"maxListeners": 4, "maxWorkers": 30}, 30),
        ({"priorityTiers": [{"threshold": 5}, {"threshold": 20}]}, 20),
    ],
)
def test_a_group_knows_how_many_jobs_it_may_run(spec: dict[str, object], ceiling: int) -> None:
    assert parse_group({"metadata": {}, "spec": spec}).worker_ceiling == ceiling


def test_times_are_aware_and_nonsense_is_no_time() -> None:
    assert parse_time("2026-01-05T09:00:00Z") == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert parse_time("2026-01-05T09:00:00.123456Z") == datetime(2026, 1, 5, 9, 0, 0, 123456, tzinfo=UTC)
    assert parse_time("2026-01-05T09:00:00") == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert parse_time("soon") is None
    assert parse_time(None) is None


def test_a_pod_tells_what_its_containers_wait_for_and_died_of() -> None:
    pod = parse_pod(
        {
            "metadata": {"name": "p", "namespace": "n"},
            "status": {
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}],
                "initContainerStatuses": [{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}],
                "containerStatuses": [
                    {
                        "name": "c",
                        "restartCount": 2,
                        "state": {"terminated": {"reason": "Error", "exitCode": 0}},
                        "lastState": {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-01-05T09:00:00Z"}},
                    }
                ],
            },
        },
        PodRole.WORKER,
    )
    init, main = pod.containers
    assert init.waiting_reason == "ErrImagePull"
    assert (main.terminated_reason, main.exit_code, main.last_reason, main.restart_count) == (
        "Error",
        0,
        "OOMKilled",
        2,
    )
    assert pod.unscheduled_message == "0/3 nodes are available"
    assert pod.phase == "Pending"


def test_a_pod_on_its_way_out_is_not_ready_though_the_kubelet_still_says_so() -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert parse_pod({"metadata": {"name": "p"}, "status": status}, PodRole.PROXY).is_ready
    leaving = {"name": "p", "deletionTimestamp": "2026-01-05T09:00:00Z"}
    assert not parse_pod({"metadata": leaving, "status": status}, PodRole.PROXY).is_ready


def test_a_deployment_without_replicas_wants_one_and_tells_its_problem() -> None:
    fact = parse_deployment(
        {
            "metadata": {"name": "gmc"},
            "status": {
                "conditions": [
                    {"type": "Progressing", "status": "True", "message": "fine"},
                    {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"},
                ]
            },
        }
    )
    assert (fact.wanted, fact.ready, fact.problem) == (1, 0, "exceeded quota")
    assert parse_deployment({"spec": {"replicas": 0}}).wanted == 0


def test_a_lease_and_the_served_types() -> None:
    lease = parse_lease(
        {"spec": {"holderIdentity": "a", "renewTime": "2026-01-05T09:00:00.5Z", "leaseDurationSeconds": 15}}
    )
    assert (lease.holder, lease.duration_seconds) == ("a", 15.0)
    served = parse_served("https://x", {"resources": [{"name": "runnergroups"}, {"name": "runnergroups/status"}]})
    assert served.plurals == {"runnergroups"}
