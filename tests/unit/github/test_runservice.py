"""Acquiring, renewing and completing a job on the wire."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from actions_gateway.github.errors import (
    AlreadyClaimed,
    DeliveryGone,
    LockLost,
    MalformedAnswer,
    NotAuthorizedForJob,
    ServerError,
)
from actions_gateway.github.http import Api
from actions_gateway.github.messages import JobRequest
from actions_gateway.github.payload import RunIdentity
from actions_gateway.github.runservice import (
    AcquiredJob,
    Annotation,
    Conclusion,
    RunService,
    parse_job,
)
from support.aio import run
from support.clock import START

from .doubles import PLATFORM, TOKEN, Double, Reply, github, reply

REQUEST = JobRequest("r-1", "https://run.example.test/38/", "U_kgDOADy-uA")
ENDPOINT = {"name": "SystemVssConnection", "authorization": {"parameters": {"AccessToken": "job.jwt"}}}
PAYLOAD: dict[str, Any] = {
    "plan": {"planId": "plan-in-body"},
    "jobId": "job-1",
    "resources": {"endpoints": [ENDPOINT]},
    "contextData": {"github": {"t": 2, "d": [{"k": "repository", "v": "acme/shop"}, {"k": "run_id", "v": "12"}]}},
    "jobDisplayName": "build",
}
RAW = json.dumps(PAYLOAD, indent=1).encode()
JOB = parse_job(RAW, JobRequest("r-1", "https://run.example.test/38"), plan_id="plan-1")
FOREIGN_TOKEN = {"source": "actions-run-service", "statusCode": 401, "errorMessage": "Not authorized for this job"}


def play(scene: Callable[[RunService, Double], Awaitable[None]], *replies: Reply) -> None:
    async def main() -> None:
        async with github(*replies) as double:
            await scene(RunService(double.http, PLATFORM), double)

    run(main())


def test_a_job_is_acquired_with_the_runners_token_at_the_deliverys_url() -> None:
    async def scene(service: RunService, double: Double) -> None:
        job = await service.acquire(REQUEST, TOKEN)
        assert str(double.last.url) == "https://run.example.test/38/acquirejob"
        assert double.last.headers["authorization"] == f"Bearer {TOKEN.reveal()}"
        assert double.body() == {"jobMessageId": "r-1", "runnerOS": "Linux", "billingOwnerId": "U_kgDOADy-uA"}
        assert double.heard == [(Api.RUN_SERVICE, 200)]
        assert job == AcquiredJob(
            payload=RAW,
            plan_id="plan-in-body",
            job_id="job-1",
            request_id="r-1",
            run_service_url="https://run.example.test/38/",
            job_token=job.job_token,
            identity=RunIdentity("acme/shop", 12, None, None, "build"),
            billing_owner_id="U_kgDOADy-uA",
        )
        assert job.job_token.reveal() == "job.jwt"

    play(scene, reply(200, RAW))


def test_the_plan_id_in_the_header_goes_before_the_one_in_the_payload() -> None:
    async def scene(service: RunService, double: Double) -> None:
        job = await service.acquire(JobRequest("r-1", "https://run.example.test"), TOKEN)
        assert job.plan_id == "plan-in-header"
        assert double.body() == {"jobMessageId": "r-1", "runnerOS": "Linux"}

    play(scene, reply(200, RAW, X_Plan_Id="plan-in-header"))


def test_a_payload_without_a_job_token_is_kept_with_the_runners_token_and_a_warning() -> None:
    async def scene(service: RunService, _: Double) -> None:
        with capture_logs() as logs:
            job = await service.acquire(REQUEST, TOKEN)
        assert job.job_token == TOKEN
        assert [entry["log_level"] for entry in logs] == ["warning"]

    play(scene, reply(200, PAYLOAD | {"resources": {}}))


@pytest.mark.parametrize("body", ["", "{", "[]", json.dumps(PAYLOAD | {"plan": {}})])
def test_an_acquisition_that_cannot_be_read_is_malformed(body: str) -> None:
    async def scene(service: RunService, _: Double) -> None:
        with pytest.raises(MalformedAnswer):
            await service.acquire(REQUEST, TOKEN)

    play(scene, reply(200, body))


@pytest.mark.parametrize(("status", "kind"), [(404, DeliveryGone), (409, AlreadyClaimed), (422, DeliveryGone)])
def test_a_delivery_that_is_not_ours_is_typed(status: int, kind: type[Exception]) -> None:
    async def scene(service: RunService, _: Double) -> None:
        with pytest.raises(kind):
            await service.acquire(REQUEST, TOKEN)

    play(scene, reply(status))


def test_a_renewal_uses_the_jobs_own_token_and_ids() -> None:
    async def scene(service: RunService, double: Double) -> None:
        assert await service.renew(JOB) == START + timedelta(minutes=10)
        assert str(double.last.url) == "https://run.example.test/38/renewjob"
        assert double.last.headers["authorization"] == "Bearer job.jwt"
        assert double.body() == {"planId": "plan-1", "jobId": "r-1"}

    play(scene, reply(200, {"lockedUntil": "2026-01-05T09:10:00.0000000Z"}))


@pytest.mark.parametrize("body", ["", "{}", {"lockedUntil": "0001-01-01T00:00:00"}, {"lockedUntil": "soon"}])
def test_a_renewal_that_does_not_say_until_when_counts_ten_minutes(body: Any) -> None:
    async def scene(service: RunService, _: Double) -> None:
        assert await service.renew(JOB) == START + timedelta(seconds=600)

    play(scene, reply(200, body))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(reply(404), LockLost), (reply(410), LockLost), (reply(401, FOREIGN_TOKEN), NotAuthorizedForJob)],
)
def test_a_refused_renewal_is_typed(answer: Reply, kind: type[Exception]) -> None:
    async def scene(service: RunService, _: Double) -> None:
        with pytest.raises(kind):
            await service.renew(JOB)

    play(scene, answer)


def test_a_completion_states_the_conclusion() -> None:
    async def scene(service: RunService, double: Double) -> None:
        annotation = Annotation("the worker was evicted", "Evicted")
        assert await service.complete(JOB, Conclusion.FAILED, [annotation])
        assert str(double.last.url) == "https://run.example.test/38/completejob"
        assert double.last.headers["authorization"] == "Bearer job.jwt"
        assert double.body() == {
            "planId": "plan-1",
            "jobId": "r-1",
            "conclusion": "failed",
            "outputs": {},
            "stepResults": [],
            "annotations": [
                {
                    "level": "FAILURE",
                    "message": "the worker was evicted",
                    "title": "Evicted",
                    "isInfrastructureIssue": True,
                }
            ],
            "telemetry": [],
        }

    play(scene, reply(204))


@pytest.mark.parametrize("status", [404, 410])
def test_completing_a_concluded_job_changes_nothing(status: int) -> None:
    async def scene(service: RunService, _: Double) -> None:
        assert not await service.complete(JOB, Conclusion.FAILED)

    play(scene, reply(status))


@pytest.mark.parametrize(
    ("answer", "kind"), [(reply(401, FOREIGN_TOKEN), NotAuthorizedForJob), (reply(500), ServerError)]
)
def test_a_refused_completion_is_typed(answer: Reply, kind: type[Exception]) -> None:
    async def scene(service: RunService, _: Double) -> None:
        with pytest.raises(kind):
            await service.complete(JOB, Conclusion.CANCELED)

    play(scene, answer)


def test_a_job_does_not_print_its_payload_or_token() -> None:
    assert "job.jwt" not in repr(JOB)
    assert "contextData" not in repr(JOB)


def test_a_stored_job_without_its_token_cannot_be_read_back() -> None:
    with pytest.raises(MalformedAnswer):
        parse_job(b'{"plan": {"planId": "p"}}', JobRequest("r", "https://run.test"), plan_id="p")
