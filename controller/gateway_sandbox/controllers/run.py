"""All controllers of the sandbox's cluster in one task group over shared caches."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.engine.workqueue import WorkQueue, work
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.listwatch import Key, key_of
from gateway_sandbox.controllers.autoscaling import AutoscalingController, Samples
from gateway_sandbox.controllers.cache import Manifest, ObjectCache, controller_of
from gateway_sandbox.controllers.deployments import DeploymentController
from gateway_sandbox.controllers.replicasets import ReplicaSetController
from gateway_sandbox.controllers.scheduler import Scheduler

log = structlog.get_logger(__name__)

_WORKERS_PER_QUEUE = 2
_BACKOFF = Backoff(base_seconds=0.2, cap_seconds=30.0)


async def run_controllers(
    client: KubeClient,
    clock: Clock,
    rng: random.Random | None = None,
    *,
    samples: Callable[[], Samples] | None = None,
) -> None:
    """Runs the Deployment and ReplicaSet controllers and the scheduler until cancelled.

    With `samples`, the newest of what containers use, the autoscalers' readings as well.
    """
    rng = rng or random.Random()  # noqa: S311 - name suffixes and jitter, no secrets
    resources = (r.DEPLOYMENTS, r.REPLICASETS, r.PODS, r.NODES, *((r.HPAS,) if samples else ()))
    caches = [ObjectCache(client, resource, clock=clock, rng=rng) for resource in resources]
    deployments, replica_sets, pods, nodes, *scaled = caches

    def recorder(component: str) -> EventRecorder:
        return EventRecorder(client, clock, component=component, instance="sandbox")

    rollouts = DeploymentController(client, clock, recorder("deployment-controller"), deployments, replica_sets, pods)
    replicas = ReplicaSetController(client, clock, rng, recorder("replicaset-controller"), replica_sets, pods)
    scheduler = Scheduler(client, clock, recorder("default-scheduler"), pods, nodes)
    queues = _Queues(
        WorkQueue(clock=clock, rng=rng, backoff=_BACKOFF), WorkQueue(clock=clock, rng=rng, backoff=_BACKOFF)
    )
    deployments.listen(lambda deployment: queues.deployments.add(key_of(deployment)))
    replica_sets.listen(queues.on_replica_set)
    pods.listen(lambda pod: queues.on_pod(pod, replica_sets))
    pods.listen(scheduler.wake)
    nodes.listen(scheduler.wake)
    async with asyncio.TaskGroup() as tasks:
        for resource, cache in zip(resources, caches, strict=True):
            run_forever(tasks, cache.run(), name=f"{resource.plural} cache")
        for cache in caches:
            await cache.synced.wait()
        for number in range(_WORKERS_PER_QUEUE):
            run_forever(tasks, work(queues.deployments, rollouts.reconcile, _report), name=f"deployments {number}")
            run_forever(tasks, work(queues.replica_sets, replicas.reconcile, _report), name=f"replicasets {number}")
        run_forever(tasks, scheduler.run(), name="scheduler")
        if samples:
            (autoscalers,) = scaled
            readings = AutoscalingController(
                client,
                clock,
                samples,
                autoscalers=autoscalers,
                deployments=deployments,
                pods=pods,
                nodes=nodes,
            )
            run_forever(tasks, readings.run(), name="autoscalers' readings")


@dataclass(frozen=True, slots=True)
class _Queues:
    """Which keys a change asks to be worked."""

    deployments: WorkQueue[Key]
    replica_sets: WorkQueue[Key]

    def on_replica_set(self, replica_set: Manifest) -> None:
        self.replica_sets.add(key_of(replica_set))
        if owner := _owner(replica_set, "Deployment"):
            self.deployments.add(owner)

    def on_pod(self, pod: Manifest, replica_sets: ObjectCache) -> None:
        owner = _owner(pod, "ReplicaSet")
        if owner is None:
            return
        self.replica_sets.add(owner)
        # The Deployment, too: Recreate waits for the last pod of an old ReplicaSet to go.
        replica_set = replica_sets.objects.get(owner)
        if replica_set is not None and (grand := _owner(replica_set, "Deployment")):
            self.deployments.add(grand)


def _owner(manifest: Manifest, kind: str) -> Key | None:
    owner = controller_of(manifest)
    if owner is None or owner["kind"] != kind:
        return None
    return manifest["metadata"]["namespace"], owner["name"]


def _report(key: Key, failure: Exception, retry_in_seconds: float) -> None:
    if isinstance(failure, KubeError):
        log.info("reconcile refused", key=key, problem=failure.message, retry_in_seconds=round(retry_in_seconds, 1))
    else:
        log.error("reconcile failed", key=key, retry_in_seconds=round(retry_in_seconds, 1), exc_info=failure)
