"""The client over real sockets and real TLS: its pool, its trust, its deadlines, and what broken connections become."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from actions_gateway.engine.clock import SystemClock
from actions_gateway.github.broker import Broker, RunnerPlatform, Session
from actions_gateway.github.errors import AnswerTimeout, MalformedAnswer, ProxyRefused, Unreachable
from actions_gateway.github.http import Api, Deadline, GitHubHttp
from actions_gateway.github.messages import ForceTokenRefresh, Unanswered
from actions_gateway.github.secrets import Secret
from actions_gateway.github.transport import CaBundleInvalid, tls_context
from gateway_sandbox.certificates import SandboxCertificates
from support.aio import run
from support.connect_proxy import connect_proxy

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PLATFORM = RunnerPlatform("2.335.1")
TOKEN = Secret("token")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SandboxCertificates:
    """A certificate authority that no system trusts, and a server certificate of it."""
    return SandboxCertificates.create(tmp_path_factory.mktemp("tls"))


@dataclass
class Server:
    """A running server and what reached it."""

    url: str
    requests: list[web.Request] = field(default_factory=list)


@asynccontextmanager
async def serving(authority: SandboxCertificates, handler: Handler) -> AsyncIterator[Server]:
    async def record(request: web.Request) -> web.StreamResponse:
        server.requests.append(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server_context())
    await site.start()
    server = Server(f"https://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """A server that is not bound to HTTP's rules; yields its port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def client(authority: SandboxCertificates | None, **options: str | float | None) -> GitHubHttp:
    bundle = authority.ca_path if authority else None
    return GitHubHttp(SystemClock(), ca_bundle=bundle, **options)  # type: ignore[arg-type]


def test_a_hundred_and_one_polls_are_open_at_once(authority: SandboxCertificates) -> None:
    async def main() -> None:
        polls, everyone = 0, asyncio.Event()

        async def hold(_: web.Request) -> web.Response:
            nonlocal polls
            polls += 1
            if polls == 101:
                everyone.set()
            await everyone.wait()
            return web.json_response({"messageId": polls, "messageType": "ForceTokenRefresh"})

        async with serving(authority, hold) as server, client(authority) as http:
            broker, session = Broker(http, PLATFORM), Session("s", server.url)
            messages = await asyncio.gather(*(broker.poll(session, TOKEN) for _ in range(101)))
            assert messages == [ForceTokenRefresh()] * 101

    run(main())


def test_only_the_given_authorities_are_trusted(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="hello")

        async with serving(authority, answer) as server:
            async with client(authority) as http:
                assert (await http.send(Api.REST, "GET", server.url)).text == "hello"
            async with client(None) as http:
                with pytest.raises(Unreachable) as caught:
                    await http.send(Api.REST, "GET", server.url)
                assert "TLS" in str(caught.value)
                assert "unable to get local issuer certificate" in str(caught.value)

    run(main())


def test_an_unusable_bundle_is_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.crt"
    broken.write_text("no certificate")
    for path in (broken, tmp_path / "absent.crt"):
        with pytest.raises(CaBundleInvalid, match=path.name):
            tls_context(path)


def test_a_bundle_adds_to_the_systems_authorities(authority: SandboxCertificates) -> None:
    assert len(tls_context(authority.ca_path).get_ca_certs()) == len(tls_context(None).get_ca_certs()) + 1


