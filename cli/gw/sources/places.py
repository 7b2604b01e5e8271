"""Where Prometheus and Alertmanager are asked: at a URL that was named, or behind the API server's proxy for Services.

Sources: Kubernetes documentation, "Access Services Running on Clusters": the proxy is
`/api/v1/namespaces/NS/services/[https:]NAME:PORT/proxy`, and its own refusals are `Status` objects.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from actions_gateway.kube import errors
from gw.errors import Refused
from gw.sources.cluster import Cluster, one_line
from gw.sources.discovery import Found, find_service
from gw.sources.endpoints import ALERTMANAGER, PROMETHEUS, TIMEOUT_SECONDS, Endpoint, NoAnswer, Product, Reply

if TYPE_CHECKING:
    import httpx

    from gw.sources.github import GitHubAccess

HttpClient: TypeAlias = "httpx.AsyncClient"
OpenHttp = Callable[[], "HttpClient"]

_HOST = re.compile(r"[\w.:-]+")
"""As httpx gives it: an IPv6 address without its brackets, a name decoded."""
_EXAMPLES = {
    **{product.option: f"http://localhost:{product.port}" for product in (PROMETHEUS, ALERTMANAGER)},
    "--runbook-url": "https://docs.example.com/actions-gateway",
    "--grafana-url": "https://grafana.example.com",
}
"""By the options that take a URL."""
_ASKED = (PROMETHEUS.option, ALERTMANAGER.option)
"""The others end up in links."""


def open_http() -> "HttpClient":
    """The real client: trusts what the machine trusts (SSL_CERT_FILE adds to it) and takes the proxies it names."""
    import httpx

    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where monitoring is asked, None leaves it to discovery in the cluster; and with what GitHub is."""

    prometheus_url: str | None = None
    alertmanager_url: str | None = None
    open_http: OpenHttp = open_http
    github: "GitHubAccess | None" = None
    """The App's key, of a caller who has it; None asks GitHub nothing."""


def parse_url(text: str, option: str) -> str:
    """The base URL that an option names, without a slash at its end; raises Refused.

    No refusal repeats the text: passwords and tokens are pasted into URLs, at places that only a valid one would tell.
    """
    import httpx

    example = f"Write {option} {_EXAMPLES[option]}, for example."
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as problem:
        raise Refused(f"{option}: this is no URL", example) from problem
    if url.userinfo and option in _ASKED:
        raise Refused(
            f"{option}: the URL holds a password, which others on this machine could read",
            "Reach it past its login, as with kubectl port-forward, and name that address.",
        )
    if url.userinfo:
        raise Refused(f"{option}: the URL holds a password, which every reader of a link would see", example)
    if "?" in text or "#" in text:
        raise Refused(f"{option}: a base URL has no query and no fragment", example)
    if url.scheme not in ("http", "https") or not _has_place(url):
        raise Refused(f"{option}: this is no base URL of http or https", example)
    return str(url).rstrip("/")


def _has_place(url: "httpx.URL") -> bool:
    """Whether there can be such a host and port, which httpx does not look at."""
    return _HOST.fullmatch(url.host) is not None and (url.port is None or 0 < url.port < 2**16)


