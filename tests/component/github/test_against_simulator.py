"""The client and the simulated GitHub, written apart from the same sources, understand each other over TLS."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actions_gateway.engine.clock import Clock, SystemClock
from actions_gateway.github.app import AppCredentials, key_fingerprint
from actions_gateway.github.broker import Broker, RunnerPlatform, RunnerStatus
from actions_gateway.github.budgets import Budgets, Limits
from actions_gateway.github.errors import (
    AlreadyClaimed,
    LockLost,
    NameTaken,
    NotAuthorizedForJob,
    NotFound,
    RegistrationLost,
    RerunRefused,
    RunnerBusy,
    RunNotConcluded,
    SessionConflict,
    Suspended,
    Unauthorized,
    VersionTooOld,
)
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.messages import JobCancellation, JobRequest
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import Registration
from actions_gateway.github.runnertoken import RunnerToken, exchange
from actions_gateway.github.runs import GitHubRuns
from actions_gateway.github.runservice import Conclusion, RunService, parse_job
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import scope_of
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.simulator import GitHubSimulator
from support.aio import run
from support.clock import LeapingClock

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CREDENTIALS = AppCredentials("1234", 77, KEY, key_fingerprint(KEY))
POOL = KeyPool()
CLOCK = SystemClock()
PLATFORM = RunnerPlatform("2.335.1")
REPOSITORY = "octo/demo"
LABELS = ["self-hosted", "linux"]


@dataclass
class World:
    """A simulator and every client of it."""

    simulator: GitHubSimulator
    http: GitHubHttp
    rest: GitHubRest
    broker: Broker
    runs: RunService
    token: Secret

    async def register(self, name: str = "r-1") -> tuple[Registration, RunnerToken]:
        registration = await self.rest.generate_jit_config(self.token, name, LABELS)
        return registration, await exchange(self.http, registration.jit, CLOCK, random.Random(1), fresh=True)


@asynccontextmanager
async def world(folder: Path, settings: dict[str, Any], clock: Clock = CLOCK) -> AsyncIterator[World]:
    certificates = SandboxCertificates.create(folder)
    simulator = GitHubSimulator(
        clock=clock,
        ssl_context=certificates.server_context(),
        settings=SimulatorSettings(key_pool_size=2, **settings),
        keys=POOL,
    )
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    simulator.add_app(1234, public)
    simulator.add_installation(77, 1234)
    await simulator.start()
    try:
        async with GitHubHttp(CLOCK, ca_bundle=certificates.ca_path) as http:
            rest = GitHubRest(http, scope_of(f"{simulator.url}/octo/demo"), CLOCK)
            token = (await rest.mint_token(CREDENTIALS)).token
            broker = Broker(http, PLATFORM)
            yield World(simulator, http, rest, broker, RunService(http, PLATFORM), token)
    finally:
        await simulator.stop()


def play(folder: Path, scene: Callable[[World], Awaitable[None]], clock: Clock = CLOCK, **settings: Any) -> None:
    async def main() -> None:
        async with world(folder, settings, clock) as everything:
            await scene(everything)

    run(main())


def test_a_job_goes_from_the_app_key_to_its_conclusion(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        registration, runner = await world.register()
        session = await world.broker.create_session(registration.jit, runner.token, "tests")
        job = world.simulator.core.enqueue(LABELS, name="build")
        request = await world.broker.poll(session, runner.token)
        assert isinstance(request, JobRequest)
        assert request.message_id > 2**53
        await world.broker.acknowledge(session, runner.token, request)

        acquired = await world.runs.acquire(request, runner.token)
        assert (acquired.identity.repository, acquired.identity.run_id) == ("octo/demo", job.run.id)
        assert acquired.identity.check_run_id == job.id
        assert job.run.status == "in_progress"
        with pytest.raises(RunnerBusy):
            await world.rest.delete_runner(world.token, registration.runner_id)

        kept = parse_job(acquired.payload, request, plan_id=acquired.plan_id)
        remaining_seconds = (await world.runs.renew(kept) - CLOCK.now()).total_seconds()
        assert 590 < remaining_seconds <= 600
        world.simulator.core.worker_started(job)
        assert await world.runs.complete(kept, Conclusion.SUCCEEDED)
        assert not await world.runs.complete(kept, Conclusion.SUCCEEDED)
        with pytest.raises(LockLost):
            await world.runs.renew(kept)
        assert (job.run.status, job.run.conclusion) == ("completed", "success")
        assert world.simulator.core.violations() == []

    play(tmp_path, scene)


def test_a_cancellation_reaches_the_busy_session(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        registration, runner = await world.register()
        session = await world.broker.create_session(registration.jit, runner.token, "tests")
        job = world.simulator.core.enqueue(LABELS)
        request = await world.broker.poll(session, runner.token)
        assert isinstance(request, JobRequest)
        acquired = await world.runs.acquire(request, runner.token)
        world.simulator.core.worker_started(job)
        world.simulator.core.cancel(job.run)
        message = await world.broker.poll(session, runner.token, RunnerStatus.BUSY)
        assert isinstance(message, JobCancellation)
        assert message.job_id == acquired.job_id

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "settings",
    [
        {"blob_style": "camel"},
        {"blob_bom": True},
        {"omit_expires_in": True},
        {"propagation_delay_seconds": 0.5},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_every_variant_of_a_registration_connects(tmp_path: Path, settings: dict[str, Any]) -> None:
    async def scene(world: World) -> None:
        registration, runner = await world.register()
        session = await world.broker.create_session(registration.jit, runner.token, "tests")
        assert await world.broker.poll(session, runner.token) is None
        assert await world.broker.delete_session(session, runner.token)
        assert not await world.broker.delete_session(session, runner.token)

    play(tmp_path, scene, poll_hold_seconds=0.1, **settings)


def test_credentials_that_github_does_not_know_are_typed(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        with pytest.raises(Unauthorized):
            await world.rest.mint_token(AppCredentials("1234", 77, other, ""))
        with pytest.raises(NotFound):
            await world.rest.mint_token(AppCredentials("1234", 78, KEY, ""))
        assert (await world.rest.get_installation(CREDENTIALS)).id == 77
        await world.rest.revoke_token(world.token)
        with pytest.raises(Unauthorized):
            await world.rest.list_runners(world.token)

    play(tmp_path, scene)


def test_names_sessions_and_records_behave_as_documented(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        registration, runner = await world.register()
        with pytest.raises(NameTaken):
            await world.register()
        (found,) = await world.rest.list_runners(world.token, name="r-1")
        assert (found.id, set(found.labels), found.is_busy) == (registration.runner_id, set(LABELS), False)
        await world.broker.create_session(registration.jit, runner.token, "tests")
        with pytest.raises(SessionConflict, match="tests"):
            await world.broker.create_session(registration.jit, runner.token, "others")
        assert await world.rest.delete_runner(world.token, registration.runner_id)
        assert not await world.rest.delete_runner(world.token, registration.runner_id)
        assert not await world.rest.list_runners(world.token)
        with pytest.raises(RegistrationLost):
            await exchange(world.http, registration.jit, CLOCK, random.Random(1))
        assert world.rest.rate_limit is not None
        assert 0 < world.rest.rate_limit.remaining < world.rest.rate_limit.limit

    play(tmp_path, scene)


@pytest.mark.parametrize("version_refusal", ["text", "envelope"])
def test_a_version_that_is_too_old_is_told(tmp_path: Path, version_refusal: str) -> None:
    async def scene(world: World) -> None:
        registration, runner = await world.register()
        with pytest.raises(VersionTooOld):
            await Broker(world.http, RunnerPlatform("2.300.0")).create_session(registration.jit, runner.token, "tests")

    play(tmp_path, scene, version_refusal=version_refusal)


def test_a_job_belongs_to_the_runner_it_was_delivered_to(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        registration, runner = await world.register("r-1")
        _, stranger = await world.register("r-2")
        session = await world.broker.create_session(registration.jit, runner.token, "tests")
        world.simulator.core.enqueue(LABELS)
        request = await world.broker.poll(session, runner.token)
        assert isinstance(request, JobRequest)
        with pytest.raises(AlreadyClaimed):
            await world.runs.acquire(request, stranger.token)
        acquired = await world.runs.acquire(request, runner.token)
        forged = parse_job(
            acquired.payload.replace(acquired.job_token.reveal().encode(), stranger.token.reveal().encode()),
            request,
            plan_id=acquired.plan_id,
        )
        with pytest.raises(NotAuthorizedForJob):
            await world.runs.renew(forged)

    play(tmp_path, scene)


def test_a_job_that_lost_its_worker_is_rerun_alone_once_its_run_has_concluded(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        runs, core = GitHubRuns(world.rest), world.simulator.core
        registration, runner = await world.register()
        session = await world.broker.create_session(registration.jit, runner.token, "tests")
        job = core.enqueue(LABELS, name="build")
        request = await world.broker.poll(session, runner.token)
        assert isinstance(request, JobRequest)
        await world.runs.acquire(request, runner.token)

        assert [found.id for found in await runs.list_running(world.token, REPOSITORY)] == [job.run.id]
        (found,) = await runs.list_jobs(world.token, REPOSITORY, job.run.id)
        assert (found.id, found.runner_name, found.attempt, found.is_completed) == (job.id, "r-1", 1, False)
        with pytest.raises(RunNotConcluded):
            await runs.rerun_job(world.token, REPOSITORY, job.id)

        assert await runs.force_cancel(world.token, REPOSITORY, job.run.id)
        assert not await runs.force_cancel(world.token, REPOSITORY, job.run.id)
        ended = await runs.get_run(world.token, REPOSITORY, job.run.id)
        assert (ended.is_completed, ended.conclusion, ended.attempt) == (True, "cancelled", 1)
        assert await runs.list_running(world.token, REPOSITORY) == []

        await runs.rerun_job(world.token, REPOSITORY, job.id)
        assert (await runs.get_run(world.token, REPOSITORY, job.run.id)).attempt == 2
        (again,) = await runs.list_jobs(world.token, REPOSITORY, job.run.id)
        assert (again.attempt, again.status, again.runner_name) == (2, "queued", "")
        assert again.id != job.id
        assert job.run.jobs[0].plan_id != job.plan_id
        with pytest.raises(RunNotConcluded):
            await runs.rerun_job(world.token, REPOSITORY, again.id)
        core.cancel(job.run, force=True)
        with pytest.raises(RerunRefused):
            await runs.rerun_job(world.token, REPOSITORY, job.id)
        with pytest.raises(NotFound):
            await runs.get_run(world.token, REPOSITORY, 1)

    play(tmp_path, scene)


def test_within_its_budgets_the_client_is_never_limited_and_recovery_goes_first(tmp_path: Path) -> None:
    """The simulated GitHub counts points as its docs describe, and time leaps ahead."""

    async def scene(world: World) -> None:
        clock = world.simulator.core.state.clock
        assert isinstance(clock, LeapingClock)
        budgets = Budgets(clock, Limits(points_per_minute=100))
        rest = GitHubRest(world.http, scope_of(f"{world.simulator.url}/octo/demo"), clock, budgets)
        job = world.simulator.core.enqueue(LABELS)
        world.simulator.core.cancel(job.run, force=True)
        tasks = [asyncio.create_task(rest.generate_jit_config(world.token, f"r-{n}", LABELS)) for n in range(30)]
        requests = world.simulator.core.requests
        for registered in itertools.islice(asyncio.as_completed(tasks), 19):
            await registered
        await GitHubRuns(rest).rerun_job(world.token, REPOSITORY, job.id)
        assert len(requests("rest.generate_jitconfig")) == 19
        clock.leap(61)
        await asyncio.gather(*tasks)
        assert len(world.simulator.core.runners()) == 30
        assert requests(status=403) == requests(status=429) == []

    play(tmp_path, scene, clock=LeapingClock(), points_per_minute=100)


def test_a_suspended_installation_refuses_tokens_that_it_has_and_new_ones_until_that_is_lifted(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.rest.suspend_installation(CREDENTIALS)
        await world.rest.suspend_installation(CREDENTIALS)
        assert (await world.rest.get_installation(CREDENTIALS)).suspended_at is not None
        with pytest.raises(Suspended):
            await world.rest.list_runners(world.token)
        with pytest.raises(Suspended):
            await world.rest.mint_token(CREDENTIALS)
        await world.rest.unsuspend_installation(CREDENTIALS)
        assert await world.rest.list_runners(world.token) == []

    play(tmp_path, scene)
