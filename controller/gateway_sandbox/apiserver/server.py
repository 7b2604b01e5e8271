"""The embedded API server: HTTP(S), authentication, the error form, and the tasks that run beside requests.

Everything is in memory and ends with `stop`. Authorization is not enforced; authentication is, by bearer tokens, on all
paths but health and version.
"""

import asyncio
import random
import ssl
from typing import Any

import structlog
from aiohttp import web

from actions_gateway.engine.clock import Clock
from gateway_sandbox.apiserver.controlplane import build_control_plane
from gateway_sandbox.apiserver.discovery import VERSION, Discovery
from gateway_sandbox.apiserver.handlers import Handlers
from gateway_sandbox.apiserver.podlogs import PodLogs
from gateway_sandbox.apiserver.reads import Reader
from gateway_sandbox.apiserver.statuses import ApiError
from gateway_sandbox.apiserver.store import HISTORY_EVENTS, dump
from gateway_sandbox.apiserver.tokens import Tokens, User

log = structlog.get_logger(__name__)

REFUSED: tuple[str, ...] = (
    "exec, attach, port-forward, cp and proxy",
    "StatefulSets, DaemonSets, Jobs, CronJobs, Ingresses, persistent volumes and storage classes",
    "admission webhooks and policies, the aggregation layer and metrics.k8s.io",
    "conversion webhooks of custom resource definitions",
    "ephemeral containers and in-place pod resize",
    "pods/eviction: kubectl drain deletes the pods instead",
    "Orphan propagation, the deletion of whole collections, namespaces/finalize",
    "pages and streams of lists (a list is whole, whatever its limit), metadata-only answers, numeric label selectors",
    "scopes of ResourceQuotas",
    "reviews but TokenReview, SelfSubjectReview and SelfSubjectAccessReview",
    "protobuf beyond what kubectl create and auth send",
)
"""What a real API server serves and this one does not: a request for it is refused with a Status that says so."""

WITHOUT_EFFECT: tuple[str, ...] = (
    "authorization: RBAC objects are stored, every authenticated caller may do everything",
    "CEL rules of definitions, Pod Security levels, LimitRanges and disruption budgets: stored only",
    "what a real cluster fills in: token volumes and tolerations of pods, the default PriorityClass, Service addresses",
    "value rules of built-in kinds beyond types, required fields, enumerations and references; the expiry of Events",
)
"""What a real cluster does with objects that this one accepts, and this one does not."""

LEFT_OUT = (*REFUSED, *WITHOUT_EFFECT)

_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
_BODY_LIMIT_BYTES = 3 * 1024 * 1024
_SHUTDOWN_SECONDS = 2.0


class ApiServer:
    """One embedded API server; `start` it, read `url`, `stop` it."""

    def __init__(
        self,
        *,
        clock: Clock,
        ssl_context: ssl.SSLContext | None = None,
        kubelet_ssl_context: ssl.SSLContext | None = None,
        rng: random.Random | None = None,
        history_events: int = HISTORY_EVENTS,
    ) -> None:
        # Uids and generated names are no secrets; the system seeds the key of the tokens.
        rng = rng or random.Random()  # noqa: S311
        self._ssl_context = ssl_context
        self._plane = build_control_plane(clock, rng, history_events=history_events)
        self._reader = Reader(self._plane.store, clock)
        self._tokens = Tokens(self._plane.store, clock, rng)
        self._logs = PodLogs(self._plane.store, kubelet_ssl_context)
        self._handlers = Handlers(self._plane, self._reader, self._tokens, self._logs, clock)
        self._discovery = Discovery(self._plane.registry, self._plane.types)
        self._runner: web.AppRunner | None = None
        self._background: asyncio.Task[None] | None = None
        self.url = ""

    def add_token(self, token: str, user: str, groups: tuple[str, ...] = ()) -> None:
        """Accepts a static bearer token for `user`."""
        self._tokens.add(token, User(user, groups))

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens; `url` is set afterwards. Raises OSError when the address is taken."""
        app = web.Application(client_max_size=_BODY_LIMIT_BYTES)
        app.router.add_route("*", "/{path:.*}", self._respond)
        options: dict[str, Any] = {"access_log": None, "handler_cancellation": True}
        self._runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS, **options)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=self._ssl_context).start()
        self.url = f"{'https' if self._ssl_context else 'http'}://{host}:{self._runner.addresses[0][1]}"
        self._background = asyncio.create_task(self._work(), name="apiserver-background")

    async def stop(self) -> None:
        """Ends watches, requests and background work."""
        self._reader.stop()
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait([self._background])
        if self._runner is not None:
            await self._runner.cleanup()
        await self._logs.close()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._plane.collector.run(), name="apiserver-collector")
            group.create_task(self._reader.tick(), name="apiserver-tick")

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ApiError as refusal:
            return _refused(refusal)
        except web.HTTPRequestEntityTooLarge:
            text = f"Request entity is too large: limit is {_BODY_LIMIT_BYTES}"
            return _refused(ApiError(413, "RequestEntityTooLarge", text))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("request failed", method=request.method, path=request.path)
            return _refused(ApiError(500, "InternalError", "Internal error occurred: the embedded API server failed"))

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        caller = self._authenticate(request) if "Authorization" in request.headers else None
        if path in _HEALTH or path.startswith(("/livez/", "/readyz/")):
            return web.Response(text="ok")
        if path == "/version":
            return web.Response(body=dump(VERSION), content_type="application/json")
        if caller is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if request.method == "GET":
            document = self._discovery.document(path)
            if document is not None:
                return web.Response(body=dump(document), content_type="application/json")
        return await self._handlers.handle(request, caller)

    def _authenticate(self, request: web.Request) -> User:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._tokens.user(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user


def _refused(refusal: ApiError) -> web.Response:
    return web.Response(body=dump(refusal.body()), status=refusal.code, content_type="application/json")
