"""Claiming one delivered job: the slot first, then the acknowledgement, then the claim itself.

The slot's Secret exists before GitHub gives the job away, so that an agent that dies in between can be followed by one
that knows of it. A claim is never cut in half: whoever starts one lets it end.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.admission import Reservation
from actions_gateway.agent.jobs.packing import packed
from actions_gateway.agent.jobs.slots import ResumeState, Slot
from actions_gateway.agent.sessions.connection import Connection, DeliveryOver, RegistrationSpent
from actions_gateway.agent.sessions.deliveries import Waiting
from actions_gateway.agent.sessions.parts import SessionParts
from actions_gateway.github.errors import (
    AlreadyClaimed,
    DeliveryGone,
    GitHubError,
    RateLimited,
    Transient,
    VersionTooOld,
)
from actions_gateway.github.jit import JitConfig
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

    async def complete(self, conclusion: str, *, title: str, message: str) -> bool:
        annotations = [] if conclusion == Conclusion.SUCCEEDED else [Annotation(message=message, title=title)]
        return await self._run_service.complete(self._job, Conclusion(conclusion), annotations)


@dataclass(slots=True)
class _Claim:
    """A claim under way."""

    refusal: VersionTooOld | None = None
    """Why no other claim would fare better."""
    is_over: bool = False
    """The job is another runner's, or GitHub has taken the delivery back."""
    is_open: bool = False
    """A request was not answered: the job may be ours, whatever the next answers say."""


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
        and a delivery that was acknowledged and not claimed keeps its session from other jobs. DeliveryOver says that
        nothing else is wrong. Raises VersionTooOld.
        """
        parts, bound = self._parts, log.bind(**self._labels, runner=self._runner.name, request_id=request.request_id)
        try:
            slot = await parts.slots.take(self._resume_state(request, waiting))
        except KubeError as problem:
            self._count_failure("other")
            bound.warning("job not claimed: no slot", problem=problem.message)
            return None
        claim = _Claim()
        acquired = await self._acquire(request, claim, bound)
        if acquired is not None and parts.plans.claim(acquired.plan_id):
            self._basics.metrics.inc(JOBS_ACQUIRED, 1, **self._labels)
            bound.info("job claimed", plan_id=acquired.plan_id, slot=slot.name)
            return self._claimed(acquired, reservation, waiting, slot)
        if acquired is None and claim.is_open:
            parts.look_for(self._group, self._runner.name, slot)
            raise RegistrationSpent("whether its claim was heard is not known")
        if acquired is not None:
            bound.warning("job delivered twice: it runs already", plan_id=acquired.plan_id)
            await parts.slots.keep_duplicate(slot, worker_keys(acquired, self._runner.jit))
            service, claimed = ClassicJobService(parts.run_service, acquired), self._basics.clock.monotonic()
            parts.plans.join(acquired.plan_id, self._group.name, service, slot, claimed=claimed)
            raise DeliveryOver("its job runs under another delivery", is_duplicate=True)
        await parts.slots.release(slot)
        if claim.is_over:
            raise DeliveryOver("its job is not to be had any more")
        raise claim.refusal or RegistrationSpent("its claim failed")

    async def _acquire(self, request: JobRequest, claim: "_Claim", bound: FilteringBoundLogger) -> AcquiredJob | None:
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
                    claim.is_open = True
                    await clock.sleep(_RETRY_PAUSE_SECONDS)
            return await self._connection.acquire(request)
        except GitHubError as problem:
            claim.is_open |= isinstance(problem, Transient)
            claim.refusal = problem if isinstance(problem, VersionTooOld) else None
            claim.is_over = isinstance(problem, AlreadyClaimed | DeliveryGone)
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
        return ClaimedJob(
            plan_id=job.plan_id,
            job_id=job.job_id,
            request_id=job.request_id,
            runner_name=self._runner.name,
            identity=job.identity,
            worker_keys=worker_keys(job, self._runner.jit),
            slot=slot,
            reservation=reservation,
            service=ClassicJobService(self._parts.run_service, job),
            claimed=self._basics.clock.monotonic(),
            first_delivered=waiting.first_delivered,
            held_seconds=waiting.held_seconds,
            refusal=job.unsupported,
        )

    def _count_failure(self, reason: str) -> None:
        self._basics.metrics.inc(JOB_ACQUISITION_ERRORS, 1, **self._labels, reason=reason)


def worker_keys(job: AcquiredJob, jit: JitConfig) -> dict[str, bytes]:
    """What the worker finds in its job's Secret; nothing when the job is too large for it."""
    payload = packed(job.payload)
    if payload is None:
        return {}
    return {
        "payload": payload,
        "plan-id": job.plan_id.encode(),
        "runner": jit.runner_file,
        "credentials": jit.credentials_file,
    }


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
