"""Every kind of call ends by itself when GitHub takes it and never answers, on virtual time."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from actions_gateway.github.broker import Broker, RunnerPlatform, Session
from actions_gateway.github.errors import AnswerTimeout
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.messages import JobRequest, Unanswered
from actions_gateway.github.payload import RunIdentity
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.runnertoken import exchange
from actions_gateway.github.runs import GitHubRuns
from actions_gateway.github.runservice import AcquiredJob, Conclusion, RunService
from actions_gateway.github.urls import scope_of
from simulation.loop import SimulatedClock, VirtualLoop, run_virtually

from .doubles import BROKER_URL, TOKEN, credentials, jit_config

SESSION = Session("s-1", BROKER_URL)
REQUEST = JobRequest("job-a", "https://run.example.test/1")
JOB = AcquiredJob(
    payload=b"{}",
    plan_id="plan",
    job_id="job-a",
    request_id="job-a",
    run_service_url="https://run.example.test/1",
    job_token=TOKEN,
    identity=RunIdentity(),
)


class BlackHole(httpx.AsyncBaseTransport):
    """Takes every request and never answers."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._loop.create_future()
        raise AssertionError


class Clients:
    def __init__(self, http: GitHubHttp, clock: SimulatedClock) -> None:
        self.http, self.clock = http, clock
        self.rest = GitHubRest(http, scope_of("https://github.com/acme/shop"), clock)
        self.runs = GitHubRuns(self.rest)
        platform = RunnerPlatform("2.335.1")
        self.broker, self.run_service = Broker(http, platform), RunService(http, platform)


CALLS: dict[str, tuple[Callable[[Clients], Awaitable[Any]], float]] = {
    "token": (lambda all: all.rest.mint_token(credentials()), 30),
    "revocation": (lambda all: all.rest.revoke_token(TOKEN), 30),
    "installation": (lambda all: all.rest.get_installation(credentials()), 30),
    "registration": (lambda all: all.rest.generate_jit_config(TOKEN, "r-1", ["linux"]), 30),
    "list of runners": (lambda all: all.rest.list_runners(TOKEN), 30),
    "deletion": (lambda all: all.rest.delete_runner(TOKEN, 1), 30),
    "run": (lambda all: all.runs.get_run(TOKEN, "acme/shop", 1), 30),
    "runs": (lambda all: all.runs.list_running(TOKEN, "acme/shop"), 30),
    "jobs": (lambda all: all.runs.list_jobs(TOKEN, "acme/shop", 1), 30),
    "rerun": (lambda all: all.runs.rerun_job(TOKEN, "acme/shop", 1), 30),
    "cancel": (lambda all: all.runs.force_cancel(TOKEN, "acme/shop", 1), 30),
    "runner token": (lambda all: exchange(all.http, jit_config(), all.clock, random.Random(1)), 60),
    "session": (lambda all: all.broker.create_session(jit_config(), TOKEN, "tests"), 30),
    "end of the session": (lambda all: all.broker.delete_session(SESSION, TOKEN), 30),
    "acknowledgement": (lambda all: all.broker.acknowledge(SESSION, TOKEN, REQUEST), 5),
    "claim": (lambda all: all.run_service.acquire(REQUEST, TOKEN), 30),
    "renewal": (lambda all: all.run_service.renew(JOB), 30),
    "completion": (lambda all: all.run_service.complete(JOB, Conclusion.FAILED), 30),
}


def seconds_of(call: Callable[[Clients], Awaitable[None]]) -> float:
    """How long the call takes in a black hole."""

    async def main(loop: VirtualLoop) -> None:
        clock = SimulatedClock(loop)
        async with GitHubHttp(clock, transport=BlackHole(loop)) as http:
            await call(Clients(http, clock))

    return run_virtually(main).time()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_never_answered_ends_at_its_deadline(name: str) -> None:
    call, most_seconds = CALLS[name]

    async def scene(clients: Clients) -> None:
        with pytest.raises(AnswerTimeout):
            await call(clients)

    assert 0 < seconds_of(scene) <= most_seconds


def test_a_poll_that_is_never_answered_ends_after_githubs_hold() -> None:
    async def scene(clients: Clients) -> None:
        assert isinstance(await clients.broker.poll(SESSION, TOKEN), Unanswered)

    assert 50 < seconds_of(scene) <= 75
