"""Requests to one API server on plain dicts.

Connection facts (host, credentials, TLS, token refresh) come from the kubernetes client's own configuration loader;
the requests go through one aiohttp session without model classes, since typed models cost a third more CPU per request
and turn every manifest into a second vocabulary. Each call has a deadline; nothing is retried here.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from actions_gateway import __version__
from actions_gateway.kube.configuration import load_configuration
from actions_gateway.kube.decoding import (
    Manifest,
    WatchEvent,
    WatchType,
    connection_problem,
    error_of,
    lines_of,
    object_of,
    watch_event_of,
)
from actions_gateway.kube.errors import Gone, KubeError, Unauthorized, Unreachable
from actions_gateway.kube.resources import SERVICEACCOUNTS, Resource
from actions_gateway.kube.sockets import Sockets
from actions_gateway.kube.tokenfile import TokenFile
from actions_gateway.kube.verbs import verb_of

__all__ = ["KubeClient", "Manifest", "ObjectList", "Patch", "PatchType", "WatchEvent", "WatchType", "connect"]

Patch = Manifest | list[Manifest]

_CONNECTIONS = 64
_CONNECT_SECONDS = 10.0
_GOODBYE_SECONDS = 0.5
_WATCH_SILENCE_SECONDS = 150.0
"""An API server tells every watch about once a minute how far it has got (Kubernetes API concepts, "Watch bookmarks");
two and a half minutes without a word are a connection that is dead and does not know it."""
_PAGE_SIZE = 500


class PatchType(StrEnum):
    """How a patch body is to be read."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class ObjectList:
    """A list, or a page of one, with the resource version to watch from."""

    items: list[Manifest]
    resource_version: str


PROGRAM = "actions-gateway"


@asynccontextmanager
async def connect(
    kubeconfig: str | Path | None = None,
    context: str | None = None,
    *,
    timeout_seconds: float = 30.0,
    program: str = PROGRAM,
) -> AsyncIterator["KubeClient"]:
    """A client for the cluster of `kubeconfig`, else $KUBECONFIG, else the pod it runs in, else ~/.kube/config.

    Raises ConfigurationError when none of them is usable.
    """
    configuration = await load_configuration(kubeconfig, context)
    async with KubeClient(configuration, timeout_seconds=timeout_seconds, program=program) as client:
        yield client


