"""The series that the manager exports for its gateways."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, AGENT_CONTAINER, PROXY
from actions_gateway.kube.listwatch import Change, ChangeType
from actions_gateway.kube.resources import ACTIONSGATEWAYS, PODS, RESOURCEQUOTAS, Resource
from actions_gateway.manager.fleet.export import Fleet
from actions_gateway.manager.gateway.mirror import Edit, Mirror
from actions_gateway.manager.gateway.snapshot import Snapshot
from actions_gateway.metrics.catalog import (
    AGENT_TERMINATIONS,
    CONDITION,
    CONDITION_LAST_TRANSITION,
    CREDENTIAL_REFERENCED,
    EXPECTED_AGENTS,
    EXPECTED_PROXIES,
    EXPECTED_SESSIONS,
    GATEWAY_INFO,
    GATEWAYS_CREATED,
    GATEWAYS_DELETED,
    MANAGED_GATEWAYS,
    PROXY_HPA_METRIC_AVAILABLE,
    PROXY_QUOTA_EXCEEDED,
    PROXY_READY_REPLICAS,
    QUOTA_HARD,
    QUOTA_USED,
    Component,
    Metric,
)
from actions_gateway.metrics.registry import Metrics
from support import manager_objects as make

Manifest = dict[str, Any]

KEY = ("team-a", "ci")
GATEWAY = {"namespace": "team-a", "name": "ci"}
SESSIONS = {"namespace": "team-a", "runner_group": "ci-cpu"}
READY = {"namespace": "team-a", "kind": "ActionsGateway", "name": "ci", "type": "Ready"}


class Seen:
    """A fleet of one gateway."""

    def __init__(self, snapshot: Snapshot | None = None, *, is_served: bool = True) -> None:
        self.metrics = Metrics(Component.MANAGER, "1.0")
        self.fleet = Fleet(self.metrics)
        self.fleet.begin()
        self.look(snapshot or make.snapshot(gateway()), is_served=is_served)

    def look(self, snapshot: Snapshot, *, is_served: bool = True) -> None:
        self.fleet.observe(KEY, snapshot, is_served=is_served)

    def value(self, metric: Metric, **series: str) -> float | None:
        return self.metrics.value(metric, **(series or GATEWAY))

    def follow(self, resource: Resource, before: Manifest | None, after: Manifest | None) -> None:
        self.fleet.follow(mirror_of(resource), Edit(before, after))


def mirror_of(resource: Resource, *objects: Manifest) -> Mirror:
    mirror = Mirror(resource)
    for manifest in objects:
        mirror.put(manifest)
    mirror.take(Change(ChangeType.SYNCED, {}))
    return mirror


def gateway(status: str = "True", **changes: Any) -> Manifest:
    return make.gateway(status={"conditions": [make.condition("Ready", status, "AllAvailable")]}, **changes)


def with_child(owner: Manifest, kind: str, name: str, **status: Any) -> Snapshot:
    """The gateway with one child as its controller reports it."""
    children = make.children_of(owner)
    (reference,) = next(iter(children.values()))["metadata"]["ownerReferences"]
    child = {"kind": kind, "metadata": {"name": name, "namespace": "team-a", "ownerReferences": [reference]}}
    return make.snapshot(owner, children={**children, (kind, name): {**child, "status": status}})


# -- expectations


def test_a_served_gateway_expects_an_agent_its_least_proxies_and_a_session_per_group() -> None:
    seen = Seen(make.snapshot(gateway(proxy={"minReplicas": 3})))
    assert seen.value(EXPECTED_AGENTS) == 1
    assert seen.value(EXPECTED_PROXIES) == 3
    assert seen.value(EXPECTED_SESSIONS, **SESSIONS) == 1
    assert seen.metrics.value(MANAGED_GATEWAYS) == 1


def test_it_tells_since_when_its_secret_is_referred_to() -> None:
    created = datetime.fromisoformat(make.CREATED).timestamp()
    seen = Seen()
    assert seen.value(CREDENTIAL_REFERENCED) == created
    owner = {"time": "2026-05-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:gitHubAppRef": {"f:name": {}}}}}
    rotated = gateway(metadata={"managedFields": [owner]})
    seen.look(make.snapshot(rotated))
    assert seen.value(CREDENTIAL_REFERENCED) == datetime(2026, 5, 1, tzinfo=UTC).timestamp()
    seen.look(make.snapshot(rotated), is_served=False)
    assert seen.value(CREDENTIAL_REFERENCED) is None


@pytest.mark.parametrize("is_served", [True, False])
def test_a_gateway_is_told_by_its_uid_and_a_successor_of_its_name_by_another(is_served: bool) -> None:
    seen = Seen(make.snapshot(gateway(metadata={"uid": "one"})), is_served=is_served)
    assert seen.value(GATEWAY_INFO, **GATEWAY, uid="one") == 1
    seen.look(make.snapshot(gateway(metadata={"uid": "two"})), is_served=is_served)
    assert seen.value(GATEWAY_INFO, **GATEWAY, uid="one") is None
    assert seen.value(GATEWAY_INFO, **GATEWAY, uid="two") == 1


def test_a_gateway_that_says_nothing_of_proxies_expects_the_default() -> None:
    assert Seen().value(EXPECTED_PROXIES) == 2


def test_a_paused_gateway_expects_no_session_but_an_agent() -> None:
    seen = Seen(make.snapshot(gateway(paused=True)))
    assert seen.value(EXPECTED_SESSIONS, **SESSIONS) == 0
    assert seen.value(EXPECTED_AGENTS) == 1


def test_a_contained_gateway_expects_nothing_to_run() -> None:
    seen = Seen(make.snapshot(gateway(metadata={"annotations": {labels.CONTAINED: "incident-7"}})))
    assert [seen.value(EXPECTED_AGENTS), seen.value(EXPECTED_PROXIES)] == [0, 0]
    assert seen.value(EXPECTED_SESSIONS, **SESSIONS) == 0
    assert seen.metrics.value(MANAGED_GATEWAYS) == 1


def test_a_refused_gateway_expects_nothing_but_shows_its_conditions() -> None:
    seen = Seen(is_served=False)
    assert seen.value(EXPECTED_AGENTS) is None
    assert seen.value(EXPECTED_SESSIONS, **SESSIONS) == 0
    assert seen.metrics.value(MANAGED_GATEWAYS) == 0
    assert seen.value(CONDITION, **READY, status="True") == 1


def test_a_gateway_on_its_way_out_is_missed_by_nobody() -> None:
    seen = Seen()
    seen.look(make.snapshot(gateway(metadata={"deletionTimestamp": make.CREATED})))
    assert seen.value(EXPECTED_AGENTS) is None
    assert seen.value(EXPECTED_PROXIES) is None
    assert seen.value(EXPECTED_SESSIONS, **SESSIONS) == 0
    assert seen.value(CONDITION, **READY, status="True") == 1


# -- conditions and the life of a series


def test_a_condition_has_all_three_statuses_and_the_objects_time() -> None:
    seen = Seen()
    seen.look(make.snapshot(gateway("False")))
    values = {status: seen.value(CONDITION, **READY, status=status) for status in ("True", "False", "Unknown")}
    assert values == {"True": 0, "False": 1, "Unknown": 0}
    assert seen.value(CONDITION_LAST_TRANSITION, **READY) == 1767600000


def test_a_group_that_left_takes_its_series_along_and_only_its_own() -> None:
    seen = Seen()
    seen.look(make.snapshot(gateway(), children={}))
    assert seen.value(EXPECTED_SESSIONS, **SESSIONS) is None
    assert seen.value(EXPECTED_AGENTS) == 1


def test_a_gateway_that_is_refused_later_keeps_its_conditions_series() -> None:
    seen = Seen()
    seen.look(make.snapshot(gateway("False")), is_served=False)
    assert seen.value(EXPECTED_AGENTS) is None
    assert seen.value(CONDITION, **READY, status="False") == 1


def test_nothing_is_left_of_a_gateway_that_is_gone() -> None:
    seen = Seen()
    seen.fleet.forget(KEY)
    assert b'namespace="team-a"' not in seen.metrics.render()
    assert seen.metrics.value(MANAGED_GATEWAYS) == 0


def test_how_many_are_served_is_told_once_every_gateway_of_the_first_list_was_looked_at() -> None:
    metrics = Metrics(Component.MANAGER, "1.0")
    fleet = Fleet(metrics)
    fleet.observe(KEY, make.snapshot(), is_served=True)
    assert metrics.value(MANAGED_GATEWAYS) is None
    fleet.begin()
    assert metrics.value(MANAGED_GATEWAYS) == 1


def test_gateways_that_come_and_go_are_counted_and_those_that_were_there_are_not() -> None:
    seen = Seen()
    old, new = make.gateway(), make.gateway(metadata={"uid": "another"})
    seen.fleet.follow(Mirror(ACTIONSGATEWAYS), Edit(None, old))
    counts = []
    for before, after in ((None, old), (old, gateway()), (old, new), (new, None)):
        seen.follow(ACTIONSGATEWAYS, before, after)
        counts.append((seen.metrics.value(GATEWAYS_CREATED), seen.metrics.value(GATEWAYS_DELETED)))
    assert counts == [(1, 0), (1, 0), (2, 1), (2, 2)]


# -- the proxy


def test_ready_proxies_are_those_of_the_deployment() -> None:
    seen = Seen()
    assert seen.value(PROXY_READY_REPLICAS) == 0
    seen.look(with_child(gateway(), "Deployment", PROXY, readyReplicas=2))
    assert seen.value(PROXY_READY_REPLICAS) == 2


@pytest.mark.parametrize(
    ("status", "reason", "is_available"),
    [
        pytest.param("True", "ValidMetricFound", 1, id="a reading"),
        pytest.param("False", "FailedGetResourceMetric", 0, id="no reading"),
        pytest.param("False", "ScalingDisabled", 1, id="scaled to zero by somebody"),
        pytest.param("Unknown", "", 1, id="the autoscaler does not know yet"),
    ],
)
def test_an_autoscaler_that_says_it_lacks_its_metric_is_told(status: str, reason: str, is_available: int) -> None:
    entry = {"type": "ScalingActive", "status": status, "reason": reason}
    seen = Seen(with_child(gateway(), "HorizontalPodAutoscaler", PROXY, conditions=[entry]))
    assert seen.value(PROXY_HPA_METRIC_AVAILABLE) == is_available


def test_an_autoscaler_without_a_word_alarms_nobody() -> None:
    assert Seen().value(PROXY_HPA_METRIC_AVAILABLE) == 1
    assert Seen(with_child(gateway(), "HorizontalPodAutoscaler", PROXY)).value(PROXY_HPA_METRIC_AVAILABLE) == 1


@pytest.mark.parametrize(
    ("status", "message", "is_exceeded"),
    [
        ("True", 'pods "x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4', 1),
        ("True", 'pods "x" is forbidden: failed quota: compute: must specify limits.cpu for: proxy', 1),
        ("True", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', 0),
        ("False", "exceeded quota: compute", 0),
    ],
)
def test_proxies_that_a_quota_refuses_are_told(status: str, message: str, is_exceeded: int) -> None:
    entry = {"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": message}
    seen = Seen(with_child(gateway(), "Deployment", PROXY, conditions=[entry]))
    assert seen.value(PROXY_QUOTA_EXCEEDED) == is_exceeded
    seen.look(make.snapshot(gateway()))
    assert seen.value(PROXY_QUOTA_EXCEEDED) == 0


# -- quotas


def quota(used: str = "500m", **metadata: Any) -> Manifest:
    status = {"hard": {"requests.cpu": "2", "requests.memory": "1Gi"}, "used": {"requests.cpu": used}}
    return {"metadata": {"name": "compute", "namespace": "team-a", "uid": "q", **metadata}, "status": status}


CPU = {"namespace": "team-a", "quota": "compute", "key": "requests.cpu"}
MEMORY = {"namespace": "team-a", "quota": "compute", "key": "requests.memory"}


def test_a_quota_is_shown_in_base_units_and_follows_its_use_without_a_look_at_the_gateway() -> None:
    seen = Seen()
    seen.fleet.follow(mirror_of(RESOURCEQUOTAS, quota()), Edit(None, quota()))
    assert seen.value(QUOTA_HARD, **CPU) == 2
    assert seen.value(QUOTA_USED, **CPU) == 0.5
    assert seen.value(QUOTA_HARD, **MEMORY) == 2**30
    assert seen.value(QUOTA_USED, **MEMORY) == 0
    seen.fleet.follow(mirror_of(RESOURCEQUOTAS, quota("1500m")), Edit(quota(), quota("1500m")))
    assert seen.value(QUOTA_USED, **CPU) == 1.5
    seen.fleet.follow(mirror_of(RESOURCEQUOTAS), Edit(quota(), None))
    assert seen.value(QUOTA_HARD, **CPU) is None


def test_a_quota_of_a_namespace_without_a_served_gateway_is_nobodys_business() -> None:
    seen = Seen(is_served=False)
    seen.fleet.follow(mirror_of(RESOURCEQUOTAS, quota()), Edit(None, quota()))
    assert seen.value(QUOTA_HARD, **CPU) is None


# -- ends of the agent's container


def pod(restarts: int = 0, *, app: str = AGENT, pod_status: dict[str, Any] | None = None, **container: Any) -> Manifest:
    statuses = [{"name": AGENT_CONTAINER, "restartCount": restarts, **container}]
    return {
        "metadata": {"name": "agent-1", "namespace": "team-a", "uid": "p", "labels": {"app": app}},
        "status": {"containerStatuses": statuses, **(pod_status or {})},
    }


def ended(reason: str) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": 1}}


RUNNING = pod(state={"running": {}})
KILLED = pod(state=ended("OOMKilled"))
AGAIN = pod(1, state={"running": {}}, lastState=ended("OOMKilled"))


def held_back(restarts: int, why: str = "CrashLoopBackOff") -> Manifest:
    """Ended, and the kubelet waits with the restart."""
    return pod(restarts, state={"waiting": {"reason": why}}, lastState=ended("Error"))


FAILED = pod(state=ended("Error"))
STARTED = pod(1, state={"running": {}}, lastState=ended("Error"))
EVICTED = pod(state=ended("Error"), pod_status={"phase": "Failed", "reason": "Evicted"})


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param([None, RUNNING], {}, id="a pod that runs has not ended"),
        pytest.param([RUNNING, KILLED, AGAIN], {"OOMKilled": 1}, id="seen ending and started again: one end"),
        pytest.param([RUNNING, AGAIN], {"OOMKilled": 1}, id="only the restart was seen"),
        pytest.param([RUNNING, pod(3, lastState=ended("Error"))], {"Error": 3}, id="three restarts at once"),
        pytest.param([RUNNING, FAILED, held_back(0), STARTED], {"Error": 1}, id="a crash with its back-off: one end"),
        pytest.param(
            [STARTED, pod(1, state=ended("Error"), lastState=ended("Error")), held_back(1), held_back(1)],
            {"Error": 1},
            id="the next crash, not started again yet",
        ),
        pytest.param([RUNNING, held_back(0), STARTED, held_back(1)], {"Error": 2}, id="only the back-offs were seen"),
        pytest.param([RUNNING, held_back(0), held_back(0, "ErrImagePull"), STARTED], {"Error": 1}, id="no image then"),
        pytest.param(
            [RUNNING, FAILED, pod(1, state={"waiting": {}}, lastState=ended("Error")), STARTED],
            {"Error": 1},
            id="the new container is made and does not run yet",
        ),
        pytest.param([None, pod(state={"waiting": {"reason": "ErrImagePull"}}), RUNNING], {}, id="never started yet"),
        pytest.param([AGAIN, None, RUNNING, KILLED], {"OOMKilled": 1}, id="the pod was replaced"),
        pytest.param([None, AGAIN], {"OOMKilled": 1}, id="a pod that came while the watch was broken"),
        pytest.param([RUNNING, EVICTED, None], {"Evicted": 1}, id="evicted by the kubelet"),
        pytest.param([RUNNING, FAILED, EVICTED], {"Error": 1}, id="evicted, told in two steps"),
        pytest.param([RUNNING, pod(state=ended("StartError"))], {"Other": 1}, id="a reason that is not listed"),
        pytest.param([RUNNING, pod(state=ended("Completed"))], {"Completed": 1}, id="asked to stop"),
        pytest.param([pod(app=PROXY), pod(1, app=PROXY)], {}, id="a proxy is no agent"),
    ],
)
def test_each_end_of_the_agent_counts_once(history: list[Manifest | None], expected: dict[str, float]) -> None:
    seen = Seen()
    reasons = AGENT_TERMINATIONS.labels["reason"] or ()
    assert {seen.value(AGENT_TERMINATIONS, namespace="team-a", reason=reason) for reason in reasons} == {0.0}
    for before, after in itertools.pairwise(history):
        seen.follow(PODS, before, after)
    counts = {reason: seen.value(AGENT_TERMINATIONS, namespace="team-a", reason=reason) for reason in reasons}
    assert {reason: count for reason, count in counts.items() if count} == expected


def test_ends_from_before_the_first_full_list_are_no_news() -> None:
    seen = Seen()
    seen.fleet.follow(Mirror(PODS), Edit(None, AGAIN))
    assert seen.value(AGENT_TERMINATIONS, namespace="team-a", reason="OOMKilled") == 0
