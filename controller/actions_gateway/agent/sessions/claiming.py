"""Claiming one delivered job: the slot first, then the acknowledgement, then the claim itself.

The slot's Secret exists before GitHub gives the job away, so that an agent that dies in between can be followed by one
that knows of it. A claim is never cut in half: whoever starts one lets it end.
"""

from datetime import datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Reservation
from actions_gateway.agent.jobs.slots import ResumeState, Slot
from actions_gateway.agent.sessions.connection import Connection, RegistrationSpent
from actions_gateway.agent.sessions.deliveries import Waiting
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.api import labels
from actions_gateway.github.errors import (
    AlreadyClaimed,
    DeliveryGone,
    GitHubError,
    RateLimited,
    Transient,
    VersionTooOld,
)
from actions_gateway.github.messages import JobRequest
from actions_gateway.github.runservice import AcquiredJob, Annotation, Conclusion, RunService
from actions_gateway.kube.errors import KubeError
from actions_gateway.metrics.catalog import JOB_ACQUISITION_ERRORS, JOBS_ACQUIRED

log = structlog.get_logger(__name__)

_RETRY_PAUSE_SECONDS = 1.0


class ClassicJobService:
    """The run service's side of one acquired job."""

    def __init__(self, run_service: RunService, job: AcquiredJob) -> None:
        self._run_service = run_service
        self._job = job

    async def renew(self) -> datetime | None:
        return await self._run_service.renew(self._job)

    async def complete(self, conclusion: str, *, title: str, message: str) -> None:
        annotation = Annotation(message=message, title=title)
        await self._run_service.complete(self._job, Conclusion(conclusion), [annotation])


class Claimer:
    """Claims what is delivered to one connection."""

    def __init__(self, connection: Connection, group: Group, parts: SessionParts) -> None:
        self._connection = connection
        self._group = group
        self._parts = parts
        self._runner = connection.registration
        basics = self._basics = parts.basics
        self._labels = basics.labels_of(group.name)

    async def claim(self, request: JobRequest, reservation: Reservation, waiting: Waiting) -> ClaimedJob | None:
        """Claims the job for the place that `reservation` holds; None when that has to wait.

        Raises RegistrationSpent when GitHub was asked in vain: the registration may be used up even by a refused claim,
        and a delivery that was acknowledged and not claimed keeps its session from other jobs.
        """
        parts, bound = self._parts, log.bind(**self._labels, runner=self._runner.name, request_id=request.request_id)
        try:
            slot = await parts.slots.take(self._resume_state(request, waiting))
        except KubeError as problem:
            self._count_failure("other")
            bound.warning("job not claimed: no slot", problem=problem.message)
            return None
        acquired = await self._acquire(request, bound)
        if acquired is not None and acquired.plan_id not in parts.plans:
            parts.plans.add(acquired.plan_id)
            self._basics.metrics.inc(JOBS_ACQUIRED, 1, **self._labels)
            bound.info("job claimed", plan_id=acquired.plan_id, slot=slot.name)
            return self._claimed(acquired, reservation, waiting, slot)
        await parts.slots.release(slot)
        if acquired is not None:
            bound.warning("job delivered twice: it runs already", plan_id=acquired.plan_id)
        raise RegistrationSpent("its claim failed")

    async def _acquire(self, request: JobRequest, bound: FilteringBoundLogger) -> AcquiredJob | None:
        """Repeats the same request id after an answer that leaves open whether the job is ours."""
        clock, tunables = self._basics.clock, self._basics.tunables
        try:
            if request.should_acknowledge:
                await self._connection.acknowledge(request)
            for _ in range(tunables.acquire_attempts - 1):
                try:
                    return await self._connection.acquire(request)
                except RateLimited as problem:
                    await clock.sleep(min(problem.wait_seconds, tunables.claim_window_seconds / 2))
                except Transient:
                    await clock.sleep(_RETRY_PAUSE_SECONDS)
            return await self._connection.acquire(request)
        except GitHubError as problem:
            reason = _reason(problem)
            self._count_failure(reason)
            bound.warning("job not claimed", reason=reason, problem=str(problem))
            return None

    def _resume_state(self, request: JobRequest, waiting: Waiting) -> ResumeState:
        age = timedelta(seconds=self._basics.clock.monotonic() - waiting.first_delivered)
        return ResumeState(
            request_id=request.request_id,
            run_service_url=request.run_service_url,
            billing_owner_id=request.billing_owner_id,
            runner_id=self._runner.runner_id,
            runner_name=self._runner.name,
            group=self._group.name,
            group_uid=self._group.uid,
            jit_config=self._runner.jit.blob,
            delivered_at=self._basics.clock.now() - age,
            agent=self._basics.agent,
        )

    def _claimed(self, job: AcquiredJob, reservation: Reservation, waiting: Waiting, slot: Slot) -> ClaimedJob:
        now, identity, jit = self._basics.clock.monotonic(), job.identity, self._runner.jit
        return ClaimedJob(
            plan_id=job.plan_id,
            job_id=job.job_id,
            request_id=job.request_id,
            runner_name=self._runner.name,
            annotations={
                labels.REPOSITORY: identity.repository,
                labels.RUN_ID: _text(identity.run_id),
                labels.RUN_ATTEMPT: _text(identity.run_attempt),
                labels.JOB_NAME: identity.job_name,
            },
            worker_keys={
                "payload": job.payload,
                "plan-id": job.plan_id.encode(),
                "runner": jit.runner_file,
                "credentials": jit.credentials_file,
            },
            slot=slot,
            reservation=reservation,
            service=ClassicJobService(self._parts.run_service, job),
            claimed=now,
            first_delivered=waiting.first_delivered,
            held_seconds=waiting.held_seconds,
        )

    def _count_failure(self, reason: str) -> None:
        self._basics.metrics.inc(JOB_ACQUISITION_ERRORS, 1, **self._labels, reason=reason)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _reason(problem: GitHubError) -> str:
    match problem:
        case AlreadyClaimed():
            return "already_claimed"
        case DeliveryGone():
            return "delivery_window_expired"
        case VersionTooOld():
            return "version_too_old"
        case Transient() | RateLimited():
            return "acquirejob_failed"
        case _:
            return "other"
