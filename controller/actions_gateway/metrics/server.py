"""The two small listeners of a component: probes on one port, metrics on another.

Probes answer from memory alone, so that an outage of GitHub or of the API server restarts nothing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from actions_gateway.engine.supervision import uninterrupted
from actions_gateway.metrics.registry import Metrics

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serve_exposition(
    metrics: Metrics,
    *,
    host: str,
    health_port: int,
    metrics_port: int,
    is_alive: Callable[[], bool],
    is_ready: Callable[[], bool],
) -> AsyncIterator[None]:
    """Serves /healthz and /readyz on `health_port` and /metrics on `metrics_port` while the context is open."""

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": _CONTENT_TYPE})

    probes = web.Application()
    probes.add_routes([web.get("/healthz", _probe(is_alive)), web.get("/readyz", _probe(is_ready))])
    exposition = web.Application()
    exposition.add_routes([web.get("/metrics", scrape)])
    applications = (probes, exposition)
    runners = [web.AppRunner(application, access_log=None, shutdown_timeout=1.0) for application in applications]
    try:
        for runner, port in zip(runners, (health_port, metrics_port), strict=True):
            await runner.setup()
            await uninterrupted(web.TCPSite(runner, host, port).start())
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def _probe(is_fine: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if is_fine() else web.Response(status=503, text="not ok\n")

    return answer
