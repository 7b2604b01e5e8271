"""All groups of the tenant: follows the RunnerGroup objects and keeps one unit for each.

Status is written by one worker per key with a short debounce, so that a burst of changes is one write.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.runnergroups.announcements import decide_announcements
from actions_gateway.agent.runnergroups.status import GroupFacts, decide_status
from actions_gateway.agent.runnergroups.unit import GroupUnit
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.api.names import AGENT_STATUS_FIELDS
from actions_gateway.engine.workqueue import WorkQueue, work
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.errors import NotFound
from actions_gateway.kube.listwatch import Change, ChangeType, list_watch
from actions_gateway.kube.resources import RUNNERGROUPS
from actions_gateway.metrics.catalog import (
    CONTROLLER_RUNTIME_RECONCILE_ERRORS,
    RECONCILE_DURATION,
    RECONCILE_ERRORS,
    RECONCILE_FAILING_OBJECTS,
    RECONCILE_TOTAL,
    WORKQUEUE_DEPTH,
)

log = structlog.get_logger(__name__)

CONTROLLER = "runnergroup"
_GAUGE_SECONDS = 5.0


class GroupUnits:
    """The units by name of their group."""

    def __init__(
        self,
        client: KubeClient,
        *,
        parts: SessionParts,
        services: JobServices,
        tasks: asyncio.TaskGroup,
        adopt: Callable[[list[int]], Coroutine[Any, Any, None]],
    ) -> None:
        self._client = client
        self._parts = parts
        self._services = services
        basics = self._basics = parts.basics
        self._clock = basics.clock
        self._tasks = tasks
        self._units: dict[str, GroupUnit] = {}
        self._retiring: set[GroupUnit] = set()
        self._queue: WorkQueue[str] = WorkQueue(clock=self._clock, rng=basics.rng)
        self._adopt = adopt
        """Takes over what an earlier agent left, given the groups' ceilings."""
        self._is_adopted = False
        self._is_synced = False
        self._are_reported = False
        self._is_closing = False
        basics.metrics.open(controller=CONTROLLER)
        basics.metrics.open(controller=CONTROLLER, resource=RUNNERGROUPS.plural)
        services.pods.listen(self._pod_changed)
        parts.registrar.listen(self._touch)

    # -- objects -------------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Keeps the units in step with the objects until cancelled."""
        # A claim made before the running workers are known could exceed the ceiling.
        await self._services.pods.synced.wait()
        basics = self._basics
        changes = list_watch(self._client, RUNNERGROUPS, basics.namespace, clock=basics.clock, rng=basics.rng)
        async for change in changes:
            if change.type is ChangeType.SYNCED and not self._is_synced:
                self._is_synced = True
                self._tasks.create_task(self._take_over(), name="adoption")
            elif not self._is_closing:
                self._take(change)

    async def _take_over(self) -> None:
        """Carries on what an earlier agent left; then the groups may claim."""
        started = self._clock.monotonic()
        await self._adopt([unit.admission.ceiling for unit in self._units.values()])
        self._is_adopted = True
        jobs = sum(len(unit.jobs) for unit in self._units.values())
        log.info("earlier jobs taken over", jobs=jobs, seconds=round(self._clock.monotonic() - started, 3))
        for unit in self._units.values():
            unit.adopted()

    def by_uid(self, uid: str) -> GroupUnit | None:
        """The unit of the object with that uid; None when there is none, or it goes."""
        return next((unit for unit in self._units.values() if unit.uid == uid), None)

    def _take(self, change: Change) -> None:
        name, uid = change.object["metadata"]["name"], change.object["metadata"]["uid"]
        unit = self._units.get(name)
        if unit is not None and (change.type is ChangeType.DELETED or unit.uid != uid):
            self._retire(unit)
            unit = None
        if change.type is ChangeType.DELETED:
            return
        if unit is None:
            log.info("runner group found", runner_group=name)
            self._units[name] = GroupUnit(
                change.object,
                parts=self._parts,
                services=self._services,
                tasks=self._tasks,
                is_adopted=self._is_adopted,
                on_change=lambda: self._touch(name),
            )
        elif _moved(unit.manifest, change.object):
            unit.update(change.object)
        else:
            unit.manifest = change.object
        self._services.reruns.ask(change.object)
        self._touch(name)

    def _retire(self, unit: GroupUnit) -> None:
        log.info("runner group gone", runner_group=unit.name)
        del self._units[unit.name]
        self._retiring.add(unit)
        self._tasks.create_task(self._wind_down(unit), name=f"wind down {unit.name}")

    async def _wind_down(self, unit: GroupUnit) -> None:
        await unit.wind_down()
        self._retiring.discard(unit)
        if all(other.name != unit.name for other in self.all()):
            self._basics.metrics.close(namespace=self._basics.namespace, runner_group=unit.name)

    def _pod_changed(self, view: PodView) -> None:
        for unit in [self._units.get(view.group), *self._retiring]:
            if unit is not None and unit.name == view.group:
                unit.pod_changed(view)

    def by_name(self, group: str) -> GroupUnit | None:
        """The unit of a group; None when it is gone."""
        return self._units.get(group)

    def all(self) -> list[GroupUnit]:
        """Every unit, those of deleted groups included."""
        return [*self._retiring, *self._units.values()]

    async def close(self) -> None:
        """Claims nothing more, closes every session, and returns when what was claimed has its pod."""
        self._is_closing = True
        async with asyncio.TaskGroup() as tasks:
            for unit in self.all():
                tasks.create_task(unit.close(), name=f"close {unit.name}")
        for job in [job for unit in self.all() for job in unit.jobs]:
            await job.leave()

    @property
    def are_reported(self) -> bool:
        """Whether no status rests on an earlier agent's report: each was written since the credential was judged."""
        is_known = self._is_synced and self._parts.tokens.verdict.is_known
        self._are_reported |= is_known and all(unit.is_reported for unit in self._units.values())
        return self._are_reported

    # -- status --------------------------------------------------------------------------------------------------

    def touch_all(self) -> None:
        """Something that every group's status shows has changed."""
        for name in self._units:
            self._touch(name)

    def _touch(self, name: str) -> None:
        self._queue.add_after(name, self._basics.tunables.status_debounce_seconds)

    async def write_statuses(self) -> None:
        """Works the groups' statuses until cancelled."""
        await work(self._queue, self._reconcile, self._reconcile_failed)

    async def _reconcile(self, name: str) -> float | None:
        started = self._clock.monotonic()
        if (unit := self._units.get(name)) is not None:
            unit.report()
            # An edit that comes while the status is written was not told with it.
            facts, generation = self._facts(unit), unit.generation
            patch = decide_status(unit.manifest, facts, now=self._clock.now())
            if patch is not None:
                if (wait := self._repair_in_seconds(unit, facts)) > 0:
                    return wait
                await self._write(unit, patch)
                unit.told, unit.told_at = (facts, generation), started
            unit.is_reported = facts.verdict.is_known
        self._measure(started)
        return None if unit is None else self._until_sustained(unit)

    def _repair_in_seconds(self, unit: GroupUnit, facts: GroupFacts) -> float:
        """How long what somebody else wrote over this agent's words is left to stand; nothing when they are new."""
        if unit.told != (facts, unit.generation):
            return 0.0
        return unit.told_at + self._basics.tunables.status_repair_seconds - self._clock.monotonic()

    def _limited_seconds(self, unit: GroupUnit) -> float | None:
        since = unit.acquirer.limited_since
        return None if since is None else self._clock.monotonic() - since

    def _until_sustained(self, unit: GroupUnit) -> float | None:
        """When a limit that lasts until then is to be told: time alone changes the status."""
        limited, sustained = self._limited_seconds(unit), self._basics.tunables.sustained_limit_seconds
        return sustained - limited if limited is not None and limited < sustained else None

    def _facts(self, unit: GroupUnit) -> GroupFacts:
        acquirer, tokens, limited = unit.acquirer, self._parts.tokens, self._limited_seconds(unit)
        return GroupFacts(
            is_suspended=unit.settings.suspended,
            spec_problem=unit.spec_problem,
            active_sessions=acquirer.active,
            busy_sessions=acquirer.busy,
            active_jobs=unit.active_jobs,
            pending_jobs=unit.pending_jobs,
            registrations=unit.registrations,
            is_rate_limited=limited is not None and limited >= self._basics.tunables.sustained_limit_seconds,
            session_problem=acquirer.problem,
            silence=acquirer.silence,
            verdict=tokens.verdict,
            credential=tokens.status,
            version_problem=acquirer.version_problem,
            runner_version=self._parts.broker.platform.version,
            worker_image=unit.settings.worker_image or self._services.site.worker_image,
            rejection=acquirer.rejection,
            quota_problem=unit.quota_problem,
            waits=unit.waits,
            template_refusal=unit.template_refusal,
            refusals=tuple(job.refusal for job in unit.jobs if job.refusal and not job.has_ended),
        )

    async def _write(self, unit: GroupUnit, patch: dict[str, object]) -> None:
        try:
            written = await self._client.patch(
                RUNNERGROUPS,
                unit.name,
                patch,
                namespace=self._basics.namespace,
                subresource="status",
                field_manager=AGENT_STATUS_FIELDS,
            )
        except NotFound:
            return
        if written["metadata"]["uid"] != unit.uid:
            return
        # Known before the watch says so, or the next decision would compare with a state that is no more.
        before, unit.manifest = unit.manifest, {**unit.manifest, "status": written.get("status") or {}}
        for news in decide_announcements(before, unit.manifest):
            record = self._services.events.record
            await record(unit.manifest, news.reason, news.message, action="Observe", warning=news.is_warning)

    def _measure(self, started: float) -> None:
        metrics = self._basics.metrics
        metrics.inc(RECONCILE_TOTAL, controller=CONTROLLER, result="success")
        metrics.observe(RECONCILE_DURATION, self._clock.monotonic() - started, controller=CONTROLLER)
        metrics.set(RECONCILE_FAILING_OBJECTS, self._queue.failing, controller=CONTROLLER)
        metrics.set(WORKQUEUE_DEPTH, len(self._queue), controller=CONTROLLER)

    def _reconcile_failed(self, name: str, problem: Exception, retry_in_seconds: float) -> None:
        metrics = self._basics.metrics
        metrics.inc(RECONCILE_TOTAL, controller=CONTROLLER, result="error")
        metrics.inc(RECONCILE_ERRORS, controller=CONTROLLER, resource=RUNNERGROUPS.plural)
        metrics.inc(CONTROLLER_RUNTIME_RECONCILE_ERRORS, controller=CONTROLLER)
        metrics.set(RECONCILE_FAILING_OBJECTS, self._queue.failing, controller=CONTROLLER)
        log.warning(
            "status not written", runner_group=name, problem=str(problem), retry_in_seconds=round(retry_in_seconds, 1)
        )

    async def report_gauges(self) -> None:
        """Keeps gauges that move with time alone current, until cancelled."""
        while True:
            await self._clock.sleep(_GAUGE_SECONDS)
            for unit in self.all():
                unit.report()


def _moved(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether more than the status changed."""
    fields = ("generation", "deletionTimestamp")
    return any(before["metadata"].get(field) != after["metadata"].get(field) for field in fields)
