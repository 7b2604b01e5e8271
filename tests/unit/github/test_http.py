"""The one HTTP client: what it refuses, what it bounds, and how everything that fails becomes a typed error."""

import asyncio
import gzip
import ssl
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from actions_gateway.github import errors as e
from actions_gateway.github.answers import Answer
from actions_gateway.github.connectionproblems import connection_error
from actions_gateway.github.http import Api, Deadline, GitHubHttp, answer_class, code_class
from support.aio import run
from support.clock import START, ManualClock

from .doubles import TOKEN, Reply, github, reply

URL_TEXT = "https://api.example.test/x"
PLANTED = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVk.cGxhbnRlZHNpZ25hdHVyZQ"


def failure(answer: Reply, **options: Any) -> e.GitHubError:
    async def main() -> e.GitHubError:
        async with github(answer) as double:
            with pytest.raises(e.GitHubError) as caught:
                await double.http.send(Api.REST, "GET", URL_TEXT, token=TOKEN, **options)
            assert double.heard == [(Api.REST, None)]
            return caught.value

    return run(main())


def test_every_complete_answer_is_returned_whatever_its_status() -> None:
    async def main() -> None:
        async with github(reply(204), reply(302, "", Location="https://x.test/"), reply(500, "oops")) as double:
            seen = [await double.http.send(Api.BROKER, "GET", URL_TEXT) for _ in range(3)]
            assert [(answer.status, answer.content) for answer in seen] == [(204, b""), (302, b""), (500, b"oops")]
            assert double.heard == [(Api.BROKER, 204), (Api.BROKER, 302), (Api.BROKER, 500)]
            assert len(double.requests) == 3

    run(main())


