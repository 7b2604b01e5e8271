"""The autoscaling controller's reading: what each HorizontalPodAutoscaler's target uses of the CPU that it requests.

It scales nothing. The samples are those that `metrics.k8s.io` serves on the real control plane. Sources: Kubernetes
documentation, "Horizontal Pod Autoscaling", algorithm details; kubernetes pkg/controller/podautoscaler (horizontal.go,
replica_calculator.go) for reasons and messages. Left out: everything but the utilization of CPU.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import structlog

from actions_gateway.api.quantities import parse_quantity
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError
from gateway_sandbox.controllers.cache import ObjectCache
from gateway_sandbox.controllers.conditions import (
    Condition,
    condition,
    find_condition,
    is_active,
    is_ready,
    same_fields,
)
from gateway_sandbox.metricsapi.sampler import ContainerSample
from gateway_sandbox.nodes.drills import NO_METRICS

log = structlog.get_logger(__name__)

Manifest = dict[str, Any]
Samples = Sequence[ContainerSample]
SYNC_SECONDS = 2.0
"""As on the sandbox's real control plane; a cluster's own looks every 15 s."""
_GONE = (
    "unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API:"
    " the server could not find the requested resource (get pods.metrics.k8s.io)"
)


class AutoscalingController:
    """Writes every autoscaler's status, on and on."""

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        samples: Callable[[], Samples],
        *,
        autoscalers: ObjectCache,
        deployments: ObjectCache,
        pods: ObjectCache,
        nodes: ObjectCache,
    ) -> None:
        self._client = client
        self._clock = clock
        self._samples = samples
        self._autoscalers = autoscalers
        self._deployments = deployments
        self._pods = pods
        self._nodes = nodes

    async def run(self) -> None:
        """Looks every two seconds until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(SYNC_SECONDS)

    async def look(self) -> None:
        """One round; an autoscaler that cannot be written, such as one that has just gone, waits for the next."""
        is_gone = any(
            NO_METRICS in (node["metadata"].get("annotations") or {}) for node in self._nodes.objects.values()
        )
        samples = None if is_gone else self._samples()
        for (namespace, name), autoscaler in tuple(self._autoscalers.objects.items()):
            reference = autoscaler["spec"]["scaleTargetRef"]
            is_known = reference["kind"] == r.DEPLOYMENTS.kind
            target = self._deployments.objects.get((namespace, reference["name"])) if is_known else None
            pods = [pod for key, pod in self._pods.objects.items() if key[0] == namespace]
            status = build_status(autoscaler, target, pods, samples, self._clock.now())
            if same_fields(autoscaler.get("status") or {}, status):
                continue
            try:
                await self._client.patch(r.HPAS, name, {"status": status}, namespace=namespace, subresource="status")
            except KubeError as problem:
                log.info("autoscaler's status not written", key=(namespace, name), problem=problem.message)


class Unread(Exception):
    """There is no reading; the message is the controller's."""


def build_status(
    autoscaler: Manifest, target: Manifest | None, pods: Sequence[Manifest], samples: Samples | None, now: datetime
) -> Manifest:
    """What the status has to say; `samples` is None while there is no metrics API, `target` for one that is unknown."""

    def told(kind: str, reason: str, message: str, *, is_true: bool) -> Condition:
        before = find_condition(autoscaler, kind)
        return condition(kind, is_true=is_true, reason=reason, message=message, now=now, before=before)

    reference = autoscaler["spec"]["scaleTargetRef"]
    if target is None:
        missing = f'{reference["kind"]} "{reference["name"]}" not found'
        message = f"the HPA controller was unable to get the target's current scale: {missing}"
        return {"conditions": [told("AbleToScale", "FailedGetScale", message, is_true=False)]}
    message = "the HPA controller was able to get the target's current scale"
    able = told("AbleToScale", "SucceededGetScale", message, is_true=True)
    replicas = int((target.get("status") or {}).get("replicas") or 0)
    status: Manifest = {"currentReplicas": replicas, "desiredReplicas": replicas}
    if target["spec"].get("replicas") == 0:
        message = "scaling is disabled since the replica count of the target is zero"
        return status | {"conditions": [able, told("ScalingActive", "ScalingDisabled", message, is_true=False)]}
    try:
        if samples is None:
            raise Unread(_GONE)
        wanted = target["spec"]["selector"].get("matchLabels") or {}
        percent, cores = utilization(
            [pod for pod in pods if wanted.items() <= (pod["metadata"].get("labels") or {}).items()], samples
        )
    except Unread as problem:
        message = f"the HPA was unable to compute the replica count: failed to get cpu utilization: {problem}"
        # In a reading's place the real controller leaves an entry of no type, which kubectl shows as <unknown>.
        status["currentMetrics"] = [{"type": ""}]
        return status | {"conditions": [able, told("ScalingActive", "FailedGetResourceMetric", message, is_true=False)]}
    current = {"averageUtilization": percent, "averageValue": f"{int(cores * 1000)}m"}
    status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    message = (
        "the HPA was able to successfully calculate a replica count from cpu resource utilization"
        " (percentage of request)"
    )
    return status | {"conditions": [able, told("ScalingActive", "ValidMetricFound", message, is_true=True)]}


def utilization(pods: Sequence[Manifest], samples: Samples) -> tuple[int, float]:
    """What ready pods use in percent of what they request, and on average in cores; raises Unread.

    A pod counts once all of its sample is of after it became ready: what a start costs says nothing of the load.
    """
    if not pods:
        raise Unread("no pods returned by selector while calculating replica count")
    used: Mapping[str, list[ContainerSample]] = defaultdict(list)
    for sample in samples:
        used[sample.container.pod_uid].append(sample)
    counted = [pod for pod in pods if is_active(pod) and is_ready(pod) and _is_of_service(pod, used)]
    if not counted:
        raise Unread("did not receive metrics for targeted pods (pods might be unready)")
    requested = sum((_request(pod) for pod in counted), Fraction())
    cores = sum(sample.cpu_cores for pod in counted for sample in used[pod["metadata"]["uid"]])
    return int(cores * 100 / requested), cores / len(counted)


def _is_of_service(pod: Manifest, used: Mapping[str, list[ContainerSample]]) -> bool:
    samples = used[pod["metadata"]["uid"]]
    ready = find_condition(pod, "Ready") or {}
    since = datetime.fromisoformat(ready["lastTransitionTime"])
    return bool(samples) and all(one.taken_at - timedelta(seconds=one.window_seconds) >= since for one in samples)


def _request(pod: Manifest) -> Fraction:
    total = Fraction()
    for container in pod["spec"]["containers"]:
        requested = ((container.get("resources") or {}).get("requests") or {}).get("cpu")
        if requested is None or not (amount := parse_quantity(requested)):
            raise Unread(f"missing request for cpu in container {container['name']} of Pod {pod['metadata']['name']}")
        total += amount
    return total
