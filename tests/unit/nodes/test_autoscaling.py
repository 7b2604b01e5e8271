"""What an autoscaler of the embedded cluster tells of its target's pods."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import NotFound
from gateway_sandbox.controllers.autoscaling import (
    SYNC_SECONDS,
    AutoscalingController,
    Unread,
    build_status,
    utilization,
)
from gateway_sandbox.controllers.cache import ObjectCache
from gateway_sandbox.metricsapi.sampler import ContainerSample, RunningContainer
from gateway_sandbox.nodes.drills import NO_METRICS
from support.clock import START, ManualClock

Manifest = dict[str, Any]
READY_SINCE = START - timedelta(minutes=1)


def pod(name: str, *, request: str | None = "100m", ready: str = "True", labels: Manifest | None = None) -> Manifest:
    requests = {"requests": {"cpu": request}} if request else {}
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": READY_SINCE.isoformat()}
    return {
        "metadata": {"name": name, "namespace": "t", "uid": name, "labels": labels or {"app": "proxy"}},
        "spec": {"containers": [{"name": "envoy", "resources": requests}]},
        "status": {"phase": "Running", "conditions": [condition]},
    }


def sample(of: str, cores: float, *, taken_at: datetime = START) -> ContainerSample:
    return ContainerSample(RunningContainer("t", of, of, "envoy", 1), cores, 1, taken_at, 2.0)


AUTOSCALER: Manifest = {
    "metadata": {"name": "proxy", "namespace": "t"},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "proxy"}},
}
TARGET: Manifest = {
    "metadata": {"name": "proxy", "namespace": "t"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "proxy"}}},
    "status": {"replicas": 2},
}


def told(status: Manifest) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def message(status: Manifest) -> str:
    return str(status["conditions"][-1]["message"])


def test_the_reading_is_use_over_requests_of_all_pods_and_an_average_of_cores() -> None:
    pods = [pod("a"), pod("b", request="300m"), pod("c", labels={"app": "other"})]
    samples = [sample("a", 0.09), sample("b", 0.03), sample("c", 9.0)]
    status = build_status(AUTOSCALER, TARGET, pods, samples, START)
    (metric,) = status["currentMetrics"]
    assert metric["resource"] == {"name": "cpu", "current": {"averageUtilization": 30, "averageValue": "60m"}}
    assert (status["currentReplicas"], status["desiredReplicas"]) == (2, 2)
    assert told(status) == {"AbleToScale": ("True", "SucceededGetScale"), "ScalingActive": ("True", "ValidMetricFound")}


def test_a_pod_counts_once_its_sample_is_all_of_after_it_became_ready() -> None:
    early = sample("a", 1.0, taken_at=READY_SINCE + timedelta(seconds=1))
    assert utilization([pod("a"), pod("b")], [early, sample("b", 0.05)]) == (50, 0.05)
    with pytest.raises(Unread, match="did not receive metrics for targeted pods"):
        utilization([pod("a")], [early])
    with pytest.raises(Unread, match="did not receive metrics"):
        utilization([pod("a", ready="False")], [sample("a", 1.0)])
    with pytest.raises(Unread, match="no pods returned by selector"):
        utilization([], [])
    with pytest.raises(Unread, match="missing request for cpu in container envoy of Pod a"):
        utilization([pod("a", request=None)], [sample("a", 1.0)])


def test_without_a_metrics_api_there_is_no_reading_and_the_condition_says_why() -> None:
    before = build_status(AUTOSCALER, TARGET, [pod("a")], [sample("a", 0.05)], START)
    later = START + timedelta(minutes=5)
    status = build_status(AUTOSCALER | {"status": before}, TARGET, [pod("a")], None, later)
    assert told(status)["ScalingActive"] == ("False", "FailedGetResourceMetric")
    assert "the server could not find the requested resource (get pods.metrics.k8s.io)" in message(status)
    assert status["currentMetrics"] == [{"type": ""}]
    assert [one["lastTransitionTime"] for one in status["conditions"]] == [
        "2026-01-05T09:00:00Z",
        "2026-01-05T09:05:00Z",
    ]


def test_a_target_that_is_gone_or_scaled_to_zero_is_told_as_such() -> None:
    gone = build_status(AUTOSCALER, None, [], [], START)
    assert told(gone) == {"AbleToScale": ("False", "FailedGetScale")}
    assert message(gone).endswith('Deployment "proxy" not found')
    idle = TARGET | {"spec": TARGET["spec"] | {"replicas": 0}, "status": {}}
    assert told(build_status(AUTOSCALER, idle, [], [], START))["ScalingActive"] == ("False", "ScalingDisabled")


class Writes:
    """Keeps what is patched, or refuses it."""

    def __init__(self, into: Callable[[Manifest], None]) -> None:
        self.seen: list[Manifest] = []
        self.into = into
        self.refuses = False

    async def patch(self, resource: object, name: str, patch: Manifest, **where: object) -> None:
        assert (resource, name, where) == (r.HPAS, "proxy", {"namespace": "t", "subresource": "status"})
        if self.refuses:
            raise NotFound("gone")
        self.seen.append(patch["status"])
        self.into(patch)


def test_a_status_is_written_when_it_changes_and_a_refused_write_is_tried_again() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        autoscaler = dict(AUTOSCALER)
        writes = Writes(autoscaler.update)
        client = cast("KubeClient", writes)
        samples = [sample("a", 0.05)]

        def cache(resource: r.Resource, *objects: Manifest) -> ObjectCache:
            made = ObjectCache(client, resource, clock=clock, rng=random.Random(1))
            made.objects.update(
                {(one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in objects}
            )
            return made

        node: Manifest = {"metadata": {"name": "n"}}
        controller = AutoscalingController(
            client,
            clock,
            lambda: samples,
            autoscalers=cache(r.HPAS, autoscaler),
            deployments=cache(r.DEPLOYMENTS, TARGET),
            pods=cache(r.PODS, pod("a")),
            nodes=cache(r.NODES, node),
        )
        running = asyncio.create_task(controller.run())
        await clock.advance(3 * SYNC_SECONDS)
        assert len(writes.seen) == 1
        node["metadata"]["annotations"] = {NO_METRICS: "drill"}
        writes.refuses = True
        await clock.advance(SYNC_SECONDS)
        assert len(writes.seen) == 1
        writes.refuses = False
        await clock.advance(2 * SYNC_SECONDS)
        assert [told(one)["ScalingActive"][0] for one in writes.seen] == ["True", "False"]
        running.cancel()

    asyncio.run(scenario())