def test_a_compressed_answer_is_unpacked_and_a_broken_one_is_malformed() -> None:
    async def main() -> None:
        packed = httpx.Response(200, content=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
        async with github(packed) as double:
            answer = await double.http.send(Api.REST, "GET", URL_TEXT)
            assert answer.fields().number("a") == 1

    run(main())

    async def broken(_: httpx.Request) -> httpx.Response:
        class Stream(httpx.AsyncByteStream):
            async def __aiter__(self) -> Any:
                yield b"no gzip"

        return httpx.Response(200, stream=Stream(), headers={"Content-Encoding": "gzip"})

    assert type(failure(broken)) is e.MalformedAnswer


@pytest.mark.parametrize("url", ["http://api.example.test/x", "https://", "ftp://a.test/", "/x"])
def test_only_https_is_ever_asked(url: str) -> None:
    async def main() -> None:
        async with github() as double:
            with pytest.raises(ValueError, match="the URL of the request"):
                await double.http.send(Api.REST, "GET", url, token=TOKEN)
            assert double.requests == []

    run(main())


def test_the_client_is_used_inside_its_context_only() -> None:
    async def main() -> None:
        http = GitHubHttp(ManualClock(), transport=httpx.MockTransport(lambda _: httpx.Response(200)))
        with pytest.raises(RuntimeError):
            await http.send(Api.REST, "GET", URL_TEXT)
        async with http:
            assert (await http.send(Api.REST, "GET", URL_TEXT)).is_success
        with pytest.raises(RuntimeError):
            await http.send(Api.REST, "GET", URL_TEXT)

    run(main())


def test_cookies_are_neither_kept_nor_sent() -> None:
    async def main() -> None:
        baked = reply(200, "", Set_Cookie="session=planted; Domain=example.test; Path=/")
        async with github(baked, reply(200)) as double:
            for _ in range(2):
                await double.http.send(Api.REST, "GET", URL_TEXT)
            assert "cookie" not in double.last.headers

    run(main())


def test_bodies_are_json_or_forms() -> None:
    async def main() -> None:
        async with github(reply(200), reply(200), reply(200)) as double:
            await double.http.send(Api.REST, "POST", URL_TEXT, body={"a": [1]})
            assert (double.body(), double.last.headers["content-type"]) == ({"a": [1]}, "application/json")
            await double.http.send(Api.REST, "POST", URL_TEXT, form={"a": "b c"})
            assert double.form() == {"a": "b c"}
            await double.http.send(Api.REST, "POST", URL_TEXT)
            assert (double.last.content, double.last.headers["content-length"]) == (b"", "0")

    run(main())


def test_a_call_has_one_deadline_for_everything() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    error = failure(never, deadline=Deadline.within(0.02))
    assert type(error) is e.AnswerTimeout
    assert str(error) == "api.example.test did not answer within 0.02 s"
    assert Deadline.within(30) == Deadline(total_seconds=30, read_seconds=30, connect_seconds=10)
    assert Deadline.within(5) == Deadline(total_seconds=5, read_seconds=5, connect_seconds=5)


def test_a_cancelled_call_is_cancelled() -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def never(_: httpx.Request) -> httpx.Response:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError

        async with github(never) as double:
            task = asyncio.create_task(double.http.send(Api.REST, "GET", URL_TEXT))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


def test_an_endless_answer_is_cut_off() -> None:
    async def endless(_: httpx.Request) -> httpx.Response:
        class Stream(httpx.AsyncByteStream):
            async def __aiter__(self) -> Any:
                while True:
                    yield b"x" * 1_000_000

        return httpx.Response(200, stream=Stream())

    assert "larger than" in str(failure(endless))


KEY = ConnectionKey("api.example.test", 443, True, True, None, None, None, None)
INFO = aiohttp.RequestInfo(
    URL(URL_TEXT), "GET", CIMultiDictProxy(CIMultiDict({"Authorization": PLANTED})), URL(URL_TEXT)
)


def made(kind: type[BaseException]) -> BaseException:
    """An exception of `kind` whose text holds a planted token wherever the wire could have put one."""
    if issubclass(kind, aiohttp.ClientConnectorCertificateError):
        return kind(KEY, ssl.SSLCertVerificationError(1, "certificate verify failed"))
    if issubclass(kind, aiohttp.client_exceptions.UnixClientConnectorError):
        return kind("path", KEY, OSError(111, "Connection refused"))
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(KEY, OSError(111, "Connection refused"))
    if issubclass(kind, aiohttp.ClientResponseError):
        return kind(INFO, (), status=403, message=PLANTED)
    if issubclass(kind, aiohttp.ServerFingerprintMismatch):
        return kind(b"a", b"b", "host", 443)
    return kind(PLANTED)


def leaves(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for child in root.__subclasses__():
        yield from leaves(child)


LIBRARY_ERRORS = sorted(
    {*leaves(httpx.RequestError), *leaves(aiohttp.ClientError), *leaves(httpx.StreamError)}
    - {kind for kind in leaves(httpx.StreamError) if kind is not httpx.StreamError},
    key=lambda kind: (kind.__module__, kind.__name__),
)


@pytest.mark.parametrize("kind", LIBRARY_ERRORS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_the_libraries_becomes_a_redacted_error_of_ours(kind: type[BaseException]) -> None:
    error = connection_error(made(kind), "api.example.test")
    assert isinstance(error, e.Transient)
    assert "api.example.test" in str(error)
    assert "cGxhbnRlZ" not in f"{error!r} {vars(error)}"


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (httpx.ConnectTimeout("x"), "in time"),
        (httpx.PoolTimeout("x"), "in time"),
        (httpx.ConnectError("x"), "cannot be reached"),
        (httpx.ReadError("x"), "broke before"),
        (httpx.RemoteProtocolError("x"), "broke before"),
        (httpx.ProxyError("x"), "proxy"),
        (aiohttp.ServerDisconnectedError(), "broke before"),
        (aiohttp.ClientPayloadError(), "broke before"),
        (aiohttp.ClientOSError(104, "reset by peer"), "broke before"),
        (aiohttp.ConnectionTimeoutError(), "in time"),
        (
            aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "refused")),
            "refuses the connection",
        ),
        (aiohttp.ClientConnectorError(KEY, OSError(113, "No route to host")), "cannot be reached"),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")), "cannot be resolved"),
        (aiohttp.ClientProxyConnectionError(KEY, ConnectionRefusedError(111, "refused")), "proxy"),
        (aiohttp.ClientHttpProxyError(INFO, (), status=403, message=PLANTED), "proxy"),
        (ConnectionResetError("x"), "broke before"),
        (OSError("x"), "cannot be reached"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_text_says_why_there_was_no_answer(problem: BaseException, words: str) -> None:
    error = connection_error(problem, "api.example.test")
    assert isinstance(error, e.Unreachable)
    assert not isinstance(error, e.AnswerTimeout)
    assert words in str(error)


@pytest.mark.parametrize(("status", "advice"), [(403, "allowedHosts"), (405, "CONNECT"), (503, "accessLog")])
def test_a_proxys_refusal_is_no_answer_of_github(status: int, advice: str) -> None:
    problem = aiohttp.ClientHttpProxyError(INFO, (), status=status, message=PLANTED)
    error = connection_error(problem, "api.example.test", proxy="proxy.team-a:8080")
    assert isinstance(error, e.ProxyRefused)
    assert (error.status, error.proxy_status) == (0, status)
    for words in ("proxy.team-a:8080", "api.example.test", f"HTTP {status}", advice):
        assert words in str(error)
    assert PLANTED[-10:] not in repr(error)


@pytest.mark.parametrize(
    ("problem", "is_broken"),
    [
        (aiohttp.ServerDisconnectedError(), True),
        (ConnectionResetError("x"), True),
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "refused")), False),
        (aiohttp.ClientProxyConnectionError(KEY, ConnectionRefusedError(111, "refused")), False),
        (aiohttp.ConnectionTimeoutError(), False),
        (ConnectionRefusedError(111, "refused"), False),
    ],
)
def test_a_connection_that_stood_and_broke_is_told_from_one_that_never_stood(
    problem: BaseException, is_broken: bool
) -> None:
    assert isinstance(connection_error(problem, "host"), e.ConnectionBroken) is is_broken


