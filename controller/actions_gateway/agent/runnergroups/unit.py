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
from actions_gateway.agent.jobs.pod import sample_worker
from actions_gateway.agent.jobs.proof import TemplateProof
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.template import template_problem
from actions_gateway.agent.runnergroups.status import GroupFacts
from actions_gateway.agent.runnergroups.waits import Wait, decide_waits, news_of, quota_problem, report_waits
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.agent.sessions.pool import SessionPool
from actions_gateway.api.runnergroup import GroupSettings, RunnerGroupSpec
from actions_gateway.metrics.catalog import (
    JOBS_IN_FLIGHT,
    LAST_POLL_TIMESTAMP,
    LOCK_REMAINING,
    RATE_LIMITED_SINCE,
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
        is_adopted: bool,
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
        self._foreign: dict[str, None] = {}
        """Workers that no job of this agent stands behind: an earlier agent's, or one's that lives beside it."""
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_adopted = is_adopted
        """What an earlier agent left was taken over; before, nothing is claimed."""
        self._is_known = False
        """Its object was looked at before."""
        self.told: tuple[GroupFacts, int] | None = None
        """The facts and the generation that its status was last written for."""
        self.told_at = 0.0
        self.is_reported = False
        """Its status was written, or needed no writing, since the credential was judged."""
        self._labels = parts.basics.labels_of(self.name)
        services.basics.metrics.open(**self._labels)
        services.basics.metrics.set(LAST_POLL_TIMESTAMP, services.basics.clock.now().timestamp(), **self._labels)
        # Zero would say that a job's lock is at its end.
        services.basics.metrics.set(LOCK_REMAINING, float("inf"), **self._labels)
        for view in services.pods.of_group(self.name):
            self._look_at(view)
        self.admission = Admission(services.basics, services.headroom)
        self._proof = TemplateProof(self, services.client, services.site, parts.basics, on_change=self.changed)
        self._acquirer: Acquirer = SessionPool(self, self.admission, parts, accept=self._accept, on_change=self.changed)
        self.update(manifest)
        tasks.create_task(self._acquirer.run(), name=f"sessions {self.name}")
        self._proving = tasks.create_task(self._proof.run(), name=f"template {self.name}")

    # -- the object ----------------------------------------------------------------------------------------------

    def adopted(self) -> None:
        """What an earlier agent left was taken over: the group may claim."""
        self._is_adopted = True
        self.update(self.manifest)

    def update(self, manifest: dict[str, Any]) -> None:
        """Takes the object's current state; an unusable spec stops claims and keeps running jobs as they are."""
        self.manifest = manifest
        self._services.reruns.know(manifest)
        try:
            spec = RunnerGroupSpec.model_validate(manifest.get("spec") or {})
            self.spec_problem = template_problem(spec.pod_template or {})
            self._spec = self._spec if self.spec_problem else spec
        except ValidationError as problem:
            self.spec_problem = spec_problem(problem)
        if self.spec_problem:
            log.warning("runner group has an unusable spec", runner_group=self.name, problem=self.spec_problem)
        settings, is_deleting = self.settings, bool(manifest["metadata"].get("deletionTimestamp"))
        was_open = self.admission.is_open or not self._is_known
        self._is_known |= self._is_adopted
        # The acquirer looks at everything anew when its places may have moved.
        self.admission.configure(
            ceiling=settings.worker_ceiling,
            tiers=settings.priority_tiers or (),
            is_open=self._is_adopted and not (settings.suspended or self.spec_problem or is_deleting),
            worker=sample_worker(settings, self._services.site),
        )
        self._proof.changed()
        if self.admission.is_open:
            self._registrar.reopen(self.uid)
        elif was_open and self._is_adopted:
            self._registrar.sweep(self.name, self.uid)
        self.changed()

    @property
    def generation(self) -> int:
        """Of its object's spec."""
        return int(self.manifest["metadata"].get("generation") or 0)

    @property
    def template_refusal(self) -> str:
        """Why the API server would not admit its workers; empty when it would."""
        return self._proof.problem if self._spec else ""

    @property
    def settings(self) -> GroupSettings:
        """The last usable spec."""
        return self._spec or _CLOSED

    # -- jobs ----------------------------------------------------------------------------------------------------

    def _accept(self, claimed: ClaimedJob) -> None:
        self.adopt(claimed, None)

    def adopt(self, claimed: ClaimedJob, found: PodView | None) -> None:
        """Carries a job on; `found` is the pod of one that an earlier agent claimed."""
        job = Job(claimed, self, self._services, on_change=self.changed, found=found)
        self._services.repositories.note(claimed.identity.repository, self.manifest)
        self._jobs[job.worker.name] = job
        self._foreign.pop(job.worker.name, None)
        self._is_idle.clear()
        self._tasks.create_task(self._run(job), name=f"job {job.worker.name}")
        self.changed()

    async def _run(self, job: Job) -> None:
        try:
            await job.run()
        finally:
            if self._jobs.get(job.worker.name) is job:
                del self._jobs[job.worker.name]
            if (view := self._services.pods.get(job.worker.name)) is not None:
                self._look_at(view)
            self._registrar.ended(job.runner_name)
            self.changed()
            if not self._jobs:
                self._is_idle.set()

    def pod_changed(self, view: PodView) -> None:
        """One of the group's pods changed."""
        if (job := self._jobs.get(view.name)) is not None:
            job.pod_changed(view)
        self._look_at(view)
        self.changed()

    def _look_at(self, view: PodView) -> None:
        if view.has_ended or view.name in self._jobs:
            self._foreign.pop(view.name, None)
        else:
            self._foreign[view.name] = None

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
        return sum(not job.has_ended for job in self._jobs.values()) + len(self._foreign)

    @property
    def pending_jobs(self) -> int:
        """Jobs delivered or claimed that do not run yet."""
        unstarted = sum(not job.is_running and not job.has_ended for job in self._jobs.values())
        return self._acquirer.state.pending_jobs + unstarted

    @property
    def registrations(self) -> int | None:
        """Runners at GitHub that have not ended: known ones, and those of an earlier agent's jobs; None if unknown."""
        if not self._is_adopted:
            return None
        # While the group is open, what comes and goes in a moment would only be noise in its status.
        known = self._registrar.count(self.uid, with_uncertain=not self.admission.is_open)
        return None if known is None else known + len(self._foreign)

    @property
    def quota_problem(self) -> str:
        """Why no job can be claimed until a person changes a quota or the template; empty when none is needed."""
        basics = self._services.basics
        patience, now = basics.tunables.quota_patience_seconds, basics.clock.monotonic()
        return quota_problem(self.admission, self.acquirer, now=now, patience_seconds=patience)

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What its jobs wait for, in the words last told where these only say it again."""
        clock, told = self._services.basics.clock, self.told[0].waits if self.told is not None else ()
        now = decide_waits(self.admission, self.acquirer, self.jobs, now=clock.now(), monotonic=clock.monotonic())
        return news_of(now, told)

    def changed(self) -> None:
        """Something about the group moved: its places, and soon its gauges and its status, follow."""
        self.admission.inherit(len(self._foreign))
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
        clock = self._services.basics.clock
        admission, acquirer, now = self.admission, self.acquirer, clock.monotonic()
        limited_since = acquirer.limited_since
        began = 0.0 if limited_since is None else clock.now().timestamp() - (now - limited_since)
        metrics.set(RATE_LIMITED_SINCE, began, **self._labels)
        report_waits(metrics, self._labels, admission=admission, acquirer=acquirer, jobs=self.jobs, now=now)

    # -- end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Claims nothing more and closes the sessions; jobs go on."""
        await self._acquirer.close()

    async def wind_down(self) -> None:
        """Closes and returns when the last job has ended."""
        self._proving.cancel()
        await self.close()
        await self._is_idle.wait()


_CLOSED = GroupSettings.model_construct(runner_labels=["none"], suspended=True)
"""What a group without a usable spec is treated as."""


def spec_problem(problem: ValidationError) -> str:
    """The first rule that a spec breaks, after the path of its field."""
    first = problem.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in ("spec", *first["loc"]))
    return f"{where}: {first['msg']}"
