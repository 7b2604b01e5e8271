"""Removing what jobs leave behind: ended pods after their time to be read, and the Secrets of an earlier agent's jobs.

Level-triggered on the pods themselves, so that a restart forgets nothing. The Secret of a job of ours is freed by the
job's own task.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.pods import WorkerPods
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.writing import delete_own
from actions_gateway.engine.workqueue import WorkQueue, work
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import PODS
from actions_gateway.metrics.catalog import WORKER_PODS_REAPED

log = structlog.get_logger(__name__)


class Reaper:
    """Works the ended pods of the namespace."""

    def __init__(
        self,
        client: KubeClient,
        pods: WorkerPods,
        slots: Slots,
        basics: Basics,
        *,
        ttl_of: Callable[[str], float | None],
    ) -> None:
        self._client = client
        self._pods = pods
        self._slots = slots
        self._basics = basics
        self._clock = basics.clock
        self._ttl_of = ttl_of
        """Seconds that an ended pod of a group stays; None for a group that is gone, whose pods go with it."""
        self._queue: WorkQueue[str] = WorkQueue(clock=basics.clock, rng=basics.rng)
        self._seen_ended: dict[str, datetime] = {}
        """When an ended pod was first looked at, by uid: for those whose container tells no time."""
        self._orphaned: dict[str, PodView] = {}
        """Pods of an earlier agent that have ended and whose Secret is still there, by name."""
        pods.listen(self._pod_changed)

    def _pod_changed(self, view: PodView) -> None:
        if view.has_ended and view.slot and view.uid in self._pods.inherited:
            self._orphaned[view.name] = view
        if view.is_gone:
            self._seen_ended.pop(view.uid, None)
        if view.has_ended:
            self._queue.add(view.name)

    async def run(self) -> None:
        """Reaps until cancelled."""
        await work(self._queue, self._reap, self._failed)

    async def _reap(self, name: str) -> float | None:
        if (orphan := self._orphaned.get(name)) is not None:
            await self._slots.release_inherited(orphan.slot, orphan.slot_uid)
            del self._orphaned[name]
        view = self._pods.get(name)
        if view is None or not view.has_ended or view.is_deleting:
            return None
        ttl = self._ttl_of(view.group)
        if ttl is None:
            return None
        ended_at = view.finished_at or self._seen_ended.setdefault(view.uid, self._clock.now())
        left = (ended_at + timedelta(seconds=ttl) - self._clock.now()).total_seconds()
        if left > 0:
            return left
        await self._delete(view)
        return None

    async def _delete(self, view: PodView) -> None:
        if not await delete_own(self._client, PODS, view.name, namespace=self._basics.namespace, uid=view.uid):
            return
        labels = self._basics.labels_of(view.group)
        self._basics.metrics.inc(WORKER_PODS_REAPED, 1, **labels, reason="completed_ttl")
        log.info("worker pod reaped", pod=view.name, runner_group=view.group)

    def _failed(self, name: str, problem: Exception, retry_in_seconds: float) -> None:
        retry_in = round(retry_in_seconds, 1)
        log.warning("worker pod not reaped", pod=name, problem=str(problem), retry_in_seconds=retry_in)