@pytest.mark.parametrize("problem", [httpx.ReadTimeout("x"), aiohttp.SocketTimeoutError("x")])
def test_a_missing_answer_is_told_from_a_missing_connection(problem: BaseException) -> None:
    assert type(connection_error(problem, "host")) is e.AnswerTimeout


def test_the_original_exception_is_looked_at_behind_the_mapped_one() -> None:
    mapped = httpx.ConnectTimeout("Server disconnected")
    mapped.__cause__ = aiohttp.ServerDisconnectedError()
    error = connection_error(mapped, "host")
    assert isinstance(error, e.Unreachable)
    assert "broke before" in str(error)


def test_an_error_carries_no_chain_that_could_hold_what_came_over_the_wire() -> None:
    for answer in (httpx.ReadError(PLANTED), httpx.DecodingError(PLANTED), aiohttp.ClientPayloadError(PLANTED)):
        error = failure(answer)
        assert error.__cause__ is None
        assert error.__context__ is None
        assert PLANTED[-10:] not in repr(error)


@pytest.mark.parametrize(
    ("status", "label"), [(200, "2xx"), (204, "2xx"), (302, "3xx"), (404, "4xx"), (503, "5xx"), (None, "error")]
)
def test_statuses_are_counted_in_classes(status: int | None, label: str) -> None:
    assert code_class(status) == label


@pytest.mark.parametrize(
    ("status", "headers", "label"),
    [
        (200, {}, "2xx"),
        (401, {}, "4xx"),
        (403, {}, "4xx"),
        (429, {}, "limited"),
        (403, {"retry-after": "60"}, "limited"),
        (403, {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, "limited"),
    ],
)
def test_an_answer_that_asks_to_wait_refuses_nothing(status: int, headers: dict[str, str], label: str) -> None:
    assert answer_class(Answer(status, headers, b"", START)) == label
    assert answer_class(None) == "error"
