"""One HTTP client for all of GitHub's interfaces: deadlines, size limit, and one translation of everything that fails.

It judges no status: the caller gets every complete answer and decides by its own table (`classification`). It retries
nothing and follows no redirect. Its errors hold no bytes of an answer that the redaction has not seen.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import httpx

from actions_gateway import __version__
from actions_gateway.engine.clock import Clock
from actions_gateway.github.answers import Answer, throttle_seconds
from actions_gateway.github.connectionproblems import connection_error
from actions_gateway.github.errors import AnswerTimeout, GitHubError, MalformedAnswer
from actions_gateway.github.secrets import Secret
from actions_gateway.github.transport import pooled_transport
from actions_gateway.github.urls import secure_url

USER_AGENT = f"actions-gateway/{__version__}"
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
CONNECT_SECONDS = 10.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
"""A job's payload reaches hundreds of KB; what exceeds this is no answer of GitHub."""


class Api(StrEnum):
    """GitHub's interfaces."""

    REST = "rest"
    OAUTH = "oauth"
    BROKER = "broker"
    RUN_SERVICE = "run_service"


class Endpoint(StrEnum):
    """What is asked of them; the values of the metric label `endpoint`."""

    TOKEN = "token"
    REGISTER = "register"
    DELETE_RUNNER = "delete_runner"
    LIST_RUNNERS = "list_runners"
    RUN = "run"
    JOBS = "jobs"
    RERUN = "rerun"
    CANCEL = "cancel"
    OAUTH = "oauth"
    CREATE_SESSION = "create_session"
    DELETE_SESSION = "delete_session"
    POLL = "poll"
    ACKNOWLEDGE = "acknowledge"
    ACQUIRE = "acquire"
    RENEW = "renew"
    COMPLETE = "complete"
    OTHER = "other"


OnAnswer = Callable[[Api, Endpoint, Answer | None], None]
"""Hears of every request's end: interface, endpoint and answer, None when none came."""


def code_class(status: int | None) -> str:
    """The metric label of a status: 2xx to 5xx, `error` without an answer."""
    return "error" if status is None else f"{min(max(status // 100, 2), 5)}xx"


def answer_class(answer: Answer | None) -> str:
    """The same of an answer, and `limited` for one that asks to wait: it refuses nothing."""
    if answer is not None and throttle_seconds(answer, default_seconds=0) is not None:
        return "limited"
    return code_class(None if answer is None else answer.status)


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long one request may take."""

    total_seconds: float
    read_seconds: float
    """Between two pieces of the answer, and from the request to the first of them."""
    connect_seconds: float = CONNECT_SECONDS

    @classmethod
    def within(cls, seconds: float) -> Self:
        """One limit for everything."""
        return cls(total_seconds=seconds, read_seconds=seconds, connect_seconds=min(seconds, CONNECT_SECONDS))

    @property
    def phases(self) -> dict[str, float]:
        """As httpx hands it to its transports."""
        reading, connecting = self.read_seconds, self.connect_seconds
        return {"connect": connecting, "read": reading, "write": reading, "pool": connecting}


class GitHubHttp:
    """Requests to GitHub; use as an async context manager.

    `transport` replaces the network, for a double in memory; it then also decides about connections and TLS.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        timeout_seconds: float = 30.0,
        ca_bundle: Path | None = None,
        proxy: str | None = None,
        on_answer: OnAnswer | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.clock = clock
        self._deadline = Deadline.within(timeout_seconds)
        self._ca_bundle = ca_bundle
        self._proxy = proxy
        self._on_answer = on_answer
        self._transport = transport
        self._open: httpx.AsyncBaseTransport | None = None

    async def __aenter__(self) -> Self:
        """Raises CaBundleInvalid."""
        # No httpx.AsyncClient above it: redirects, cookies and authentication flows are none of ours, and looking for
        # them takes a third of a request's CPU.
        self._open = self._transport or pooled_transport(ca_bundle=self._ca_bundle, proxy=self._proxy)
        return self

    async def __aexit__(self, *_: object) -> None:
        transport, self._open = self._open, None
        if transport is not None:
            await transport.aclose()

    async def send(
        self,
        api: Api,
        method: str,
        url: str,
        *,
        endpoint: Endpoint = Endpoint.OTHER,
        token: Secret | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
    ) -> Answer:
        """The complete answer, whatever its status; `body` is sent as JSON, `form` as form fields.

        Raises Unreachable, AnswerTimeout or MalformedAnswer; ValueError when the URL is not https.
        """
        if self._open is None:
            raise RuntimeError("GitHubHttp is used outside of its async context")
        limits = deadline or self._deadline
        request = httpx.Request(
            method,
            _parsed(url),
            params=query,
            json=body,
            data=form,
            headers={**_HEADERS, **(headers or {}), **_authorization(token)},
            extensions={"timeout": limits.phases},
        )
        outcome = await self._outcome(self._open, request, limits)
        if self._on_answer is not None:
            self._on_answer(api, endpoint, outcome if isinstance(outcome, Answer) else None)
        if isinstance(outcome, GitHubError):
            raise outcome
        return outcome

    async def _outcome(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request, limits: Deadline
    ) -> Answer | GitHubError:
        """Errors are returned: one that is raised while another is handled would keep that one as its context."""
        host = request.url.netloc.decode("ascii")
        try:
            async with asyncio.timeout(limits.total_seconds):
                async with contextlib.aclosing(await transport.handle_async_request(request)) as response:
                    content = await _content(response)
        except TimeoutError:
            return AnswerTimeout(f"{host} did not answer within {limits.total_seconds:g} s")
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError) as problem:
            return connection_error(problem, host, proxy=urlsplit(self._proxy or "").netloc)
        if content is None:
            return MalformedAnswer(f"the answer of {host} is larger than {_LARGEST_ANSWER_BYTES} bytes")
        return Answer(response.status_code, response.headers, content, self.clock.now(), host)


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    """Most requests go to few addresses, and to parse one takes longer than all else that a request is made of."""
    return httpx.URL(secure_url(url, "the URL of the request"))


async def _content(response: httpx.Response) -> bytes | None:
    """The whole body, None when it is too large."""
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > _LARGEST_ANSWER_BYTES:
            return None
    return bytes(content)


def _authorization(token: Secret | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal()}"}
