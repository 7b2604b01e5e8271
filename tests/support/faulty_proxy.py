"""A reverse proxy in front of an API server that misbehaves on demand: what a bad network and a bad day do.

It speaks TLS with the sandbox's certificates and passes bearer tokens on; client certificates end at it. Faults are
switched on per method and path, for a number of requests or until they are cleared; the first one that matches acts.
"""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from actions_gateway.kube.sockets import Sockets
from gateway_sandbox.certificates import SandboxCertificates

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host"})
"""RFC 9110, "Connection": not to be passed on."""


_REASONS = {
    401: "Unauthorized",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
"""Kubernetes API conventions, "Response Status Kind"."""


class Exchange:
    """One request on its way, and what may be done with it."""

    def __init__(self, request: web.Request, body: bytes, session: aiohttp.ClientSession, upstream: str) -> None:
        self.request = request
        self._body = body
        self._session = session
        self._upstream = upstream

    @asynccontextmanager
    async def upstream(self) -> AsyncIterator[aiohttp.ClientResponse]:
        """The API server's own answer."""
        headers = {name: value for name, value in self.request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = URL(self._upstream + self.request.raw_path, encoded=True)
        async with self._session.request(
            self.request.method, url, headers=headers, data=self._body or None, allow_redirects=False
        ) as answer:
            yield answer

    async def begin(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Sends the answer's status and headers."""
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(self.request)
        return response

    async def forward(self) -> web.StreamResponse:
        """The exchange as it would be without a fault."""
        async with self.upstream() as answer:
            response = await self.begin(answer)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    def cut(self) -> web.Response:
        """Closes the connection as a killed proxy does."""
        if self.request.transport is not None:
            self.request.transport.abort()
        return web.Response()


Effect = Callable[[Exchange], Awaitable[web.StreamResponse]]
"""What happens to a request."""


def answer(status: int, *, retry_after: str | None = None, text: str | None = None) -> Effect:
    """The server's own refusal as a `Status`, or a page of whatever stands before it when `text` is given."""
    reason = _REASONS.get(status, "")
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": f"{reason}: a fault of the test",
        "reason": reason,
        "code": status,
    }

    async def effect(_: Exchange) -> web.StreamResponse:
        headers = {"Retry-After": retry_after} if retry_after else {}
        if text is not None:
            return web.Response(status=status, text=text, headers=headers)
        return web.Response(status=status, text=json.dumps(body), headers=headers, content_type="application/json")

    return effect


async def close_mid_body(exchange: Exchange) -> web.StreamResponse:
    """The answer breaks off in its first half."""
    async with exchange.upstream() as answer:
        body = await answer.read()
        response = await exchange.begin(answer)
        await response.write(body[: len(body) // 2])
        return exchange.cut()


async def lose_answer(exchange: Exchange) -> web.StreamResponse:
    """The request is carried out and nobody hears of it."""
    async with exchange.upstream() as answer:
        await answer.read()
    return exchange.cut()


async def refuse(exchange: Exchange) -> web.StreamResponse:
    """The connection is closed without an answer, and nothing is carried out."""
    return exchange.cut()


def delay(seconds: float) -> Effect:
    """Everything takes so much longer."""

    async def effect(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return effect


def answer_late(seconds: float) -> Effect:
    """The request is carried out at once and its answer comes so much later."""

    async def effect(exchange: Exchange) -> web.StreamResponse:
        async with exchange.upstream() as answer:
            body = await answer.read()
            await asyncio.sleep(seconds)
            response = await exchange.begin(answer)
            await response.write(body)
            return response

    return effect


async def hang(_: Exchange) -> web.StreamResponse:
    """No answer comes at all."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def drop_watch(after_events: int) -> Effect:
    """The connection breaks after so many events."""

    async def effect(exchange: Exchange) -> web.StreamResponse:
        async with exchange.upstream() as answer:
            response = await exchange.begin(answer)
            for _ in range(after_events):
                await response.write(await answer.content.readuntil(b"\n"))
        return exchange.cut()

    return effect


async def silence(exchange: Exchange) -> web.StreamResponse:
    """A half-open watch: it is accepted and then says nothing, whatever happens."""
    async with exchange.upstream() as answer:
        await exchange.begin(answer)
        await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Gate:
    """Holds requests until it is opened."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        await self._open.wait()
        return await exchange.forward()

    def open(self) -> None:
        """Lets through what waits, and what comes."""
        self._open.set()


@dataclass(eq=False)
class Fault:
    """One switch."""

    effect: Effect
    method: str = ""
    """Empty: every method."""
    path: str = ""
    """A regular expression that is searched in the path."""
    query: str = ""
    """The same for the query."""
    is_watch: bool | None = None
    """None: watches and other requests alike."""
    times: int | None = None
    """How often it acts; None: until it is cleared."""
    hits: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def matches(self, request: web.Request) -> bool:
        is_watch = request.query.get("watch") in ("true", "1")
        return (
            (self.times is None or self.hits < self.times)
            and self.method in ("", request.method)
            and re.search(self.path, _path(request)) is not None
            and re.search(self.query, request.query_string) is not None
            and self.is_watch in (None, is_watch)
        )

    def count(self) -> None:
        self.hits += 1
        self._changed.set()

    async def until_hit(self, times: int = 1) -> None:
        """Returns once it has acted so often."""
        while self.hits < times:
            self._changed.clear()
            await self._changed.wait()


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came by."""

    method: str
    path: str
    is_watch: bool
    at: float
    """Loop time, in seconds."""


class FaultyProxy:
    """The proxy of one API server; `faulty_proxy` runs it."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._session = session
        self._faults: list[Fault] = []
        self.url = ""
        self.seen: list[Seen] = []

    def inject(self, effect: Effect, **match: Any) -> Fault:
        """Switches a fault on; `match` are fields of Fault."""
        fault = Fault(effect, **match)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Switches all faults off; exchanges that a fault holds stay held."""
        self._faults.clear()

    def requests(self, method: str, path: str) -> list[Seen]:
        """What was asked with this method and a path in which the expression is found."""
        return [seen for seen in self.seen if seen.method == method and re.search(path, seen.path)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        is_watch = request.query.get("watch") in ("true", "1")
        self.seen.append(Seen(request.method, _path(request), is_watch, asyncio.get_running_loop().time()))
        exchange = Exchange(request, await request.read(), self._session, self._upstream)
        for fault in self._faults:
            if fault.matches(request):
                fault.count()
                return await fault.effect(exchange)
        return await exchange.forward()


def _path(request: web.Request) -> str:
    """The path as patterns see it: a dry run is no write, and does not pass for one."""
    return request.path + ("?dryRun" if "dryRun" in request.query else "")


@asynccontextmanager
async def faulty_proxy(
    upstream: str, *, upstream_ca: str, certificates: SandboxCertificates
) -> AsyncIterator[FaultyProxy]:
    """A proxy on a free loopback port, before the API server at `upstream`, whose authority is in `upstream_ca`."""
    trust = ssl.create_default_context(cafile=upstream_ca)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
    sockets = Sockets()
    connector = aiohttp.TCPConnector(ssl=trust, limit=0, socket_factory=sockets.make)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        proxy = FaultyProxy(upstream, session)
        application = web.Application(client_max_size=16 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", _quietly(proxy.handle))
        # A client that goes away ends its exchange at once, as with a real proxy.
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.server_context()).start()
            proxy.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            await runner.cleanup()
    await sockets.until_closed(2.0)


def _quietly(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A connection that breaks on either side is what this proxy is for, and no error of the test."""

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    return handler
