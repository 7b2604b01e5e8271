"""What the absence of an answer means: one translation of the exceptions of httpx, aiohttp and the operating system.

httpx-aiohttp maps aiohttp's exceptions to httpx's by a table of bases: a connection that breaks in the middle of a long
poll arrives as httpx.ConnectTimeout, and a malformed answer arrives as it is. So the original is looked at, and httpx's
own class only where there is no other (a transport in memory).
"""

import ssl

import aiohttp
import httpx

from actions_gateway.github.errors import (
    AnswerTimeout,
    ConnectionBroken,
    GitHubError,
    MalformedAnswer,
    ProxyRefused,
    Unreachable,
)
from actions_gateway.github.transport import ConnectionLost

_NO_ANSWER_YET = (aiohttp.SocketTimeoutError, httpx.ReadTimeout)
_PROXY_UNREACHABLE = (aiohttp.ClientProxyConnectionError, httpx.ProxyError)
_TLS = (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError)
_TIMEOUT = (aiohttp.ServerTimeoutError, httpx.TimeoutException, TimeoutError)
_NOT_CONNECTED = (aiohttp.ClientConnectorError, httpx.ConnectError)
_BROKEN = (
    ConnectionLost,
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    ConnectionError,
)
_UNREADABLE = (aiohttp.ClientResponseError, httpx.DecodingError)

_PROXY_ADVICE = {
    403: "allow the host in the gateway's spec.proxy.allowedHosts, or a private address or other port as an exception"
    " of the manager",
    405: "it takes no CONNECT, so it is no egress proxy",
    407: "it asks for a password, which egress proxies must not",
}
_OTHER_ADVICE = "it has no way to the host now; spec.proxy.accessLog shows why"
"""Sources: RFC 9110 section 9.3.6 (a tunnel's refusal is the proxy's own); Envoy's RBAC filter answers 403, a name that
does not resolve, an address that does not answer and an exhausted limit 503."""


def connection_error(problem: BaseException, host: str, *, proxy: str = "") -> GitHubError:
    """The typed error for whatever kept `host` from answering; never chained to it. `proxy` is what it is called."""
    original = _original(problem)
    if isinstance(original, _NO_ANSWER_YET):
        return AnswerTimeout(f"{host} did not answer in time")
    if isinstance(original, aiohttp.ClientHttpProxyError):
        advice = _PROXY_ADVICE.get(original.status, _OTHER_ADVICE)
        text = f"the proxy {proxy or '(unnamed)'} opens no tunnel to {host} (HTTP {original.status}): {advice}"
        return ProxyRefused(text, proxy_status=original.status)
    if isinstance(original, _UNREADABLE):
        return MalformedAnswer(f"the answer of {host} is no valid HTTP ({type(original).__name__})")
    text = _sentence(original, host, proxy)
    return ConnectionBroken(text) if _is_broken(original) else Unreachable(text)


def _is_broken(original: BaseException) -> bool:
    """Whether there was a connection, and it ended."""
    never_stood = (*_PROXY_UNREACHABLE, *_TLS, *_TIMEOUT, *_NOT_CONNECTED)
    is_refusal = isinstance(getattr(original, "os_error", original), ConnectionRefusedError)
    return isinstance(original, _BROKEN) and not isinstance(original, never_stood) and not is_refusal


def _original(problem: BaseException) -> BaseException:
    cause = problem.__cause__
    is_mapped = isinstance(problem, httpx.HTTPError) and isinstance(cause, aiohttp.ClientError | OSError)
    return cause if is_mapped and cause is not None else problem


def _sentence(original: BaseException, host: str, proxy: str) -> str:
    """In our words and the operating system's; the exceptions' own texts may quote what came over the wire.

    The first match wins: narrow classes stand before their bases.
    """
    if isinstance(original, _PROXY_UNREACHABLE):
        return f"the proxy {proxy or '(unnamed)'} on the way to {host} cannot be reached"
    if isinstance(original, aiohttp.ClientConnectorDNSError):
        return f"the name {original.host} cannot be resolved"
    if isinstance(original, _TLS):
        return f"the TLS connection to {host} failed: {_tls_reason(original)}"
    if isinstance(original, _TIMEOUT):
        return f"no connection to {host} came about in time"
    if isinstance(getattr(original, "os_error", original), ConnectionRefusedError):
        return f"{host} refuses the connection"
    if _is_broken(original):
        return f"the connection to {host} broke before the answer was complete"
    reason = getattr(original, "strerror", None) or type(original).__name__
    return f"{host} cannot be reached: {reason}"


def _tls_reason(original: BaseException) -> str:
    cause = getattr(original, "certificate_error", None) or getattr(original, "os_error", None) or original
    return getattr(cause, "verify_message", None) or getattr(cause, "reason", None) or type(cause).__name__
