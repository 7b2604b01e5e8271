"""The loop around the reconcile: mirrors feed the queue, workers take keys, results are counted.

It runs while this replica leads. Every mirror has its first complete list before the first key is worked, so that no
decision rests on half a picture.
"""

import asyncio
import random

import structlog

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, MANAGER, PROXY
from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import run_forever
from actions_gateway.engine.workqueue import Lane, WorkQueue, work
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import KubeError
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.listwatch import list_watch
from actions_gateway.kube.resources import ACTIONSGATEWAYS, NAMESPACES, PODS, RESOURCEQUOTAS, Resource
from actions_gateway.manager.fleet.export import Fleet
from actions_gateway.manager.fleet.rollout import Rollout
from actions_gateway.manager.gateway.children import CHILD_KINDS
from actions_gateway.manager.gateway.mirror import Edit, Mirror, Mirrors
from actions_gateway.manager.gateway.reconcile import GatewayReconciler, ProvisioningIncomplete
from actions_gateway.manager.gateway.snapshot import Key
from actions_gateway.manager.gateway.triggers import concerned, delay_seconds, lane_of
from actions_gateway.metrics.catalog import (
    CONTROLLER_RUNTIME_RECONCILE_ERRORS,
    RECONCILE_DURATION,
    RECONCILE_ERRORS,
    RECONCILE_FAILING_OBJECTS,
    RECONCILE_TOTAL,
    WORKQUEUE_DEPTH,
)
from actions_gateway.metrics.registry import Metrics
from actions_gateway.settings import ManagerSettings

log = structlog.get_logger(__name__)

CONTROLLER = "actionsgateway"
"""The value of the label `controller`."""


class GatewayController:
    """Keeps every ActionsGateway as its tenant wants it."""

    def __init__(
        self, settings: ManagerSettings, *, client: KubeClient, clock: Clock, rng: random.Random, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._queue: WorkQueue[Key] = WorkQueue(clock=clock, rng=rng)
        self._mirrors: Mirrors = _mirrors()
        self._fleet = Fleet(metrics)
        self._rollout = Rollout(metrics, look_at=self._queue.add)
        self._first_round: set[Key] | None = None
        """What of the first list has not been passed over yet."""
        self._synced = asyncio.Event()
        self._reconciler = GatewayReconciler(
            settings,
            self._mirrors,
            client=client,
            clock=clock,
            events=EventRecorder(client, clock, component=MANAGER, instance=settings.pod_name),
            fleet=self._fleet,
            rollout=self._rollout,
            on_news=lambda resource, edit: self._look_around(self._mirrors[resource], edit),
        )
        metrics.open(controller=CONTROLLER)
        for resource in self._mirrors:
            metrics.open(controller=CONTROLLER, resource=resource.plural)

    @property
    def is_synced(self) -> bool:
        """Whether every mirror has had its first complete list."""
        return self._synced.is_set()

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for mirror in self._mirrors.values():
                run_forever(group, self._follow(mirror), name=f"watch {mirror.resource.plural}")
            await self._synced.wait()
            log.info("synced", gateways=len(self._mirrors[ACTIONSGATEWAYS]))
            self._first_round = set(self._mirrors[ACTIONSGATEWAYS].keys())
            self._end_first_round()
            for number in range(self._settings.workers):
                run_forever(
                    group, work(self._queue, self._handle, self._on_failure), name=f"gateway worker {number + 1}"
                )

    async def _follow(self, mirror: Mirror) -> None:
        changes = list_watch(
            self._client,
            mirror.resource,
            clock=self._clock,
            rng=self._rng,
            label_selector=mirror.label_selector,
            in_full=False,
        )
        async for change in changes:
            if edit := mirror.take(change):
                self._look_around(mirror, edit)
            if all(other.is_synced for other in self._mirrors.values()):
                self._synced.set()

    def _look_around(self, mirror: Mirror, edit: Edit) -> None:
        """Asks for a look at every gateway that a change concerns."""
        self._fleet.follow(mirror, edit)
        delay = delay_seconds(mirror.resource, edit)
        lane = lane_of(mirror.resource, edit) if self.is_synced else Lane.BACKLOG
        for key in concerned(self._mirrors, mirror.resource, edit):
            if delay:
                self._queue.add_after(key, delay)
            else:
                self._queue.add(key, lane)
        self._measure_queue()

    async def _handle(self, key: Key) -> float | None:
        started = self._clock.monotonic()
        try:
            again_after_seconds = await self._reconciler.reconcile(key)
        finally:
            self._metrics.observe(RECONCILE_DURATION, self._clock.monotonic() - started, controller=CONTROLLER)
            if self._first_round:
                self._first_round.discard(key)
                self._end_first_round()
        self._metrics.inc(RECONCILE_TOTAL, controller=CONTROLLER, result="success")
        self._queue.forget(key)
        self._measure_queue()
        return again_after_seconds

    def _end_first_round(self) -> None:
        if not self._first_round:
            self._fleet.begin()
            self._rollout.begin()

    def _on_failure(self, key: Key, problem: Exception, retry_in_seconds: float) -> None:
        namespace, name = key
        facts = {"namespace": namespace, "name": name, "retry_in_seconds": round(retry_in_seconds, 1)}
        failed: tuple[Resource, ...] = (ACTIONSGATEWAYS,)
        match problem:
            case ProvisioningIncomplete(failures=failures):
                failed = tuple(failure.resource for failure in failures)
                log.warning("provisioning incomplete", problem=str(problem), **facts)
            case KubeError(message=message):
                log.warning("status not written", problem=message, **facts)
            case _:
                log.error("reconcile failed", exc_info=problem, **facts)
        for resource in failed:
            self._metrics.inc(RECONCILE_ERRORS, controller=CONTROLLER, resource=resource.plural)
        self._metrics.inc(CONTROLLER_RUNTIME_RECONCILE_ERRORS, controller=CONTROLLER)
        self._metrics.inc(RECONCILE_TOTAL, controller=CONTROLLER, result="error")
        self._measure_queue()

    def _measure_queue(self) -> None:
        self._metrics.set(WORKQUEUE_DEPTH, len(self._queue), controller=CONTROLLER)
        self._metrics.set(RECONCILE_FAILING_OBJECTS, self._queue.failing, controller=CONTROLLER)


def _mirrors() -> Mirrors:
    """Gateways, namespaces and quotas of the whole cluster, children by the manager's label, pods by their app."""
    ours = f"{labels.MANAGED_BY}={labels.BY_MANAGER}"
    mirrors = [Mirror(ACTIONSGATEWAYS), Mirror(NAMESPACES), Mirror(RESOURCEQUOTAS)]
    mirrors.append(Mirror(PODS, label_selector=f"{labels.APP} in ({AGENT},{PROXY})"))
    mirrors += [Mirror(resource, label_selector=ours) for resource in CHILD_KINDS]
    return {mirror.resource: mirror for mirror in mirrors}
