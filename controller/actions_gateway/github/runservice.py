"""The run service: acquiring a delivered job, keeping its lock, and concluding it.

Sources: actions/runner `src/Sdk/RSWebApi/RunServiceHttpClient.cs`, `src/Sdk/RSWebApi/Contracts/CompleteJobRequest.cs`,
`src/Runner.Common/RunServer.cs`. The base URL comes with each delivery. Acquiring needs the runner's token, the rest
the job's own. The job is named by the delivery's request id, as gateways do; the runner uses the payload's `jobId`,
which is the same except when one job is delivered several times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog

from actions_gateway.github.answers import Answer
from actions_gateway.github.broker import RunnerPlatform
from actions_gateway.github.classification import acquisition_error, job_error
from actions_gateway.github.decoding import parse_object
from actions_gateway.github.errors import LockLost, MalformedAnswer
from actions_gateway.github.http import Api, Endpoint, GitHubHttp
from actions_gateway.github.messages import JobRequest
from actions_gateway.github.payload import RunIdentity, job_token, run_identity
from actions_gateway.github.secrets import Secret
from actions_gateway.github.unsupported import unsupported_of
from actions_gateway.github.urls import join

LOCK_SECONDS = 600.0
"""How long a lock lasts from its acquisition and from each renewal."""

log = structlog.get_logger()


class Conclusion(StrEnum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    """Of one delivery of several: it concludes no job."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A message to people on the job's page: why the runner could not end the job itself."""

    message: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class AcquiredJob:
    """A job that is ours: what keeping its lock and running it need."""

    payload: bytes = field(repr=False)
    """For the worker, unchanged; holds secrets."""
    plan_id: str
    """One execution of the job; the same for every delivery of it."""
    job_id: str
    """The payload's own id, which a cancellation names."""
    request_id: str
    run_service_url: str
    job_token: Secret
    identity: RunIdentity
    billing_owner_id: str | None = None
    unsupported: str = ""
    """What the job asks for and its worker cannot do, for its author; empty when nothing."""


def parse_job(
    payload: bytes, request: JobRequest, *, plan_id: str, fallback_token: Secret | None = None
) -> AcquiredJob:
    """The job in an acquisition's answer; an empty `plan_id` takes the payload's. Raises MalformedAnswer."""
    fields = parse_object(payload, "the job's payload")
    plan_id = plan_id or fields.fields("plan").text("planId")
    token = job_token(fields)
    if token is None:
        log.warning("the job's payload holds no job token; its lock cannot be renewed", request_id=request.request_id)
        token = fallback_token
    if not plan_id or token is None:
        raise MalformedAnswer("the job's payload lacks its plan id or its token")
    return AcquiredJob(
        payload=payload,
        plan_id=plan_id,
        job_id=fields.text("jobId") or request.request_id,
        request_id=request.request_id,
        run_service_url=request.run_service_url,
        job_token=token,
        identity=run_identity(fields),
        billing_owner_id=request.billing_owner_id,
        unsupported=unsupported_of(fields),
    )


class RunService:
    """Calls of the run service; every method raises GitHubError."""

    def __init__(self, http: GitHubHttp, platform: RunnerPlatform) -> None:
        self._http = http
        self._platform = platform

    async def acquire(self, request: JobRequest, token: Secret) -> AcquiredJob:
        """Takes the delivered job, with the runner's token; from then on the runner is spent.

        Raises DeliveryGone, AlreadyClaimed, Unauthorized, Forbidden. After a Transient error the job may be ours.
        """
        body = {"jobMessageId": request.request_id, "runnerOS": self._platform.os}
        if request.billing_owner_id:
            body["billingOwnerId"] = request.billing_owner_id
        answer = await self._post(Endpoint.ACQUIRE, request.run_service_url, "acquirejob", token, body)
        if not answer.is_success:
            raise acquisition_error(answer)
        plan_id = answer.headers.get("x-plan-id", "")
        return parse_job(answer.content, request, plan_id=plan_id, fallback_token=token)

    async def renew(self, job: AcquiredJob) -> datetime:
        """Extends the lock and returns its new end.

        Raises LockLost, NotAuthorizedForJob, RateLimited or Transient.
        """
        body = {"planId": job.plan_id, "jobId": job.request_id}
        answer = await self._post(Endpoint.RENEW, job.run_service_url, "renewjob", job.job_token, body)
        if not answer.is_success:
            raise job_error(answer, "renew the job's lock")
        return _locked_until(answer)

    async def complete(self, job: AcquiredJob, conclusion: Conclusion, annotations: Sequence[Annotation] = ()) -> bool:
        """Concludes the job; False when it is concluded already. For jobs whose started worker died.

        Raises NotAuthorizedForJob (a job that never started), RateLimited or Transient.
        """
        body: dict[str, Any] = {
            "planId": job.plan_id,
            "jobId": job.request_id,
            "conclusion": conclusion.value,
            "outputs": {},
            "stepResults": [],
            "annotations": [_wire_annotation(annotation) for annotation in annotations],
            "telemetry": [],
        }
        if job.billing_owner_id:
            body["billingOwnerId"] = job.billing_owner_id
        answer = await self._post(Endpoint.COMPLETE, job.run_service_url, "completejob", job.job_token, body)
        if answer.is_success:
            return True
        problem = job_error(answer, "complete the job")
        if isinstance(problem, LockLost):
            return False
        raise problem

    async def _post(self, endpoint: Endpoint, base: str, leaf: str, token: Secret, body: dict[str, Any]) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": self._platform.user_agent}
        return await self._http.send(
            Api.RUN_SERVICE, "POST", join(base, leaf), endpoint=endpoint, token=token, headers=headers, body=body
        )


def _locked_until(answer: Answer) -> datetime:
    """The answer's own word; a success that does not say re-arms the lock all the same."""
    try:
        stated = answer.fields().moment("lockedUntil")
    except MalformedAnswer:
        stated = None
    return stated or answer.received_at + timedelta(seconds=LOCK_SECONDS)


def _wire_annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "level": "FAILURE",
        "message": annotation.message,
        "title": annotation.title,
        "isInfrastructureIssue": True,
    }
