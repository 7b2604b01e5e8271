"""A process's ways out: its clients of Kubernetes and GitHub, over a network with latency, faults and sudden death.

A request that is under way when its sender dies or gives up may arrive all the same; what is decided by the link's own
seeded randomness. Timeouts are those of the real clients, on virtual time.
"""

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from actions_gateway.github.http import code_class
from actions_gateway.kube.client import KubeClient, WatchEvent, WatchType
from actions_gateway.kube.errors import KubeError, Unreachable, error_from_response
from actions_gateway.kube.resources import Resource
from actions_gateway.kube.verbs import verb_of
from gateway_sandbox.github.service import Service
from gateway_sandbox.github.wire import Call, Reply
from simulation.cluster import Cluster, Json, Refusal
from simulation.loop import Process, process

_KUBE_TIMEOUT_SECONDS = 30.0
_SILENCE_SECONDS = 150.0
_BOOKMARK_SECONDS = 60.0

OnCrossing = Callable[[Process, str, str, str], None]
"""Hears of every step of a request: whose, what was asked (`POST pods`, `run.acquire`), where it is, its outcome."""


@dataclass(slots=True)
class KubeTrouble:
    """How often requests to the API server go wrong, for a while."""

    kinds: tuple[str, ...] = ("drop", "lose", "500", "429", "hang")
    probability: float = 0.0


class Link:
    """One process's network."""

    def __init__(self, owner: Process, rng: random.Random, on_crossing: OnCrossing) -> None:
        self.owner = owner
        self.rng = rng
        self.on_crossing = on_crossing
        self.kube_trouble = KubeTrouble()
        self.cut = asyncio.Event()
        """Set: every open watch breaks."""
        self.stall_watches = False
        self.answers: Counter[tuple[str, str]] = Counter()
        """What came back, by the simulator's endpoint or Kubernetes' verb (`kube list`) and the class of the status."""
        self.unauthorized: Counter[str] = Counter()
        """Those of them with 401."""

    def note(self, what: str, status: int | None) -> None:
        """A request has ended with an answer, or with none at all (None)."""
        self.unauthorized[what] += status == 401
        self.answers[what, code_class(status)] += 1

    async def leg(self) -> None:
        """One way through the network."""
        await asyncio.sleep(self.rng.uniform(0.001, 0.03))

    def cross(self, what: str, where: str, outcome: str = "") -> None:
        """A request has got so far."""
        self.owner.check()
        self.on_crossing(self.owner, what, where, outcome)
        self.owner.check()


class SimulatedKube(KubeClient):
    """The agent's Kubernetes client without its transport."""

    def __init__(self, cluster: Cluster, link: Link) -> None:  # the real one wants a configuration
        self._cluster = cluster
        self._link = link
        self.on_answer = None

    @property
    def host(self) -> str:
        return "https://kubernetes.invalid"

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """As the real one, deadline included."""

        def serve() -> Json:
            return self._cluster.handle(method, path, body, query or {}, content_type)

        verb = verb_of(method, path, query)
        try:
            answer = await self._exchange(f"{method} {_kind(path)}", serve)
        except KubeError as problem:
            self._answered(verb, problem.status or None)
            raise
        self._answered(verb, 200)
        return answer

    def _answered(self, verb: str, status: int | None) -> None:
        self._link.note(f"kube {verb}", status)
        self._count_answer(verb, status)

    async def _exchange(self, what: str, serve: Callable[[], Json]) -> Json:
        link = self._link
        link.cross(what, "sent")
        trouble = self._trouble()
        try:
            await link.leg()
        except asyncio.CancelledError:
            if not trouble and link.rng.random() < 0.5:
                _serve_unheard(serve)
            raise
        await self._fail(trouble)
        try:
            answer = serve()
        except Refusal as refusal:
            link.cross(what, "served", str(refusal.code))
            await link.leg()
            link.owner.check()
            raise error_from_response(refusal.code, refusal.status) from None
        link.cross(what, "served")
        await link.leg()
        if trouble == "lose":
            raise Unreachable("the Kubernetes API server gives no answer: the connection was closed without an answer")
        link.cross(what, "answered")
        return answer

    def _trouble(self) -> str:
        trouble = self._link.kube_trouble
        if not trouble.probability or self._link.rng.random() >= trouble.probability:
            return ""
        return self._link.rng.choice(trouble.kinds)

    async def _fail(self, trouble: str) -> None:
        match trouble:
            case "drop":
                raise Unreachable("the Kubernetes API server gives no answer: connection reset by peer")
            case "hang":
                await asyncio.sleep(_KUBE_TIMEOUT_SECONDS)
                raise Unreachable("the Kubernetes API server gives no answer: it took longer than 30 s")
            case "500":
                raise error_from_response(500, "etcdserver: request timed out")
            case "429":
                raise error_from_response(429, {"kind": "Status", "message": "too many requests"}, retry_after="1")

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_seconds: float = 290.0,
    ) -> AsyncIterator[WatchEvent]:
        """As the real one: ends with the server's timeout, a broken connection or silence."""
        assert field_selector is None, "the simulation selects by label only"
        link, cluster, loop = self._link, self._cluster, asyncio.get_running_loop()
        link.cross(f"WATCH {resource.plural}", "sent")
        await link.leg()
        try:
            await self._fail(self._trouble())
        except KubeError as problem:
            self._answered("watch", problem.status or None)
            raise
        self._answered("watch", 200)
        position, end = int(resource_version), loop.time() + timeout_seconds
        cut, bookmark_at = link.cut, loop.time() + _BOOKMARK_SECONDS
        while loop.time() < end:
            changed = cluster.changed
            if link.stall_watches:
                await asyncio.sleep(_SILENCE_SECONDS)
                return
            try:
                events = list(cluster.events_after(position, resource.plural, label_selector or ""))
            except Refusal as refusal:
                raise error_from_response(refusal.code, refusal.status) from None
            for event in events:
                position = event.version
                link.cross(f"WATCH {resource.plural}", "told", event.type)
                yield WatchEvent(WatchType(event.type), event.object)
            position = max(position, cluster.version) if not events else position
            if loop.time() >= bookmark_at:
                bookmark_at = loop.time() + _BOOKMARK_SECONDS
                yield WatchEvent(WatchType.BOOKMARK, {"metadata": {"resourceVersion": str(position)}})
            if events:
                continue
            try:
                async with asyncio.timeout(max(0.001, min(end, bookmark_at) - loop.time())):
                    await changed.wait()
                    await link.leg()
            except TimeoutError:
                pass
            if cut.is_set():
                raise Unreachable("the Kubernetes API server gives no answer: the connection broke off")


