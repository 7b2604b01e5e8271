"""Stored objects become facts, also when they are old, partial or odd."""

from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.agent.jobs.pod import WorkerSite, sample_worker
from actions_gateway.api.conditions import ConditionType
from actions_gateway.api.footprint import footprint_of
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.runnergroup import RunnerGroupSpec
from gw.checks.headroom import rooms_for, worker_outline
from gw.sources.autoscalers import parse_autoscaler
from gw.sources.gateways import parse_gateway, parse_group, parse_time
from gw.sources.platform import parse_deployment, parse_lease, parse_served
from gw.sources.pods import PodRole, parse_pod
from gw.sources.quotas import parse_quota


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


# -- quotas and autoscalers


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"podTemplate": {"spec": {"containers": [{"name": "docker", "resources": {"requests": {"cpu": "2"}}}]}}},
        {"podTemplate": {"spec": {"containers": [{"name": "runner", "resources": {"limits": {"memory": "4Gi"}}}]}}},
        {"podTemplate": {"spec": {"initContainers": [{"name": "warm", "resources": {"requests": {"cpu": "4"}}}]}}},
        {"podTemplate": {"spec": {"activeDeadlineSeconds": 60, "priorityClassName": "low"}}},
        {"maxWorkerLifetime": "0s"},
        {"podTemplate": {"spec": {"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]}}},
    ],
)
def test_a_worker_costs_here_what_it_costs_the_agent(settings: dict[str, Any]) -> None:
    site = WorkerSite("team-a", "controller:1", "runner:1", "worker", SecurityProfile.BASELINE)
    spec = RunnerGroupSpec.model_validate({"runnerLabels": ["linux"], **settings})
    group = parse_group({"metadata": {}, "spec": {"runnerLabels": ["linux"], **settings}})
    assert footprint_of(dict(worker_outline(group.worker))) == footprint_of(sample_worker(spec, site))


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "team-a", "name": "team"}
    return {"metadata": metadata, "spec": spec, "status": {"hard": hard, "used": used}}


def test_a_quota_tells_which_key_binds_and_what_one_more_worker_needs() -> None:
    hard, used = {"requests.cpu": "8", "pods": "20", "requests.memory": "12Gi"}, {"requests.cpu": "7", "pods": "3"}
    fact = parse_quota(quota(hard, used))
    (room,) = rooms_for(worker_outline({}), None, (fact,))
    assert (room.key, room.room, room.room_when_empty) == ("requests.cpu", 2, 12)
    assert room.words == "quota team, key requests.cpu: one worker needs 500m, used 7 of 8"


def test_a_quota_of_other_pods_bounds_no_worker() -> None:
    fact = parse_quota(quota({"pods": "1"}, {"pods": "1"}, scopes=["BestEffort"]))
    assert rooms_for(worker_outline({}), None, (fact,)) == []


def test_a_quota_of_a_priority_class_bounds_the_workers_of_its_tier() -> None:
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["gold"]}]}
    fact = parse_quota(quota({"pods": "2"}, {"pods": "2"}, scopeSelector=selector))
    tiers = [{"threshold": 2, "priorityClassName": "gold"}, {"threshold": 4, "priorityClassName": "low"}]
    group = parse_group({"metadata": {}, "spec": {"priorityTiers": tiers}, "status": {"activeJobs": 1}})
    busy = parse_group({"metadata": {}, "spec": {"priorityTiers": tiers}, "status": {"activeJobs": 2}})
    assert [room.room for room in rooms_for(worker_outline({}), group.priority_class, (fact,))] == [0]
    assert rooms_for(worker_outline({}), busy.priority_class, (fact,)) == []


def test_a_limit_range_declares_what_a_worker_does_not() -> None:
    sidecar = {"podTemplate": {"spec": {"containers": [{"name": "sidecar"}]}}}
    manifest = quota({"requests.cpu": "8"}, {})
    ranges = ({"spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "500m"}}]}},)
    (lacking,) = rooms_for(worker_outline(sidecar), None, (parse_quota(manifest),))
    assert (lacking.room, lacking.words) == (
        0,
        "quota team admits no pod that does not declare requests.cpu (containers sidecar)",
    )
    (declared,) = rooms_for(worker_outline(sidecar), None, (parse_quota(manifest, ranges),))
    assert declared.room == 8


def autoscaler(**condition: str) -> dict[str, Any]:
    target = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}
    status = {"currentReplicas": 2, "conditions": [condition] if condition else []}
    return {
        "metadata": {"namespace": "n", "name": "p"},
        "spec": {"maxReplicas": 10, "metrics": [target]},
        "status": status,
    }


def test_an_autoscaler_without_a_reading_tells_why_unless_it_is_switched_off() -> None:
    blind = parse_autoscaler(autoscaler(type="ScalingActive", status="False", reason="FailedGetResourceMetric"))
    assert (blind.current, blind.target, blind.problem) == ("", "70%", "FailedGetResourceMetric")
    off = parse_autoscaler(autoscaler(type="ScalingActive", status="False", reason="ScalingDisabled"))
    assert (off.problem, off.is_observed) == ("", True)
    limited = parse_autoscaler(autoscaler(type="ScalingLimited", status="False", reason="DesiredWithinRange"))
    assert limited.problem == ""
    assert not parse_autoscaler(autoscaler()).is_observed


def test_an_autoscaler_shows_what_kubectl_shows() -> None:
    manifest = autoscaler()
    reading = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 0}}}
    manifest["status"]["currentMetrics"] = [reading]
    assert parse_autoscaler(manifest).current == "0%"


def test_a_group_tells_what_its_jobs_wait_for_whatever_else_stands_there() -> None:
    told = {"reason": "weather", "jobs": 2, "since": "2026-01-05T09:00:00Z", "message": "rain"}
    fact = parse_group({"metadata": {}, "status": {"waiting": [told, {}, "odd"]}})
    assert [(wait.reason, wait.jobs, wait.since, wait.message) for wait in fact.waiting] == [
        ("weather", 2, datetime(2026, 1, 5, 9, tzinfo=UTC), "rain"),
        ("", 0, None, ""),
    ]


@pytest.mark.parametrize(
    ("spec", "status", "is_unscheduled"),
    [
        ({}, {}, True),
        ({"nodeName": "n"}, {}, False),
        ({}, {"phase": "Running"}, False),
        ({}, {"containerStatuses": [{"name": "c"}]}, False),
    ],
)
def test_a_pod_is_unscheduled_until_it_has_a_node(
    spec: dict[str, Any], status: dict[str, Any], is_unscheduled: bool
) -> None:
    assert parse_pod({"metadata": {}, "spec": spec, "status": status}, PodRole.WORKER).is_unscheduled is is_unscheduled
