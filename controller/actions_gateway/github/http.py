"""One HTTP client for all of GitHub's interfaces: deadlines, size limit, and one translation of everything that fails.

It judges no status: the caller gets every complete answer and decides by its own table (`classification`). It retries
nothing and follows no redirect. Its errors hold no bytes of an answer that the redaction has not seen.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import httpx

from actions_gateway import __version__
from actions_gateway.engine.clock import Clock
from actions_gateway.github.answers import Answer
from actions_gateway.github.connectionproblems import connection_error
from actions_gateway.github.errors import AnswerTimeout, GitHubError, MalformedAnswer
from actions_gateway.github.secrets import Secret
from actions_gateway.github.transport import pooled_transport
from actions_gateway.github.urls import secure_url

USER_AGENT = f"actions-gateway/{__version__}"
CONNECT_SECONDS = 10.0
_LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
"""A job's payload reaches hundreds of KB; what exceeds this is no answer of GitHub."""


class Api(StrEnum):
    """GitHub's interfaces; the values of the metric label `api`."""

    REST = "rest"
    OAUTH = "oauth"
    BROKER = "broker"
    RUN_SERVICE = "run_service"


OnAnswer = Callable[[Api, int | None], None]
"""Hears of every request's end: the interface and the status, None when no answer came."""


def code_class(status: int | None) -> str:
    """The metric label of a status: 2xx to 5xx, `error` without an answer."""
    return "error" if status is None else f"{min(max(status // 100, 2), 5)}xx"


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
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Raises CaBundleInvalid."""
        transport = self._transport or pooled_transport(ca_bundle=self._ca_bundle, proxy=self._proxy)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, cookies=no_cookies)
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(
        self,
        api: Api,
        method: str,
        url: str,
        *,
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
        if self._client is None:
            raise RuntimeError("GitHubHttp is used outside of its async context")
        limits = deadline or self._deadline
        request = self._client.build_request(
            method,
            secure_url(url, "the URL of the request"),
            params=query,
            json=body,
            data=form,
            headers={"User-Agent": USER_AGENT, **(headers or {}), **_authorization(token)},
            timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds, pool=limits.connect_seconds),
        )
        outcome = await self._outcome(self._client, request, limits)
        if self._on_answer is not None:
            self._on_answer(api, outcome.status if isinstance(outcome, Answer) else None)
        if isinstance(outcome, GitHubError):
            raise outcome
        return outcome

    async def _outcome(
        self, client: httpx.AsyncClient, request: httpx.Request, limits: Deadline
    ) -> Answer | GitHubError:
        """Errors are returned: one that is raised while another is handled would keep that one as its context."""
        host = urlsplit(str(request.url)).netloc
        try:
            async with asyncio.timeout(limits.total_seconds):
                async with contextlib.aclosing(await client.send(request, stream=True)) as response:
                    content = await _content(response)
        except TimeoutError:
            return AnswerTimeout(f"{host} did not answer within {limits.total_seconds:g} s")
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError) as problem:
            return connection_error(problem, host, proxy=urlsplit(self._proxy or "").netloc)
        if content is None:
            return MalformedAnswer(f"the answer of {host} is larger than {_LARGEST_ANSWER_BYTES} bytes")
        return Answer(response.status_code, response.headers, content, self.clock.now(), host)


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
