"""Removing what jobs leave behind: ended pods after their time to be read, and workers that nobody stands behind.

Level-triggered on the pods themselves, so that a restart forgets nothing. A pod outlives the slot of its job, so that
whoever finds a slot without a pod knows that the worker was taken away.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.recovery.rerunning import loss_of
from actions_gateway.agent.writing import delete_own
from actions_gateway.api import labels
from actions_gateway.api.ledger import Cause
from actions_gateway.engine.workqueue import WorkQueue, work
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import PODS
from actions_gateway.metrics.catalog import WORKER_PODS_REAPED

log = structlog.get_logger(__name__)

_HELD_SECONDS = 5.0
_ORPHANED = "orphaned"


class Reaper:
    """Works the pods of the namespace that have ended or are nobody's."""

    def __init__(
        self,
        client: KubeClient,
        services: JobServices,
        *,
        group_of: Callable[[str], Group | None],
        has_read: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._services = services
        self._pods = services.pods
        self._slots = services.slots
        self._basics = services.basics
        self._clock = services.basics.clock
        self._group_of = group_of
        """By name; None for a group that is gone, whose pods go with it."""
        self._has_read = has_read
        """Whether adoption has looked at a slot: until then the slot's pod tells what became of its job."""
        self._queue: WorkQueue[str] = WorkQueue(clock=self._clock, rng=self._basics.rng)
        self._seen: dict[str, datetime] = {}
        """When a pod was first looked at, by uid: for what tells no time by itself."""
        self._pods.listen(self._pod_changed)

    def _pod_changed(self, view: PodView) -> None:
        if view.is_gone:
            self._seen.pop(view.uid, None)
        if view.has_ended or not self._slots.holds(view.slot, view.slot_uid):
            self._queue.add(view.name)

    async def run(self) -> None:
        """Reaps until cancelled."""
        await work(self._queue, self._reap, self._failed)

    async def _reap(self, name: str) -> float | None:
        view = self._pods.get(name)
        group = self._group_of(view.group) if view is not None else None
        if view is None or view.is_deleting:
            return None
        if group is None or not self._has_read(view.slot):
            # At the start pods are known before their groups; later they go with a group that is gone.
            return _HELD_SECONDS
        return await (self._reap_ended(view, group) if view.has_ended else self._reap_orphan(view, group))

    async def _reap_ended(self, view: PodView, group: Group) -> float | None:
        ttl = group.settings.completed_pod_ttl_seconds
        ended_at = view.finished_at or self._seen.setdefault(view.uid, self._clock.now())
        left = (ended_at + timedelta(seconds=ttl) - self._clock.now()).total_seconds()
        if left <= 0 and not self._slots.holds(view.slot, view.slot_uid):
            await self._delete(view, "completed_ttl")
            return None
        return max(left, _HELD_SECONDS)

    async def _reap_orphan(self, view: PodView, group: Group) -> float | None:
        """A worker whose lock nobody renews: its job's Secret is gone, so that it cannot be adopted."""
        if self._slots.holds(view.slot, view.slot_uid):
            return None
        since = self._seen.setdefault(view.uid, self._clock.now())
        left = (since + timedelta(seconds=self._basics.tunables.orphan_seconds) - self._clock.now()).total_seconds()
        if left > 0:
            return left
        if await self._slots.exists(view.slot, view.slot_uid):
            return self._basics.tunables.orphan_seconds
        await self._services.reruns.lost(loss_of(group, view.identity, view.runner, Cause.DELETION))
        stamp = {"metadata": {"uid": view.uid, "annotations": {labels.DELETION_REASON: _ORPHANED}}}
        await self._client.patch(PODS, view.name, stamp, namespace=self._basics.namespace)
        await self._delete(view, _ORPHANED)
        return None

    async def _delete(self, view: PodView, reason: str) -> None:
        if not await delete_own(self._client, PODS, view.name, namespace=self._basics.namespace, uid=view.uid):
            return
        self._basics.metrics.inc(WORKER_PODS_REAPED, 1, **self._basics.labels_of(view.group), reason=reason)
        log.info("worker pod reaped", pod=view.name, runner_group=view.group, reason=reason)

    def _failed(self, name: str, problem: Exception, retry_in_seconds: float) -> None:
        retry_in = round(retry_in_seconds, 1)
        log.warning("worker pod not reaped", pod=name, problem=str(problem), retry_in_seconds=retry_in)
