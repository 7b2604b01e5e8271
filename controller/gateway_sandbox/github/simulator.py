"""The simulated GitHub over HTTP: one aiohttp application that hands every request to `service.Service`."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Mapping, Sequence
from typing import Literal

import structlog
from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.service import Service
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.wire import Call, Reply

MAX_BODY_BYTES = 64 * 1024 * 1024
BACKLOG = 4096

log = structlog.get_logger(__name__)


class GitHubSimulator:
    """A GitHub on one port: REST at `/api/v3` and `/`, `/oauth`, `/broker`, `/run`, `/results`, and `/sandbox`."""

    def __init__(
        self,
        *,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        settings: SimulatorSettings | None = None,
        rng: random.Random | None = None,
        control_token: str | None = None,
        keys: KeyPool | None = None,
    ) -> None:
        self._ssl_context = ssl_context
        self.core = GitHub(clock=clock, settings=settings, rng=rng, keys=keys)
        self.service = Service(self.core, control_token=control_token)
        self._runner: web.AppRunner | None = None
        self._timers: asyncio.Task[None] | None = None
        self.url = ""

    def add_app(
        self, app_id: int, public_key_pem: str, *, client_id: str | None = None, slug: str = "actions-gateway-sandbox"
    ) -> None:
        """Registers an App by the public half of its key."""
        self.core.apps.add_app(app_id, public_key_pem, client_id=client_id, slug=slug)

    def add_installation(
        self,
        installation_id: int,
        app_id: int,
        *,
        account: str = "octo",
        permissions: Mapping[str, str] | None = None,
        repositories: Literal["all"] | Sequence[str] = "all",
    ) -> None:
        """Installs an App on an account; raises KeyError for an App that was not added."""
        self.core.apps.add_installation(
            installation_id, app_id, account=account, permissions=permissions, repositories=repositories
        )

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Makes the key pool, listens, and starts GitHub's timers; `url` is known afterwards. Raises OSError."""
        await self.core.keys.prepare(self.core.state.settings.key_pool_size)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A client that leaves cancels its handler: that is how a poll learns that nobody waits for it any more.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=self._ssl_context, backlog=BACKLOG)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        scheme = "http" if self._ssl_context is None else "https"
        bound_port = self._runner.addresses[0][1]
        self.url = self.core.state.base_url = f"{scheme}://{host}:{bound_port}"
        self._timers = asyncio.create_task(self.core.run(), name="github-timers")
        self._timers.add_done_callback(_report_failure)

    async def stop(self) -> None:
        """Ends open polls and closes the port; idempotent."""
        self.core.agents.end_polls()
        self.core.faults.clear()
        if self._timers is not None:
            self._timers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._timers
            self._timers = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = Call(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        reply = await self.service.handle(call)
        if reply.is_dropped and request.transport is not None:
            request.transport.abort()
        return await self._write(request, reply)

    @staticmethod
    async def _write(request: web.Request, reply: Reply) -> web.StreamResponse:
        body = reply.encoded()
        kind, charset = reply.content_type, "utf-8" if reply.content_type else None
        response = web.Response(
            status=reply.status, body=body, headers=reply.headers, content_type=kind, charset=charset
        )
        if reply.on_written is not None:
            await response.prepare(request)
            await response.write_eof()
            reply.on_written()
        return response


def _report_failure(task: asyncio.Task[None]) -> None:
    """Timers that have died would leave GitHub standing still without a word."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the timers of the simulated GitHub have failed", exc_info=error)
