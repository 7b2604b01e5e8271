"""What the absence of an answer means: one translation of the exceptions of httpx, aiohttp and the operating system.

httpx-aiohttp maps aiohttp's exceptions to httpx's by a table of bases: a connection that breaks in the middle of a long
poll arrives as httpx.ConnectTimeout, and a malformed answer arrives as it is. So the original is looked at, and httpx's
own class only where there is no other (a transport in memory).
"""

import ssl
from typing import assert_never

import aiohttp
import httpx

from actions_gateway.github.errors import AnswerTimeout, ConnectionProblem, GitHubError, MalformedAnswer, Unreachable
from actions_gateway.github.transport import ConnectionLost

_Kinds = tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ConnectionProblem], ...]

# The first match wins: narrow classes stand before their bases.
_KINDS: _Kinds = (
    ((aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError, httpx.ProxyError), ConnectionProblem.DENIED),
    (aiohttp.ClientConnectorDNSError, ConnectionProblem.DNS),
    ((aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError), ConnectionProblem.TLS),
    ((aiohttp.ServerTimeoutError, httpx.TimeoutException, TimeoutError), ConnectionProblem.TIMEOUT),
    (ConnectionRefusedError, ConnectionProblem.REFUSED),
    ((aiohttp.ClientConnectorError, httpx.ConnectError), ConnectionProblem.UNREACHABLE),
    (
        (
            ConnectionLost,
            aiohttp.ClientConnectionError,
            aiohttp.ClientPayloadError,
            httpx.NetworkError,
            httpx.RemoteProtocolError,
            ConnectionError,
        ),
        ConnectionProblem.RESET,
    ),
)
_NO_ANSWER_YET = (aiohttp.SocketTimeoutError, httpx.ReadTimeout)
_UNREADABLE = (aiohttp.ClientResponseError, httpx.DecodingError)


def connection_error(problem: BaseException, host: str) -> GitHubError:
    """The typed error for whatever kept `host` from answering; never chained to it."""
    original = _original(problem)
    if isinstance(original, _NO_ANSWER_YET):
        return AnswerTimeout(f"{host} did not answer in time")
    kind = _kind(original)
    if kind is not ConnectionProblem.DENIED and isinstance(original, _UNREADABLE):
        return MalformedAnswer(f"the answer of {host} is no valid HTTP ({type(original).__name__})")
    return Unreachable(_sentence(kind, original, host), kind=kind)


def _original(problem: BaseException) -> BaseException:
    cause = problem.__cause__
    is_mapped = isinstance(problem, httpx.HTTPError) and isinstance(cause, aiohttp.ClientError | OSError)
    return cause if is_mapped and cause is not None else problem


def _kind(original: BaseException) -> ConnectionProblem:
    if not isinstance(original, aiohttp.ClientProxyConnectionError) and isinstance(
        getattr(original, "os_error", None), ConnectionRefusedError
    ):
        return ConnectionProblem.REFUSED
    return next((kind for classes, kind in _KINDS if isinstance(original, classes)), ConnectionProblem.UNREACHABLE)


def _sentence(kind: ConnectionProblem, original: BaseException, host: str) -> str:
    """In our words and the operating system's; the exceptions' own texts may quote what came over the wire."""
    match kind:
        case ConnectionProblem.TIMEOUT:
            return f"no connection to {host} came about in time"
        case ConnectionProblem.REFUSED:
            return f"{host} refuses the connection"
        case ConnectionProblem.DNS:
            return f"the name {getattr(original, 'host', host)} cannot be resolved"
        case ConnectionProblem.TLS:
            return f"the TLS connection to {host} failed: {_tls_reason(original)}"
        case ConnectionProblem.DENIED if isinstance(original, aiohttp.ClientHttpProxyError):
            return f"the proxy refuses the way to {host} (HTTP {original.status})"
        case ConnectionProblem.DENIED:
            return f"the proxy on the way to {host} cannot be reached"
        case ConnectionProblem.RESET:
            return f"the connection to {host} broke before the answer was complete"
        case ConnectionProblem.UNREACHABLE:
            reason = getattr(original, "strerror", None) or type(original).__name__
            return f"{host} cannot be reached: {reason}"
        case _:
            assert_never(kind)


def _tls_reason(original: BaseException) -> str:
    cause = getattr(original, "certificate_error", None) or getattr(original, "os_error", None) or original
    return getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or type(cause).__name__