class KubeClient:
    """Requests against one API server; use as an async context manager."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        timeout_seconds: float = 30.0,
        watch_silence_seconds: float = _WATCH_SILENCE_SECONDS,
        program: str = PROGRAM,
    ) -> None:
        """`program` is who managedFields and audit logs name where a write names no field manager."""
        self._configuration = configuration
        self._user_agent = f"{program}/{__version__}"
        self._token_file: TokenFile | None = getattr(configuration, "token_file", None)
        self._timeout_seconds = timeout_seconds
        self._watch_silence_seconds = watch_silence_seconds
        self._sockets = Sockets()
        self._session: aiohttp.ClientSession | None = None
        self.on_answer: Callable[[str, int | None], None] | None = None
        """Hears of every answer: the request's verb and the status, None when no answer came."""

    @property
    def host(self) -> str:
        """The API server's base URL."""
        return str(self._configuration.host).rstrip("/")

    async def __aenter__(self) -> "KubeClient":
        ssl_context = RESTClientObject(self._configuration).ssl_context
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=ssl_context, socket_factory=self._sockets.make)
        self._session = aiohttp.ClientSession(
            connector=connector, read_bufsize=2**18, headers={"User-Agent": self._user_agent}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            await self._sockets.until_closed(_GOODBYE_SECONDS)

    # -- reads ---------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Manifest:
        """One object; raises NotFound."""
        return await self.request("GET", resource.path(namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList:
        """All objects; raises KubeError."""
        pages = partial(self.pages, resource, namespace, label_selector=label_selector, field_selector=field_selector)
        try:
            return await self._whole(pages(size=_PAGE_SIZE))
        except Gone:
            return await self._whole(pages(size=None))

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        size: int | None,
    ) -> AsyncIterator[ObjectList]:
        """The list page after page of `size` objects; None for one piece.

        Raises KubeError; Gone when pages expire before they are read.
        """
        query = _selectors(label_selector, field_selector) | ({} if size is None else {"limit": str(size)})
        while True:
            page = await self.request("GET", resource.path(namespace), query=query)
            metadata = page.get("metadata") or {}
            # Items of a list carry no type of their own.
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            items = [{**kind, **item} for item in page.get("items") or []]
            yield ObjectList(items, str(metadata.get("resourceVersion") or ""))
            if not metadata.get("continue"):
                return
            query = query | {"continue": metadata["continue"]}

    async def _whole(self, pages: AsyncIterator[ObjectList]) -> ObjectList:
        whole = ObjectList([], "")
        async for page in pages:
            whole = ObjectList([*whole.items, *page.items], page.resource_version)
        return whole

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
        """Events after `resource_version` until the server ends the watch; raises Gone when it is too old.

        A watch that is silent for longer than a living one can be ends, too, so that a half-open connection is not
        listened to for ever.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(int(timeout_seconds)),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        async with self._open("GET", resource.path(namespace), query=query, timeout=timeout) as response:
            async for line in lines_of(response, self._watch_silence_seconds):
                yield watch_event_of(line)

    # -- writes --------------------------------------------------------------------------------------------------

    async def create(
        self, resource: Resource, manifest: Manifest, *, namespace: str | None = None, dry_run: bool = False
    ) -> Manifest:
        """Creates an object; raises AlreadyExists."""
        where = namespace or (manifest.get("metadata") or {}).get("namespace")
        return await self.request("POST", resource.path(where), body=manifest, query=_dry_run(dry_run))

    async def update(self, resource: Resource, manifest: Manifest, *, subresource: str | None = None) -> Manifest:
        """Replaces an object at the resource version it carries; raises Conflict when it moved on."""
        metadata = manifest["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self.request("PUT", path, body=manifest)

    async def apply(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        dry_run: bool = False,
        subresource: str | None = None,
    ) -> Manifest:
        """Server-side apply; raises Conflict when `force` is off and another manager owns a field."""
        metadata = manifest["metadata"]
        query = {"fieldManager": field_manager, "force": "true" if force else "false"} | _dry_run(dry_run)
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        return await self.request("PATCH", path, body=body, query=query, content_type=_APPLY)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Patch,
        *,
        namespace: str | None = None,
        kind: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        dry_run: bool = False,
        field_manager: str | None = None,
    ) -> Manifest:
        """Patches an object; a resourceVersion inside a merge patch makes it conditional (Conflict)."""
        query = ({"fieldManager": field_manager} if field_manager else {}) | _dry_run(dry_run)
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, body=patch, query=query, content_type=kind.value)

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        uid: str | None = None,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
    ) -> Manifest:
        """Deletes an object; `uid` guards against deleting a successor of the same name (Conflict).

        Returns the object while something holds it back, and a Status when it is gone.
        """
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation:
            options["propagationPolicy"] = propagation
        return await self.request("DELETE", resource.path(namespace, name), body=options)

    async def create_token(
        self,
        service_account: str,
        namespace: str,
        *,
        expiration_seconds: int = 3600,
        bound_to: Manifest | None = None,
    ) -> str:
        """A token of a service account; one that is `bound_to` an object (kind, name, uid) ends with it."""
        spec: Manifest = {"expirationSeconds": expiration_seconds} | ({"boundObjectRef": bound_to} if bound_to else {})
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.request("POST", SERVICEACCOUNTS.path(namespace, service_account, "token"), body=body)
        return str(answer["status"]["token"])

    # -- transport -----------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """One request and its decoded JSON answer; raises a KubeError."""
        timeout = aiohttp.ClientTimeout(total=self._timeout_seconds, sock_connect=_CONNECT_SECONDS)
        async with self._open(
            method, path, body=body, query=query, content_type=content_type, timeout=timeout
        ) as response:
            return object_of(await response.read() or b"{}", f"{method} {path}")

    async def read(self, path: str, *, query: dict[str, str] | None = None) -> bytes:
        """The body of an answer that need not be an object, as of what the API server is a proxy for.

        Raises a KubeError; one without a `reason` is what stands behind the API server speaking.
        """
        timeout = aiohttp.ClientTimeout(total=self._timeout_seconds, sock_connect=_CONNECT_SECONDS)
        async with self._open("GET", path, query=query, timeout=timeout) as response:
            return await response.read()

    async def stream(self, path: str, *, query: dict[str, str] | None = None) -> AsyncGenerator[bytes, None]:
        """The body of an answer piece by piece as it comes; raises KubeError as `read` does.

        Only its beginning has a deadline: a log that is followed is silent for as long as nobody writes.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        async with self._open("GET", path, query=query, timeout=timeout) as response:
            async for piece in response.content.iter_any():
                yield piece

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        body: Any = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("KubeClient is used outside of its async context")
        headers = {"Accept": "application/json", **await self._authorization()}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, separators=(",", ":")).encode()
        verb, is_answered = verb_of(method, path, query), False
        try:
            # A stream has no total deadline, its beginning has one.
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._session.request(
                    method,
                    self.host + path,
                    params=query or None,
                    data=data,
                    headers=headers,
                    timeout=timeout,
                    proxy=self._configuration.proxy,
                )
            async with response:
                is_answered = True
                self._count_answer(verb, response.status)
                if response.status >= 300:
                    raise self._named(await error_of(response))
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError) as problem:
            if not is_answered:
                self._count_answer(verb, None)
            cause = connection_problem(problem, self._timeout_seconds)
            raise Unreachable(f"the Kubernetes API server at {self.host} gives no answer: {cause}") from problem

    def _count_answer(self, verb: str, status: int | None) -> None:
        if self.on_answer is not None:
            self.on_answer(verb, status)

    async def _authorization(self) -> dict[str, str]:
        if self._token_file is not None:
            return {"Authorization": f"Bearer {self._token_file.read()}"}
        settings = await self._configuration.auth_settings()
        token = settings.get("BearerToken")
        return {"Authorization": str(token["value"])} if token else {}

    def _named(self, problem: KubeError) -> KubeError:
        """A rejected credential is told with its source: the server's own text is the bare word Unauthorized."""
        if not isinstance(problem, Unauthorized):
            return problem
        what = f"the token in {self._token_file.path}" if self._token_file else "our credentials"
        text = (
            f"the Kubernetes API server at {self.host} does not accept {what}: expired, revoked or of another cluster"
        )
        return Unauthorized(text, status=problem.status, reason=problem.reason)


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    pairs = (("labelSelector", label_selector), ("fieldSelector", field_selector))
    return {key: value for key, value in pairs if value}


def _dry_run(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}