def _kind(path: str) -> str:
    parts = path.split("/namespaces/")[-1].split("/")
    return "/".join(parts[1:2] + parts[3:])


def _serve_unheard(serve: Callable[[], Json]) -> None:
    """A request that arrives although nobody waits for its answer."""

    def run() -> None:
        try:
            serve()
        except Refusal:
            pass

    asyncio.get_running_loop().call_soon(run)


class SimulatedNetwork(httpx.AsyncBaseTransport):
    """What `GitHubHttp` takes for its transport."""

    def __init__(self, service: Service, link: Link) -> None:
        self._service = service
        self._link = link

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        link = self._link
        call = Call(
            method=request.method,
            path=request.url.path,
            query=dict(request.url.params),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.aread(),
        )
        try:
            response = await self._exchange(request, call)
        except httpx.HTTPError:
            link.note(call.endpoint, None)
            raise
        link.note(call.endpoint, response.status_code)
        return response

    async def _exchange(self, request: httpx.Request, call: Call) -> httpx.Response:
        link, what = self._link, f"{request.method} {request.url.path.rpartition('/')[2]}"
        link.cross(what, "sent")
        try:
            await link.leg()
        except asyncio.CancelledError:
            if request.method != "GET" and link.rng.random() < 0.5:
                self._handle(call)
            raise
        handling = self._handle(call)
        reply = await self._reply(request, call, handling)
        link.cross(call.endpoint, "served", "dropped" if reply.is_dropped else str(reply.status))
        await link.leg()
        if reply.is_dropped:
            raise httpx.ReadError("connection reset by peer", request=request)
        link.cross(call.endpoint, "answered", str(reply.status))
        if reply.on_written is not None:
            reply.on_written()
        kind = {"Content-Type": reply.content_type} if reply.content_type else {}
        return httpx.Response(reply.status, headers={**reply.headers, **kind}, content=reply.encoded(), request=request)

    def _handle(self, call: Call) -> "asyncio.Task[Reply]":
        """GitHub's own task: it does not die with the client."""
        context = contextvars.copy_context()
        context.run(process.set, None)
        return asyncio.get_running_loop().create_task(self._service.handle(call), context=context)

    async def _reply(self, request: httpx.Request, call: Call, handling: "asyncio.Task[Reply]") -> Reply:
        seconds = request.extensions["timeout"]["read"]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({handling})
        except TimeoutError:
            handling.cancel()
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except asyncio.CancelledError:
            if call.endpoint == "broker.poll" or self._link.rng.random() < 0.5:
                handling.cancel()
            raise
        return handling.result()
