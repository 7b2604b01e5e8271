"""The connection pool below the HTTP client: the httpx API on aiohttp's connections.

httpx's own pool pays for every open connection on every request, and its `max_connections=None` silently becomes 100
through the aiohttp transport; hence a session of our own whose connector has no limit. One TLS context, one set of
trusted authorities, one explicit proxy: nothing is taken from the environment.
"""

import ssl
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

_KEEPALIVE_SECONDS = 75.0
"""Over the renewal interval of a minute, so that a job's renewals share one connection."""


class ConnectionLost(aiohttp.ClientError):
    """The connection ended before the answer; raised in place of those errors after which aiohttp repeats a request."""


class CaBundleInvalid(ValueError):
    """The configured certificate authorities cannot be used; the text names the file."""


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """The system's authorities and those of `ca_bundle`; raises CaBundleInvalid."""
    context = ssl.create_default_context()
    if ca_bundle is None:
        return context
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except FileNotFoundError:
        problem = "does not exist"
    except (OSError, ssl.SSLError) as failure:
        problem = f"holds no usable PEM certificates ({type(failure).__name__})"
    else:
        return context
    raise CaBundleInvalid(f"the CA bundle {ca_bundle} {problem}")


def pooled_transport(*, ca_bundle: Path | None, proxy: str | None) -> httpx.AsyncBaseTransport:
    """A transport without a connection limit; call it inside the running loop, closing it closes its connections."""
    context = tls_context(ca_bundle)
    connector = aiohttp.TCPConnector(limit=0, ssl=context, keepalive_timeout=_KEEPALIVE_SECONDS)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        middlewares=(_delete_once,),
    )
    return AiohttpTransport(
        verify=context, trust_env=False, proxy=httpx.Proxy(proxy) if proxy else None, client=session
    )


async def _delete_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from repeating a DELETE by itself when a reused connection breaks.

    It does so for methods that HTTP calls idempotent. Deleting a session is not: the broker finds the session by the
    runner's token, so a late second DELETE ends the runner's next session.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as problem:
        is_unsent = isinstance(problem, aiohttp.ClientConnectorError)
        if request.method != "DELETE" or is_unsent:
            raise
    raise ConnectionLost("the connection ended before the answer")
