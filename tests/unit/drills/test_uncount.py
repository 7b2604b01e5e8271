"""Prometheus forgets what a drill counted, once nobody can tell it again."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from actions_gateway.engine.clock import SystemClock
from gateway_sandbox.drills.monitoring_steps import Uncount
from gateway_sandbox.drills.site import Site


class Pods:
    """A cluster with one agent."""

    def __init__(self) -> None:
        self.agent: dict[str, Any] = {"metadata": {"name": "agent"}}

    async def list(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(items=[self.agent])


def site_of(pods: Pods, url: str | None) -> Site:
    return Site(pods, None, SystemClock(), monitoring_urls={"prometheus": url})  # type: ignore[arg-type]


def test_it_asks_once_the_agent_that_counted_is_gone_and_again_when_refused() -> None:
    asked: list[tuple[str, list[str]]] = []
    statuses = [503, 204]

    async def answer(request: web.Request) -> web.Response:
        asked.append((f"{request.method} {request.path}", request.query.getall("match[]")))
        return web.Response(status=statuses.pop(0))

    async def scenario() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            pods = Pods()
            site = site_of(pods, f"http://127.0.0.1:{runner.addresses[0][1]}")
            pods.agent["metadata"]["deletionTimestamp"] = "2026-01-05T09:00:00Z"
            assert not await Uncount("team-a").settle(site)
            assert not asked
            del pods.agent["metadata"]["deletionTimestamp"]
            assert [await Uncount("team-a").settle(site) for _ in range(2)] == [False, True]
        finally:
            await runner.cleanup()

    asyncio.run(scenario())
    series = '{__name__="actions_gateway_eviction_retries_exhausted_total",namespace="team-a"}'
    assert asked == [("POST /api/v1/admin/tsdb/delete_series", [series])] * 2


def test_without_a_prometheus_there_is_nothing_to_forget() -> None:
    assert asyncio.run(Uncount("team-a").settle(site_of(Pods(), None)))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert asyncio.run(Uncount("team-a").settle(site_of(Pods(), f"http://127.0.0.1:{silent.getsockname()[1]}")))
