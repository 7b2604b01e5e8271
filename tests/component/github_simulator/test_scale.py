"""Many polls and many jobs at once, and the same protocol without any socket."""

import asyncio
import time
from collections import Counter

import httpx

from actions_gateway.engine.clock import Clock
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.service import Service
from gateway_sandbox.github.wire import Call
from support.aio import run
from support.clock import ManualClock

from .driver import APP_ID, APP_KEY, INSTALLATION_ID, POOL, RunnerClient, World, public_pem, scenario


def test_two_hundred_jobs_reach_a_hundred_and_sixty_open_polls_each_exactly_once() -> None:
    async def play(world: World) -> None:
        runners = [await world.listening(f"r-{number}") for number in range(200)]

        async def serve(runner: RunnerClient) -> None:
            claim = await runner.acquire(await runner.message())
            await claim.steps([])
            assert (await claim.complete()).status_code == 204

        async with asyncio.TaskGroup() as group:
            for runner in runners[:160]:
                group.create_task(serve(runner))
            await world.until(lambda: world.core.open_poll_count == 160)
            # Processor time: other work on the machine costs none of it.
            started = time.thread_time()
            jobs = [world.core.enqueue(["self-hosted"], name=f"job {number}") for number in range(200)]
            enqueue_seconds = time.thread_time() - started
            for runner in runners[160:]:
                group.create_task(serve(runner))
        assert Counter(job.conclusion for job in jobs) == {"success": 200}
        assert {(len(job.deliveries), job.completion_count) for job in jobs} == {(1, 1)}
        assert len({job.runner for job in jobs}) == 200
        assert enqueue_seconds < 1.0

    scenario(play, many_connections=True)


class SocketFree(httpx.AsyncBaseTransport):
    """Hands httpx requests straight to the simulator's service, as a simulation in virtual time does."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.aread()
        reply = await self._service.handle(Call(request.method, request.url.path, query, headers, body))
        if reply.is_dropped:
            raise httpx.ReadError("dropped", request=request)
        if reply.on_written is not None:
            reply.on_written()
        return httpx.Response(reply.status, headers=reply.headers, content=reply.encoded(), request=request)


def test_the_whole_protocol_runs_without_sockets_in_virtual_time() -> None:
    class Inside(World):
        def __init__(self, github: GitHub, clock: ManualClock, http: httpx.AsyncClient) -> None:
            self.github, self.clock, self.http = github, clock, http

        @property
        def core(self) -> GitHub:
            return self.github

    async def main() -> None:
        clock = ManualClock()
        checked: Clock = clock
        github = GitHub(clock=checked, keys=POOL)
        github.apps.add_app(APP_ID, public_pem(APP_KEY))
        github.apps.add_installation(INSTALLATION_ID, APP_ID)
        async with asyncio.TaskGroup() as group:
            timers = group.create_task(github.run())
            transport = SocketFree(Service(github))
            async with httpx.AsyncClient(transport=transport, base_url="https://github.invalid") as http:
                world = Inside(github, clock, http)
                claim = await world.acquired(started=True)
                await clock.advance(600)
                assert claim.job.conclusion == "failure"
                runner = await world.listening("second")
                async with world.open_poll(runner) as poll:
                    await clock.advance(50)
                    assert (await poll).status_code == 202
            timers.cancel()

    run(main())
