"""The part of the kubelet's HTTPS API that the API server uses for `kubectl logs`.

What else the API server would ask of a kubelet (exec, attach, port-forward) is refused with a sentence that says so.
Source of paths, parameters and refusals: kubernetes pkg/kubelet/server/server.go (getContainerLogs) and
pkg/kubelet/kubelet_pods.go (validateContainerLogStatus).
"""

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.nodes.containers import Container
from gateway_sandbox.nodes.logs import ContainerLog, LogOptions
from gateway_sandbox.nodes.pods import PodWorker
from gateway_sandbox.nodes.records import Running, Waiting

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

FindPod = Callable[[str, str], PodWorker | None]


class KubeletApi:
    """Request handlers over the node's pods; `client` is the only common name that may call, None lets everybody."""

    def __init__(self, find_pod: FindPod, clock: Clock, *, client: str | None = None) -> None:
        self._find_pod = find_pod
        self._clock = clock
        self._client = client

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._only_the_client])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._container_logs)
        app.router.add_route("*", "/{path:.*}", self._left_out)
        return app

    @web.middleware
    async def _only_the_client(self, request: web.Request, handler: "Handler") -> web.StreamResponse:
        if self._client is not None and peer_name(request) != self._client:
            return web.Response(status=403, text="Forbidden: only the API server may ask this kubelet\n")
        return await handler(request)

    async def _left_out(self, request: web.Request) -> web.Response:
        what = request.path.strip("/").partition("/")[0]
        return web.Response(status=501, text=f"the sandbox's node runs processes, and does not serve {what!r}\n")

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _container_logs(self, request: web.Request) -> web.StreamResponse:
        namespace, pod, name = (request.match_info[part] for part in ("namespace", "pod", "container"))
        worker = self._find_pod(namespace, pod)
        if worker is None:
            return web.Response(status=404, text=f'pod "{pod}" does not exist\n')
        container = next((known for known in worker.containers if known.record.name == name), None)
        if container is None:
            return web.Response(status=404, text=f'container "{name}" not found in pod "{pod}"\n')
        try:
            options = parse_options(request.query, self._clock.now())
        except ValueError as problem:
            return web.Response(status=422, text=f"Unable to decode query: {problem}\n")
        found = select_log(container, pod, previous=request.query.get("previous") == "true")
        if isinstance(found, str):
            return web.Response(status=400, text=found + "\n")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for chunk in found.read(options):
            await response.write(chunk)
        return response


def peer_name(request: web.Request) -> str | None:
    """The common name of the caller's certificate, which the TLS listener has verified; None without one."""
    connection = request.transport.get_extra_info("ssl_object") if request.transport else None
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLObject) else None
    names = (certificate or {}).get("subject", ())
    # Each name is a tuple of (kind, text) pairs, whose types the library's stubs do not tell apart.
    return next((str(pair[1]) for name in names for pair in name if pair[0] == "commonName"), None)


def parse_options(query: Mapping[str, str], now: datetime) -> LogOptions:
    """The options of a log request; raises ValueError for a parameter that is malformed."""
    since = datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else None
    if "sinceSeconds" in query:
        since = now - timedelta(seconds=int(query["sinceSeconds"]))
    return LogOptions(
        tail_lines=_count(query, "tailLines"),
        since=since,
        limit_bytes=_count(query, "limitBytes"),
        follow=query.get("follow") == "true",
        timestamps=query.get("timestamps") == "true",
    )


def select_log(container: Container, pod: str, *, previous: bool) -> ContainerLog | str:
    """The log that is asked for, or the kubelet's words for why there is none."""
    record = container.record
    if previous:
        # While the container waits to be restarted its last run is still the newest log.
        waits = not isinstance(record.state, Running) and record.last is not None and record.state != record.last
        found = container.log if waits else container.previous_log
        return found or f'previous terminated container "{record.name}" in pod "{pod}" not found'
    if container.log is None:
        reason = record.state.reason if isinstance(record.state, Waiting) else "ContainerCreating"
        return f'container "{record.name}" in pod "{pod}" is waiting to start: {reason}'
    return container.log


def _count(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    value = int(query[name])
    if value < 0:
        raise ValueError(f"{name} must not be negative")
    return value
