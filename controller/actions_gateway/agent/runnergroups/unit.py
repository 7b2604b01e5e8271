"""One RunnerGroup at work: its admission, its acquirer and its jobs, bound to the object's current spec."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from pydantic import ValidationError

from actions_gateway.agent.jobs.acquirer import Acquirer, AcquirerState, ClaimedJob
from actions_gateway.agent.jobs.admission import Admission
from actions_gateway.agent.jobs.job import Job
from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.template import template_problem
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.pool import SessionPool
from actions_gateway.api.runnergroup import GroupSettings, RunnerGroupSpec
from actions_gateway.metrics.catalog import (
    JOBS_IN_FLIGHT,
    LAST_POLL_TIMESTAMP,
    LOCK_REMAINING,
    WORKER_CEILING,
    WORKER_SLOTS_FREE,
    WORKERS,
)

log = structlog.get_logger(__name__)


class GroupUnit:
    """The runtime of one RunnerGroup object; another object of the same name is another unit."""

    def __init__(
        self,
        manifest: dict[str, Any],
        *,
        parts: SessionParts,
        services: JobServices,
        tasks: asyncio.TaskGroup,
        on_change: Callable[[], None],
    ) -> None:
        self.name = str(manifest["metadata"]["name"])
        self.uid = str(manifest["metadata"]["uid"])
        self.manifest = manifest
        self.spec_problem = ""
        self._spec: RunnerGroupSpec | None = None
        self._services = services
        self._registrar = parts.registrar
        self._tasks = tasks
        self._on_change = on_change
        self._jobs: dict[str, Job] = {}
        """By the name of their pods."""
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_known = False
        """Its object was looked at before."""
        self.is_reported = False
        """Its status was written, or needed no writing, since the credential was judged."""
        self._labels = parts.basics.labels_of(self.name)
        services.basics.metrics.open(**self._labels)
        services.basics.metrics.set(LAST_POLL_TIMESTAMP, services.basics.clock.now().timestamp(), **self._labels)
        self.admission = Admission()
        self._acquirer: Acquirer = SessionPool(self, self.admission, parts, accept=self._accept, on_change=self.changed)
        self.update(manifest)
        tasks.create_task(self._acquirer.run(), name=f"sessions {self.name}")

    # -- the object ----------------------------------------------------------------------------------------------

    def update(self, manifest: dict[str, Any]) -> None:
        """Takes the object's current state; an unusable spec stops claims and keeps running jobs as they are."""
        self.manifest = manifest
        try:
            spec = RunnerGroupSpec.model_validate(manifest.get("spec") or {})
            self.spec_problem = template_problem(spec.pod_template or {})
            self._spec = self._spec if self.spec_problem else spec
        except ValidationError as problem:
            self.spec_problem = _first_problem(problem)
        if self.spec_problem:
            log.warning("runner group has an unusable spec", runner_group=self.name, problem=self.spec_problem)
        settings, is_deleting = self.settings, bool(manifest["metadata"].get("deletionTimestamp"))
        was_open = self.admission.is_open or not self._is_known
        self._is_known = True
        # The acquirer looks at everything anew when its places may have moved.
        self.admission.configure(
            ceiling=settings.worker_ceiling,
            tiers=settings.priority_tiers or (),
            is_open=not (settings.suspended or self.spec_problem or is_deleting),
        )
        if self.admission.is_open:
            self._registrar.reopen(self.uid)
        elif was_open:
            self._registrar.sweep(self.name, self.uid)
        self.changed()

    @property
    def settings(self) -> GroupSettings:
        """The last usable spec."""
        return self._spec or _CLOSED

    # -- jobs ----------------------------------------------------------------------------------------------------

    def _accept(self, claimed: ClaimedJob) -> None:
        job = Job(claimed, self, self._services, on_change=self.changed)
        self._jobs[job.worker.name] = job
        self._is_idle.clear()
        self._tasks.create_task(self._run(job), name=f"job {job.worker.name}")
        self.changed()

    async def _run(self, job: Job) -> None:
        try:
            await job.run()
        finally:
            self._jobs.pop(job.worker.name, None)
            self._registrar.ended(job.runner_name)
            self.changed()
            if not self._jobs:
                self._is_idle.set()

    def pod_changed(self, view: PodView) -> None:
        """One of the group's pods changed."""
        if (job := self._jobs.get(view.name)) is not None:
            job.pod_changed(view)
        self.changed()

    def _inherited(self) -> list[PodView]:
        pods = self._services.pods
        return [view for view in pods.of_group(self.name) if view.uid in pods.inherited and not view.has_ended]

    @property
    def jobs(self) -> list[Job]:
        """The jobs whose tasks have not ended."""
        return list(self._jobs.values())

    # -- facts ---------------------------------------------------------------------------------------------------

    @property
    def acquirer(self) -> AcquirerState:
        """What the acquirer does now."""
        return self._acquirer.state

    @property
    def active_jobs(self) -> int:
        """Claimed jobs that have not ended, an earlier agent's included."""
        return sum(not job.has_ended for job in self._jobs.values()) + len(self._inherited())

    @property
    def pending_jobs(self) -> int:
        """Jobs delivered or claimed that do not run yet."""
        unstarted = sum(not job.is_running and not job.has_ended for job in self._jobs.values())
        return self._acquirer.state.pending_jobs + unstarted

    @property
    def registrations(self) -> int | None:
        """Runners at GitHub that have not ended: known ones, and those of an earlier agent's jobs; None if unknown."""
        # While the group is open, what comes and goes in a moment would only be noise in its status.
        known = self._registrar.count(self.uid, with_uncertain=not self.admission.is_open)
        return None if known is None else known + len(self._inherited())

    def changed(self) -> None:
        """Something about the group moved: its places, its gauges and its status follow."""
        self.admission.inherit(len(self._inherited()))
        self.report()
        self._on_change()

    def report(self) -> None:
        """Sets the gauges."""
        metrics = self._services.basics.metrics
        metrics.set(JOBS_IN_FLIGHT, self.active_jobs, **self._labels)
        metrics.set(WORKER_CEILING, self.admission.ceiling, **self._labels)
        metrics.set(WORKER_SLOTS_FREE, self.admission.free, **self._labels)
        live = [view.phase for view in self._services.pods.of_group(self.name) if not view.has_ended]
        for phase in ("Pending", "Running"):
            metrics.set(WORKERS, live.count(phase), **self._labels, phase=phase)
        locks = [job.renewal.remaining_seconds for job in self._jobs.values() if not job.has_ended]
        metrics.set(LOCK_REMAINING, min(locks, default=float("inf")), **self._labels)

    # -- end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Claims nothing more and closes the sessions; jobs go on."""
        await self._acquirer.close()

    async def wind_down(self) -> None:
        """Closes and returns when the last job has ended."""
        await self.close()
        await self._is_idle.wait()


_CLOSED = GroupSettings.model_construct(runner_labels=["none"], suspended=True)
"""What a group without a usable spec is treated as."""


def _first_problem(problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in ("spec", *first["loc"]))
    return f"{where}: {first['msg']}"
