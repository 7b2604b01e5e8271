"""A GitHub that answers from a list, and the credentials that these tests share."""

import base64
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from actions_gateway.github.answers import Answer
from actions_gateway.github.app import AppCredentials, key_fingerprint
from actions_gateway.github.broker import RunnerPlatform
from actions_gateway.github.http import Api, Endpoint, GitHubHttp
from actions_gateway.github.jit import JitConfig, parse_jit_config
from actions_gateway.github.secrets import Secret
from support.clock import ManualClock

TOKEN = Secret("ghs_0123456789abcdefghij")
PLATFORM = RunnerPlatform("2.335.1")
BROKER_URL = "https://broker.example.test/"
AUTHORIZATION_URL = "https://tokens.example.test/_apis/oauth2/token"

Reply = httpx.Response | BaseException | Callable[[httpx.Request], Awaitable[httpx.Response]]


def reply(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    """An answer; a body that is no text or bytes becomes JSON, `_` in header names becomes `-`."""
    content = body if isinstance(body, str | bytes) else json.dumps(body) if body is not None else b""
    return httpx.Response(status, content=content, headers={name.replace("_", "-"): v for name, v in headers.items()})


@dataclass
class Double:
    """The client under test, what it sent, and what the hook heard."""

    http: GitHubHttp
    clock: ManualClock
    requests: list[httpx.Request] = field(default_factory=list)
    heard: list[tuple[Api, int | None]] = field(default_factory=list)

    asked: list[Endpoint] = field(default_factory=list)

    def hear(self, api: Api, endpoint: Endpoint, answer: Answer | None) -> None:
        self.heard.append((api, None if answer is None else answer.status))
        self.asked.append(endpoint)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    def body(self, index: int = -1) -> Any:
        """A request's JSON body."""
        return json.loads(self.requests[index].content)

    def form(self, index: int = -1) -> dict[str, str]:
        """A request's form fields."""
        return {name: values[0] for name, values in parse_qs(self.requests[index].content.decode()).items()}


@asynccontextmanager
async def github(*replies: Reply, **options: Any) -> AsyncIterator[Double]:
    """A GitHub that gives these answers in turn; running out of them is an AssertionError."""
    pending = list(replies)
    clock = ManualClock()

    async def handle(request: httpx.Request) -> httpx.Response:
        double.requests.append(request)
        assert pending, f"no answer is left for {request.method} {request.url}"
        answer = pending.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, httpx.Response) else await answer(request)

    http = GitHubHttp(
        clock,
        transport=httpx.MockTransport(handle),
        on_answer=lambda *heard: double.hear(*heard),
        **options,
    )
    double = Double(http, clock)
    async with http:
        yield double


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for all tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def credentials() -> AppCredentials:
    return AppCredentials("12345", 678, rsa_key(), key_fingerprint(rsa_key()))


def encode_number(number: int, *, leading_zeros: int = 0) -> str:
    return encode(b"\0" * leading_zeros + number.to_bytes((number.bit_length() + 7) // 8, "big"))


def encode(content: bytes | str) -> str:
    return base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()


def rsa_parameters(**changes: int) -> dict[str, str]:
    """The content of `.credentials_rsaparams`; `changes` replaces numbers by name."""
    numbers = rsa_key().private_numbers()
    named = {
        "d": numbers.d,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "exponent": numbers.public_numbers.e,
        "inverseQ": numbers.iqmp,
        "modulus": numbers.public_numbers.n,
        "p": numbers.p,
        "q": numbers.q,
    }
    return {name: encode_number(number) for name, number in (named | changes).items()}


def runner_file(**changes: Any) -> dict[str, Any]:
    """`.runner` as github.com writes it: PascalCase names, everything a string."""
    return {
        "AgentId": "28620",
        "AgentName": "team-a-7",
        "PoolId": "1",
        "PoolName": None,
        "ServerUrl": "https://pipelines.example.test/tenant/",
        "ServerUrlV2": BROKER_URL,
        "UseV2Flow": "True",
        "WorkFolder": "_work",
        "GitHubUrl": "",
        "Ephemeral": "True",
    } | changes


def credentials_file(**changes: Any) -> dict[str, Any]:
    return {"Scheme": "OAuth", "Data": {"clientId": "client-1", "authorizationUrl": AUTHORIZATION_URL} | changes}


def jit_blob(
    runner: dict[str, Any] | None = None,
    access: dict[str, Any] | None = None,
    parameters: dict[str, str] | None = None,
    *,
    prefix: str = "",
) -> str:
    """An `encoded_jit_config`; `prefix` stands before each file's JSON."""
    files = {
        ".runner": runner if runner is not None else runner_file(),
        ".credentials": access if access is not None else credentials_file(),
        ".credentials_rsaparams": parameters if parameters is not None else rsa_parameters(),
    }
    return encode(json.dumps({name: encode(prefix + json.dumps(content)) for name, content in files.items()}))


def jit_config(**access: Any) -> JitConfig:
    return parse_jit_config(jit_blob(access=credentials_file(**access)))
