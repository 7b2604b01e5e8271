"""The HTTPS server behind the aggregation layer: only the API server, with its front-proxy certificate, may ask.

Who the user is and what they may read is decided before the request is passed on (Kubernetes documentation, "Configure
the Aggregation Layer"), so nothing is authorized here a second time.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from actions_gateway.engine.clock import Clock
from actions_gateway.engine.supervision import uninterrupted
from gateway_sandbox.apiserver.selectors import parse_label_selector
from gateway_sandbox.apiserver.statuses import ApiError
from gateway_sandbox.metricsapi import documents
from gateway_sandbox.metricsapi.documents import Document, PodKey
from gateway_sandbox.metricsapi.sampler import Sampler

HOST = "127.0.0.1"
_ROOT = f"/apis/{documents.API_VERSION}"
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The node whose usage is served, with what selectors look at."""

    name: str
    labels: Callable[[], Mapping[str, str]]
    pod_labels: Callable[[], Mapping[PodKey, Mapping[str, str]]]


class MetricsApi:
    """Request handlers over the newest samples."""

    def __init__(self, sampler: Sampler, subject: Subject, clock: Clock) -> None:
        self._sampler = sampler
        self._subject = subject
        self._clock = clock

    @asynccontextmanager
    async def serve(self, context: ssl.SSLContext) -> AsyncIterator[int]:
        """Listens on a free port of loopback."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await uninterrupted(web.TCPSite(runner, HOST, 0, ssl_context=context).start())
            yield int(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.router.add_get(f"/apis/{documents.GROUP}", self._group)
        app.router.add_get(_ROOT, self._resources)
        app.router.add_get(f"{_ROOT}/nodes", self._nodes)
        app.router.add_get(f"{_ROOT}/nodes/{{name}}", self._node)
        app.router.add_get(f"{_ROOT}/pods", self._pods)
        app.router.add_get(f"{_ROOT}/namespaces/{{namespace}}/pods", self._pods)
        app.router.add_get(f"{_ROOT}/namespaces/{{namespace}}/pods/{{name}}", self._pod)
        return app

    async def _group(self, _: web.Request) -> web.Response:
        return web.json_response(documents.group_document())

    async def _resources(self, _: web.Request) -> web.Response:
        return web.json_response(documents.resources_document())

    async def _nodes(self, request: web.Request) -> web.Response:
        return _selected(request, "NodeMetrics", [self._node_document()])

    async def _node(self, request: web.Request) -> web.Response:
        return _found(request, "nodes", [self._node_document()])

    async def _pods(self, request: web.Request) -> web.Response:
        return _selected(request, "PodMetrics", self._pod_documents(request))

    async def _pod(self, request: web.Request) -> web.Response:
        return _found(request, "pods", self._pod_documents(request))

    def _node_document(self) -> Document:
        subject = self._subject
        return documents.node_document(subject.name, subject.labels(), self._sampler.samples, self._clock.now())

    def _pod_documents(self, request: web.Request) -> list[Document]:
        namespace = request.match_info.get("namespace")
        found = documents.pod_documents(self._sampler.samples, self._subject.pod_labels())
        return [item for item in found if namespace in (None, item["metadata"]["namespace"])]


def _selected(request: web.Request, kind: str, items: list[Document]) -> web.Response:
    """The items that the request's label selector selects; a field selector is refused rather than ignored."""
    if request.query.get("fieldSelector"):
        return _refused(400, "BadRequest", "metrics of the sandbox are selected by labels only")
    try:
        selects = parse_label_selector(request.query.get("labelSelector", ""))
    except ApiError as problem:
        return web.json_response(problem.body(), status=problem.code)
    return web.json_response(
        documents.list_document(kind, [item for item in items if selects(item["metadata"]["labels"])])
    )


def _found(request: web.Request, plural: str, items: list[Document]) -> web.Response:
    name = request.match_info["name"]
    for item in items:
        if item["metadata"]["name"] == name:
            return web.json_response(item)
    return _refused(404, "NotFound", f'{plural}.{documents.GROUP} "{name}" not found')


def _refused(code: int, reason: str, message: str) -> web.Response:
    return web.json_response(documents.refusal(code, reason, message), status=code)
