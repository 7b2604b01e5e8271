"""HTTPS to the results service and the run service with the job's token, on one kept connection per origin.

Proxy rules: actions/runner `src/Runner.Sdk/RunnerWebProxy.cs` (lower case wins, loopback always bypasses).
Certificates: OpenSSL's SSL_CERT_FILE, as .NET reads it. completejob: `src/Sdk/RSWebApi/RunServiceHttpClient.cs`.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from urllib.parse import unquote, urljoin, urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from urllib.parse import SplitResult

TIMEOUT_SECONDS = 30.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Where .NET counts all of 127/8, this leaves the rest out: there the sandbox's GitHub stands for a remote host."""


class ServiceError(Exception):
    """The service did not accept a request; `status` is 0 when there was no answer."""

    def __init__(self, text: str, *, status: int) -> None:
        super().__init__(text)
        self.status = status


class ServiceClient:
    """Posts with one bearer token; usable from several threads, one request at a time."""

    def __init__(self, token: str, environ: Mapping[str, str]) -> None:
        self._token = token
        self._environ = environ
        self._lock = threading.Lock()
        self._connections: dict[tuple[str, str], http.client.HTTPConnection] = {}
        self._tls: ssl.SSLContext | None = None

    def post_json(self, base_url: str, path: str, body: Any) -> None:
        """Raises ServiceError."""
        self._post(urljoin(base_url, path), json.dumps(body).encode(), "application/json; charset=utf-8")

    def post_text(self, base_url: str, path: str, text: str) -> None:
        """Raises ServiceError."""
        self._post(urljoin(base_url, path), text.encode("utf-8", "replace"), "text/plain; charset=utf-8")

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def _post(self, url: str, data: bytes, content_type: str) -> None:
        with self._lock:
            try:
                status = self._exchange(urlsplit(url), data, content_type)
            except (OSError, http.client.HTTPException) as exc:
                raise ServiceError(f"{type(exc).__name__}: {exc}", status=0) from exc
        if not 200 <= status < 300:
            raise ServiceError(f"HTTP status {status}", status=status)

    def _exchange(self, url: SplitResult, data: bytes, content_type: str) -> int:
        """Sends once, and once more on a new connection when the kept one turned out to be closed."""
        key = (url.scheme, url.netloc)
        is_kept = key in self._connections
        connection = self._connections.get(key) or self._connect(url)
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": content_type,
            "User-Agent": "runner-worker",
        }
        try:
            connection.request("POST", url.path + (f"?{url.query}" if url.query else ""), data, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            if self._connections.pop(key, None) is None or not is_kept:
                raise
            return self._exchange(url, data, content_type)
        self._connections[key] = connection
        return response.status

    def _connect(self, url: SplitResult) -> http.client.HTTPConnection:
        host, is_tls = url.hostname or "", url.scheme == "https"
        proxy = proxy_for(url, self._environ)
        target = proxy or url
        port = target.port or (443 if target.scheme == "https" else 80)
        connection: http.client.HTTPConnection
        if is_tls:
            self._tls = self._tls or ssl.create_default_context(cafile=self._environ.get("SSL_CERT_FILE") or None)
            connection = http.client.HTTPSConnection(
                target.hostname or "", port, timeout=TIMEOUT_SECONDS, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(target.hostname or "", port, timeout=TIMEOUT_SECONDS)
        if proxy is not None:
            connection.set_tunnel(host, url.port or (443 if is_tls else 80), _proxy_headers(proxy))
        return connection


def proxy_for(url: SplitResult, environ: Mapping[str, str]) -> SplitResult | None:
    """The proxy that the environment names for `url`, None for a direct connection."""
    name = f"{url.scheme}_proxy"
    value = environ.get(name) or environ.get(name.upper()) or ""
    host = (url.hostname or "").lower()
    if not value or host in LOOPBACK:
        return None
    for entry in (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(","):
        if _bypasses(entry.strip().lower(), host, url.port):
            return None
    return urlsplit(value if "://" in value else f"http://{value}")


def _bypasses(entry: str, host: str, port: int | None) -> bool:
    """One entry of no_proxy: `*`, `host`, `.suffix` or `host:port`; a host covers its subdomains, IPv4 is ignored."""
    name, _, entry_port = entry.partition(":")
    if not name or name.replace(".", "").isdigit() or (entry_port and entry_port != str(port)):
        return False
    bare = name.lstrip(".")
    return name == "*" or host == bare or host.endswith("." + bare)


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
