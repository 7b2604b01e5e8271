"""All controllers of the sandbox's cluster in one task group over shared caches."""

import asyncio
import random

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
from gateway_sandbox.controllers.cache import Manifest, ObjectCache, controller_of
from gateway_sandbox.controllers.deployments import DeploymentController
from gateway_sandbox.controllers.replicasets import ReplicaSetController
from gateway_sandbox.controllers.scheduler import Scheduler

log = structlog.get_logger(__name__)

_WORKERS_PER_QUEUE = 2
_BACKOFF = Backoff(base_seconds=0.2, cap_seconds=30.0)


async def run_controllers(client: KubeClient, clock: Clock, rng: random.Random | None = None) -> None:
    """Runs the Deployment and ReplicaSet controllers and the scheduler until cancelled."""
    rng = rng or random.Random()  # noqa: S311 - name suffixes and jitter, no secrets
    caches = {
        resource: ObjectCache(client, resource, clock=clock, rng=rng)
        for resource in (r.DEPLOYMENTS, r.REPLICASETS, r.PODS, r.NODES)
    }
    deployments, replica_sets, pods, nodes = caches.values()

    def recorder(component: str) -> EventRecorder:
        return EventRecorder(client, clock, component=component, instance="sandbox")

    deployment_queue: WorkQueue[Key] = WorkQueue(clock=clock, rng=rng, backoff=_BACKOFF)
    replica_set_queue: WorkQueue[Key] = WorkQueue(clock=clock, rng=rng, backoff=_BACKOFF)
    for_deployments = DeploymentController(
        client, clock, recorder("deployment-controller"), deployments, replica_sets, pods
    )
    for_replica_sets = ReplicaSetController(client, clock, rng, recorder("replicaset-controller"), replica_sets, pods)
    scheduler = Scheduler(client, clock, recorder("default-scheduler"), pods, nodes)

    def add_owner(manifest: Manifest, kind: str, queue: WorkQueue[Key]) -> Key | None:
        owner = controller_of(manifest)
        if owner is None or owner["kind"] != kind:
            return None
        key = (manifest["metadata"]["namespace"], owner["name"])
        queue.add(key)
        return key

    def on_pod(pod: Manifest) -> None:
        key = add_owner(pod, "ReplicaSet", replica_set_queue)
        # The Deployment, too: Recreate waits for the last pod of an old ReplicaSet to go.
        if key is not None and key in replica_sets.objects:
            add_owner(replica_sets.objects[key], "Deployment", deployment_queue)

    def on_replica_set(replica_set: Manifest) -> None:
        replica_set_queue.add(key_of(replica_set))
        add_owner(replica_set, "Deployment", deployment_queue)

    deployments.listen(lambda deployment: deployment_queue.add(key_of(deployment)))
    replica_sets.listen(on_replica_set)
    pods.listen(on_pod)
    pods.listen(scheduler.wake)
    nodes.listen(scheduler.wake)

    async with asyncio.TaskGroup() as tasks:
        for resource, cache in caches.items():
            run_forever(tasks, cache.run(), name=f"{resource.plural} cache")
        for cache in caches.values():
            await cache.synced.wait()
        for number in range(_WORKERS_PER_QUEUE):
            run_forever(tasks, work(deployment_queue, for_deployments.reconcile, _report), name=f"deployments {number}")
            run_forever(
                tasks, work(replica_set_queue, for_replica_sets.reconcile, _report), name=f"replicasets {number}"
            )
        run_forever(tasks, scheduler.run(), name="scheduler")


def _report(key: Key, failure: Exception, retry_in_seconds: float) -> None:
    if isinstance(failure, KubeError):
        log.info("reconcile refused", key=key, problem=failure.message, retry_in_seconds=round(retry_in_seconds, 1))
    else:
        log.error("reconcile failed", key=key, retry_in_seconds=round(retry_in_seconds, 1), exc_info=failure)