def test_a_poll_that_is_never_answered_ends_with_its_read_deadline(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def never(_: web.Request) -> web.Response:
            await asyncio.Event().wait()
            raise AssertionError

        async with serving(authority, never) as server, client(authority) as http:
            started = time.monotonic()
            broker = Broker(http, PLATFORM, hold_seconds=-4.8)
            assert isinstance(await broker.poll(Session("s", server.url), TOKEN), Unanswered)
            assert time.monotonic() - started < 20

    run(main())


def test_an_answer_that_stops_in_the_middle_is_no_answer(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def half(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"half")
            if request.transport is not None:
                request.transport.abort()
            return response

        async with serving(authority, half) as server, client(authority) as http:
            with pytest.raises(Unreachable) as caught:
                await http.send(Api.REST, "POST", server.url)
            assert "broke before" in str(caught.value)

    run(main())


def test_a_poll_whose_connection_breaks_is_an_error_and_no_timeout(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def vanish(request: web.Request) -> web.StreamResponse:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

        async with serving(authority, vanish) as server, client(authority) as http:
            with pytest.raises(Unreachable) as caught:
                await Broker(http, PLATFORM).poll(Session("s", server.url), TOKEN)
            assert "broke before" in str(caught.value)
            assert not isinstance(caught.value, AnswerTimeout)

    run(main())


def test_a_deletion_is_never_sent_twice(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def vanish_on_deletion(request: web.Request) -> web.StreamResponse:
            if request.method == "DELETE" and request.transport is not None:
                request.transport.abort()
            return web.Response(text="x")

        async with serving(authority, vanish_on_deletion) as server, client(authority) as http:
            # The first call leaves a connection to reuse: on a reused one aiohttp repeats what it calls idempotent.
            await http.send(Api.BROKER, "GET", server.url)
            with pytest.raises(Unreachable) as caught:
                await Broker(http, PLATFORM).delete_session(Session("s", server.url), TOKEN)
            assert "broke before" in str(caught.value)
            assert [request.method for request in server.requests] == ["GET", "DELETE"]

    run(main())


def test_a_reused_connection_that_went_stale_costs_a_poll_nothing(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def vanish_once(request: web.Request) -> web.StreamResponse:
            if len(server.requests) == 2 and request.transport is not None:
                request.transport.abort()
            return web.Response(status=202)

        async with serving(authority, vanish_once) as server, client(authority) as http:
            broker, session = Broker(http, PLATFORM), Session("s", server.url)
            assert await broker.poll(session, TOKEN) is None
            assert await broker.poll(session, TOKEN) is None
            assert len(server.requests) == 3

    run(main())


def test_no_redirect_is_followed_and_no_cookie_kept(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def elsewhere(_: web.Request) -> web.Response:
            response = web.Response(status=307, headers={"Location": "/other"})
            response.set_cookie("session", "planted")
            return response

        async with serving(authority, elsewhere) as server, client(authority) as http:
            for method in ("POST", "GET"):
                assert (await http.send(Api.REST, method, server.url)).status == 307
            assert [request.path for request in server.requests] == ["/", "/"]
            assert [request.headers.get("Cookie") for request in server.requests] == [None, None]

    run(main())


def test_an_answer_that_is_no_http_is_malformed_and_quotes_nothing(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nbroken planted header\r\n\r\n")
            await writer.drain()

        async with raw_server(babble, authority.server_context()) as port, client(authority) as http:
            with pytest.raises(MalformedAnswer) as caught:
                await http.send(Api.REST, "POST", f"https://127.0.0.1:{port}")
            assert "planted" not in repr(caught.value)
            assert caught.value.__context__ is None

    run(main())


def test_a_server_that_never_speaks_tls_is_given_up_after_the_connect_deadline() -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with raw_server(silent, None) as port, client(None) as http:
            with pytest.raises(Unreachable) as caught:
                await http.send(
                    Api.REST, "GET", f"https://127.0.0.1:{port}", deadline=Deadline(5, 5, connect_seconds=0.1)
                )
            assert "in time" in str(caught.value)
            assert not isinstance(caught.value, AnswerTimeout)

    run(main())


def test_a_port_that_nobody_listens_on_refuses() -> None:
    async def main() -> None:
        async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            raise AssertionError

        async with raw_server(never, None) as port:
            pass
        async with client(None) as http:
            with pytest.raises(Unreachable) as caught:
                await http.send(Api.REST, "GET", f"https://127.0.0.1:{port}")
            assert "refuses the connection" in str(caught.value)

    run(main())


def test_requests_go_through_the_given_proxy_and_through_no_other(
    authority: SandboxCertificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async def main() -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="hello")

        async with serving(authority, answer) as server, connect_proxy() as proxy:
            async with client(authority, proxy=proxy.url) as http:
                assert (await http.send(Api.REST, "GET", server.url)).text == "hello"
            assert proxy.tunnels == [server.url.removeprefix("https://")]
            async with client(authority) as http:
                assert (await http.send(Api.REST, "GET", server.url)).text == "hello"
            assert len(proxy.tunnels) == 1

    run(main())


def test_a_hundred_and_one_polls_have_tunnels_of_their_own_and_requests_share_one(
    authority: SandboxCertificates,
) -> None:
    async def main() -> None:
        polls, everyone = 0, asyncio.Event()

        async def hold(request: web.Request) -> web.Response:
            nonlocal polls
            if request.path.endswith("/message"):
                polls += 1
                if polls == 101:
                    everyone.set()
                await everyone.wait()
            return web.Response(status=202)

        async with (
            serving(authority, hold) as server,
            connect_proxy() as proxy,
            client(authority, proxy=proxy.url) as http,
        ):
            for _ in range(3):
                await http.send(Api.RUN_SERVICE, "POST", server.url)
            assert len(proxy.tunnels) == 1
            broker, session = Broker(http, PLATFORM), Session("s", server.url)
            await asyncio.gather(*(broker.poll(session, TOKEN) for _ in range(101)))
            assert len(proxy.tunnels) == 101

    run(main())


def test_a_proxy_changes_nothing_about_whom_is_trusted(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def never(_: web.Request) -> web.Response:
            raise AssertionError

        async with serving(authority, never) as server, connect_proxy() as proxy:
            async with client(None, proxy=proxy.url) as http:
                with pytest.raises(Unreachable) as caught:
                    await http.send(Api.REST, "GET", server.url)
            assert "unable to get local issuer certificate" in str(caught.value)
            assert not server.requests

    run(main())


def test_a_proxy_that_refuses_the_tunnel_is_told_as_such(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 403 planted-reason\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

        async with (
            raw_server(refuse, None) as port,
            client(authority, proxy=f"http://127.0.0.1:{port}") as http,
        ):
            with pytest.raises(ProxyRefused) as caught:
                await http.send(Api.REST, "GET", "https://api.example.test/")
            assert f"the proxy 127.0.0.1:{port} opens no tunnel" in str(caught.value)
            assert "HTTP 403" in str(caught.value)
            assert "planted" not in str(caught.value)
            assert caught.value.status == 0

    run(main())


def test_a_proxy_that_never_answers_is_given_up_after_the_connect_deadline(authority: SandboxCertificates) -> None:
    async def main() -> None:
        async with connect_proxy() as proxy, client(authority, proxy=proxy.url) as http:
            proxy.refusal = 0
            with pytest.raises(Unreachable) as caught:
                await http.send(
                    Api.REST, "GET", "https://api.example.test", deadline=Deadline(60, 60, connect_seconds=0.2)
                )
            assert "in time" in str(caught.value)
            assert not isinstance(caught.value, AnswerTimeout)

    run(main())


def test_closing_with_open_polls_leaves_nothing_behind(authority: SandboxCertificates) -> None:
    async def main() -> None:
        entered, left = asyncio.Event(), asyncio.Event()

        async def hold(_: web.Request) -> web.Response:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()
            raise AssertionError

        async with serving(authority, hold) as server:
            async with client(authority) as http:
                poll = asyncio.create_task(Broker(http, PLATFORM).poll(Session("s", server.url), TOKEN))
                await entered.wait()
                poll.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await poll
            await left.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert others == set()

    run(main())