@dataclass
class Endpoints:
    """The two endpoints of one look, each found at most once; use as an async context manager."""

    sources: Sources
    cluster: Cluster
    namespace: str | None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _http: "HttpClient | None" = None
    _found: dict[Product, asyncio.Task[Endpoint]] = field(default_factory=dict)

    async def __aenter__(self) -> "Endpoints":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def prometheus(self) -> Endpoint:
        """Raises NoAnswer, or KubeError."""
        return await self._once(PROMETHEUS, self.sources.prometheus_url)

    async def alertmanager(self) -> Endpoint:
        """Raises NoAnswer, or KubeError."""
        return await self._once(ALERTMANAGER, self.sources.alertmanager_url)

    async def _once(self, product: Product, url: str | None) -> Endpoint:
        if product not in self._found:
            self._found[product] = asyncio.create_task(self._find(product, url))
        return await self._found[product]

    async def _find(self, product: Product, url: str | None) -> Endpoint:
        if url is not None:
            return await self._named(product, url)
        found = await find_service(self.cluster, self.namespace, product.selectors, product.port)
        if found is None:
            raise NoAnswer(
                f"there is no {product.name} in this cluster: no Service has the label {product.selectors[0]}",
                f"Name one with {product.option} URL.",
                is_lasting=True,
            )
        if found.forbidden:
            raise NoAnswer(
                f"no {product.name} was found: {found.forbidden}",
                f"Name one with {product.option} URL, or ask the platform's owners for the right to list services.",
                is_forbidden=True,
            )
        return proxied(product, self.cluster, found)

    async def _named(self, product: Product, url: str) -> Endpoint:
        if self._http is None:
            try:
                self._http = self.sources.open_http()
            except (ImportError, ValueError) as problem:  # A proxy that the environment names and httpx cannot take.
                raise NoAnswer(
                    f"{product.name} at {url} cannot be asked: {one_line(str(problem))}",
                    "Name another proxy in HTTPS_PROXY and ALL_PROXY, or none.",
                    is_lasting=True,
                ) from problem
            await self._stack.enter_async_context(self._http)
        return direct(product, self._http, url)


def direct(product: Product, client: "HttpClient", url: str) -> Endpoint:
    """The endpoint at a URL."""
    import httpx

    async def send(path: str, query: Mapping[str, str]) -> Reply:
        return await answered(client.get(url + path, params=dict(query)))

    async def change(method: str, path: str, body: Any) -> Reply:
        return await answered(client.request(method, url + path, json=body))

    async def answered(request: Awaitable[httpx.Response]) -> Reply:
        try:
            response = await request
        except httpx.TimeoutException:
            raise TimeoutError from None
        except httpx.HTTPError as problem:
            raise NoAnswer(
                f"{product.name} at {url} gives no answer: {one_line(str(problem)) or type(problem).__name__}",
                f"See whether it runs, or name another one with {product.option} URL.",
                is_down=True,
            ) from problem
        return Reply(response.status_code, response.content)

    return Endpoint(product, url, send, change)


def proxied(product: Product, cluster: Cluster, found: Found) -> Endpoint:
    """The endpoint behind the API server, with the caller's own rights."""

    async def send(path: str, query: Mapping[str, str]) -> Reply:
        return await answered(cluster.read(found.proxy_path + path, query=dict(query)), "get")

    async def change(method: str, path: str, body: Any) -> Reply:
        return await answered(changed(method, path, body), "delete" if method == "DELETE" else "create")

    async def changed(method: str, path: str, body: Any) -> bytes:
        return json.dumps(await cluster.request(method, found.proxy_path + path, body=body)).encode()

    async def answered(answer: Awaitable[bytes], verb: str) -> Reply:
        try:
            return Reply(200, await answer)
        except errors.KubeError as problem:
            if not problem.status or (isinstance(problem, errors.Unauthorized) and problem.reason):
                raise
            if isinstance(problem, errors.Forbidden) and problem.reason:
                raise NoAnswer(
                    f"{product.name} at {found.place} is out of reach: {one_line(problem.message)}",
                    f"Ask the platform's owners for the right to {verb} services/proxy in {found.namespace}, "
                    f"or name an address that you reach with {product.option} URL.",
                    is_forbidden=True,
                ) from problem
            if problem.reason:
                # The API server says "not found" of a Service that it has, when that has no endpoints object.
                told = "it has no endpoints" if isinstance(problem, errors.NotFound) else one_line(problem.message)
                raise NoAnswer(
                    f"{product.name} at {found.place} gives no answer: {told}",
                    f"kubectl get pods,endpointslices -n {found.namespace}",
                    is_down=True,
                ) from problem
            return Reply(problem.status, problem.message.encode())

    return Endpoint(product, found.place, send, change)
