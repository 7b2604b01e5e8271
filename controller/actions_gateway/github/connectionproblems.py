"""What the absence of an answer means: one translation of the exceptions of httpx, aiohttp and the operating system.

httpx-aiohttp maps aiohttp's exceptions to httpx's by a table of bases: a connection that breaks in the middle of a long
poll arrives as httpx.ConnectTimeout, and a malformed answer arrives as it is. So the original is looked at, and httpx's
own class only where there is no other (a transport in memory).
"""

import ssl

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
    return Unreachable(f"{host} gives no answer ({kind}): {_description(original)}", kind=kind)


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


def _description(original: BaseException) -> str:
    """Our side's own words; others may quote what came over the wire."""
    if isinstance(original, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {original.status} to the request for a tunnel"
    if isinstance(original, aiohttp.ClientConnectorError | ssl.SSLError):
        return str(original)
    return type(original).__name__
