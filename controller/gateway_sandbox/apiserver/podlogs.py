"""pods/log: streamed through from the kubelet API of the pod's node.

Source: kubernetes pkg/registry/core/pod/strategy.go (LogLocation) for the choice of the container and the query;
kubelet's `/containerLogs/{namespace}/{pod}/{container}`.
"""

import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp import web

from gateway_sandbox.apiserver.kinds import Json, Kind
from gateway_sandbox.apiserver.paths import read_path
from gateway_sandbox.apiserver.statuses import ApiError, bad_request
from gateway_sandbox.apiserver.store import Record, Store

NODES = ("", "nodes")
_PASSED_ON = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes")
_CONNECT_SECONDS = 5.0


class PodLogs:
    """Proxies log requests; `ssl_context` verifies the kubelets."""

    def __init__(self, store: Store, ssl_context: ssl.SSLContext | None) -> None:
        self._store = store
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def stream(self, request: web.Request, kind: Kind, pod: Record) -> web.StreamResponse:
        """The log of one container; raises ApiError 400 (which container?) or 500 (the node gives no answer)."""
        container = _container(pod.obj, request.query)
        node, metadata = pod.obj["spec"].get("nodeName"), pod.obj["metadata"]
        if not node:
            return web.Response(status=204)
        url = f"{self._kubelet(node)}/containerLogs/{metadata['namespace']}/{metadata['name']}/{container}"
        query = {name: request.query[name] for name in _PASSED_ON if name in request.query}
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._session.get(url, params=query, ssl=self._ssl_context or False, timeout=timeout) as answer:
                if answer.status >= 400:
                    text = (await answer.text()).strip() or f"the kubelet answered {answer.status}"
                    raise bad_request(text) if answer.status in (400, 404) else ApiError(500, "InternalError", text)
                return await _copy(request, answer)
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise ApiError(500, "InternalError", f"Get {url!r}: the kubelet gives no answer: {problem}") from problem

    def _kubelet(self, node: str) -> str:
        record = self._store.get(NODES, ("", node))
        address = read_path(record.obj, '.status.addresses[?(@.type=="InternalIP")].address') if record else None
        port = read_path(record.obj, ".status.daemonEndpoints.kubeletEndpoint.Port") if record else None
        if not address or not port:
            raise ApiError(500, "InternalError", f'node "{node}" publishes no kubelet address')
        return f"{'https' if self._ssl_context else 'http'}://{address}:{port}"


def _container(pod: Json, query: Mapping[str, str]) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    known = [one["name"] for field in ("initContainers", "containers") for one in spec.get(field) or ()]
    wanted = query.get("container", "")
    if not wanted and len(spec["containers"]) > 1:
        choices = " ".join(one["name"] for one in spec["containers"])
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
    wanted = wanted or str(spec["containers"][0]["name"])
    if wanted not in known:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted


async def _copy(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the reader has left
    return response
