"""The client and the simulated GitHub, written apart from the same sources, understand each other over TLS."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actions_gateway.engine.clock import SystemClock
from actions_gateway.github.app import AppCredentials, key_fingerprint
from actions_gateway.github.broker import Broker, RunnerPlatform, RunnerStatus
from actions_gateway.github.errors import (
    AlreadyClaimed,
    LockLost,
    NameTaken,
    NotAuthorizedForJob,
    NotFound,
    RegistrationLost,
    RunnerBusy,
    SessionConflict,
    Unauthorized,
    VersionTooOld,
)
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.messages import JobCancellation, JobRequest
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import Registration
from actions_gateway.github.runnertoken import RunnerToken, exchange
from actions_gateway.github.runservice import Conclusion, RunService, parse_job
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import scope_of
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.simulator import GitHubSimulator
from support.aio import run

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CREDENTIALS = AppCredentials("1234", 77, KEY, key_fingerprint(KEY))
POOL = KeyPool()
CLOCK = SystemClock()
PLATFORM = RunnerPlatform("2.335.1")
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
async def world(folder: Path, settings: dict[str, Any]) -> AsyncIterator[World]:
    certificates = SandboxCertificates.create(folder)
    simulator = GitHubSimulator(
        clock=CLOCK,
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


def play(folder: Path, scene: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with world(folder, settings) as everything:
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
