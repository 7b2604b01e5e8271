"""A bare HTTP client of an API server, for tests that look at codes, headers and bodies, and the two servers it is for.

A scenario gets an `Api` bound to a namespace of its own, so that it says nothing about the rest of the cluster. The
embedded server is fresh for every scenario. The real one is shared by the session: what a scenario creates outside its
namespace goes with it, and its namespace is deleted without waiting.
"""

import asyncio
import contextlib
import json
import ssl
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from actions_gateway.engine.clock import Clock, SystemClock
from actions_gateway.kube.client import KubeClient, connect
from gateway_sandbox.apiserver import ApiServer
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.server import ADMIN, MASTERS, ControlPlane
from support.admission import limit
from support.aio import Looks, run
from support.clock import ManualClock
from support.manifests import CRDS, Json
from support.patience import HANG_SECONDS

SERVERS = ("embedded", "real")
"""What `play` runs a case on."""

CONTENT_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
ROOT_CERTIFICATES = "kube-root-ca.crt"
"""The ConfigMap that a controller puts into every namespace of a real cluster."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a server as its administrator."""

    url: str
    token: str
    user: str
    ca_path: Path | None = None

    @property
    def tls(self) -> ssl.SSLContext | bool:
        return ssl.create_default_context(cafile=str(self.ca_path)) if self.ca_path else False


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: `body` is decoded JSON, or text when it is none."""

    status: int
    body: Any
    headers: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def refusal(self) -> tuple[int, str]:
        """Code and reason of a Status."""
        return self.status, str(self.body.get("reason", ""))

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


class Watch:
    """An open watch; `next` waits for one event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, Json]:
        async with asyncio.timeout(HANG_SECONDS):
            line = await self._response.content.readuntil(b"\n")
        if not line:
            raise EOFError("the watch has ended")
        event = json.loads(line)
        return event["type"], event["object"]

    async def rest(self) -> list[tuple[str, Json]]:
        """The events until the server ends the watch."""
        events = []
        with contextlib.suppress(EOFError, asyncio.IncompleteReadError):
            while True:
                events.append(await self.next())
        return events

    async def until(self, wanted: Callable[[str, Json], bool]) -> tuple[str, Json]:
        while True:
            event = await self.next()
            if wanted(*event):
                return event


class Api:
    """Requests against one server; paths that begin with `~/` are inside the scenario's namespace (core/v1)."""

    def __init__(
        self,
        access: Access,
        session: aiohttp.ClientSession,
        *,
        server: ApiServer | None = None,
        clock: Clock | None = None,
        certificates: SandboxCertificates | None = None,
    ) -> None:
        self.access = access
        self.namespace = ""
        self._certificates = certificates
        self._session = session
        self._server = server
        self._clock = clock
        self._outside: list[str] = []
        """Paths of what the scenario created outside its namespace."""

    @property
    def is_real(self) -> bool:
        return self._server is None

    @property
    def server(self) -> ApiServer:
        """The embedded server, for the few cases that are about it alone."""
        assert self._server is not None
        return self._server

    @property
    def certificates(self) -> SandboxCertificates:
        """What the server trusts in a kubelet."""
        assert self._certificates is not None
        return self._certificates

    @property
    def group(self) -> str:
        """An API group that no other scenario uses."""
        return f"{self.namespace}.example.com"

    def path(self, path: str) -> str:
        """`~apps/v1/deployments` and `~/pods` stand for paths inside the namespace."""
        if not path.startswith("~"):
            return path
        *group_version, rest = path[1:].split("/", 2) if path[1] != "/" else ["", path[2:]]
        root = f"/apis/{'/'.join(group_version)}" if group_version != [""] else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{rest}"

    async def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, /, **query: str
    ) -> Answer:
        """One request; a body of bytes is sent as it is, any other as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = self.access.url + self.path(path)
        merged = {"Authorization": f"Bearer {self.access.token}", "Content-Type": "application/json"}
        merged |= dict(headers or {})
        sent = {name: value for name, value in merged.items() if value}
        async with self._session.request(method, url, data=data, params=query, headers=sent) as answer:
            text = await answer.text()
            try:
                decoded = json.loads(text)
            except ValueError:
                decoded = text
            warnings = tuple(answer.headers.getall("Warning", []))
            return Answer(answer.status, decoded, answer.headers, warnings)

    async def get(self, path: str, headers: Mapping[str, str] | None = None, /, **query: str) -> Answer:
        return await self.request("GET", path, None, headers, **query)

    async def post(self, path: str, body: Any, /, **query: str) -> Answer:
        return await self.request("POST", path, body, **query)

    async def create(self, path: str, body: Json, /, **query: str) -> Json:
        """Creates an object that the scenario needs; fails the test when it is refused."""
        answer = await self.post(path, body, **query)
        assert answer.status == 201, answer.body
        created: Json = answer.body
        if not path.startswith("~") and "name" in created.get("metadata", {}):
            self._outside.append(f"{path}/{created['metadata']['name']}")
        return created

    async def put(self, path: str, body: Json, /, **query: str) -> Answer:
        return await self.request("PUT", path, body, **query)

    async def patch(self, path: str, body: Any, kind: str = "merge", /, **query: str) -> Answer:
        return await self.request("PATCH", path, body, {"Content-Type": CONTENT_TYPES[kind]}, **query)

    async def apply(self, path: str, body: Json, manager: str, *, force: bool = False, **query: str) -> Answer:
        return await self.patch(
            path, body, "apply", fieldManager=manager, **({"force": "true"} if force else {}), **query
        )

    async def delete(self, path: str, body: Json | None = None, /, **query: str) -> Answer:
        return await self.request("DELETE", path, body, **query)

    async def names(self, path: str, /, **query: str) -> list[str]:
        """The names of a list's items, without what the cluster itself puts into a namespace."""
        answer = await self.get(path, **query)
        found = [item["metadata"]["name"] for item in answer.body["items"]]
        return [name for name in found if name != ROOT_CERTIFICATES]

    @asynccontextmanager
    async def watch(self, path: str, /, **query: str) -> AsyncIterator[Watch]:
        url = self.access.url + self.path(path)
        headers = {"Authorization": f"Bearer {self.access.token}"}
        params = {"watch": "true"} | query
        async with self._session.get(url, params=params, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Watch(response)

    async def until_gone(self, path: str) -> None:
        """Waits until an object is no longer there."""
        async with asyncio.timeout(HANG_SECONDS):
            looks = Looks()
            while (await self.get(path)).status != 404:
                await looks.pause()

    async def until(self, path: str, wanted: Callable[[Json], bool]) -> Json:
        """Waits until an object is as `wanted` and returns it."""
        async with asyncio.timeout(HANG_SECONDS):
            looks = Looks()
            while not wanted(found := (await self.get(path)).body):
                await looks.pause()
            return dict(found)

    async def until_answered(
        self, request: Callable[[], Awaitable[Answer]], wanted: Callable[[Answer], bool]
    ) -> Answer:
        """Repeats a request until its answer is as `wanted` and returns that."""
        async with asyncio.timeout(HANG_SECONDS):
            looks = Looks()
            while not wanted(answer := await request()):
                await looks.pause()
            return answer

    async def limit(self, name: str, hard: Mapping[str, str]) -> None:
        """Makes a quota in the namespace and waits until it is enforced."""
        async with asyncio.timeout(HANG_SECONDS), self.client() as client:
            await limit(client, self.namespace, name, hard)

    async def serve(self, crd: Json, *, is_shared: bool = True) -> Json:
        """Registers a definition and waits until its resource is served; a shared one may be there already."""
        answer = await self.post(CRDS, crd)
        assert answer.status == 201 or (is_shared and answer.status == 409), answer.body
        path = f"{CRDS}/{crd['metadata']['name']}"
        if not is_shared:
            self._outside.append(path)
        found = await self.until(path, lambda definition: is_true(definition, "Established"))
        for version in crd["spec"]["versions"]:
            listed = f"/apis/{crd['spec']['group']}/{version['name']}/{crd['spec']['names']['plural']}"
            await self.until_answered(lambda listed=listed: self.get(listed), lambda answer: answer.status == 200)  # type: ignore[misc]
        return found

    async def settled(self, path: str) -> Json:
        """A paused Deployment once its controller has nothing more to say on it; here nobody reacts on the embedded."""

        def is_settled(found: Json) -> bool:
            is_seen = found["status"].get("observedGeneration") == found["metadata"]["generation"]
            return not self.is_real or (
                is_seen and any(one["reason"] == "DeploymentPaused" for one in conditions(found))
            )

        return await self.until(path, is_settled)

    async def pass_time(self, seconds: float) -> None:
        """Moves the embedded server's clock where the case brought one; elsewhere time passes by itself."""
        if isinstance(self._clock, ManualClock):
            await self._clock.advance(seconds)

    async def clear(self) -> None:
        """Deletes the namespace and what the scenario created outside it, without waiting."""
        for path in (*reversed(self._outside), f"/api/v1/namespaces/{self.namespace}"):
            await self.delete(path)

    @asynccontextmanager
    async def client(self, *, token: str = "") -> AsyncIterator[KubeClient]:
        """Our own client of this server; `token` replaces the administrator's."""
        with tempfile.TemporaryDirectory() as folder:
            async with connect(self.kubeconfig(Path(folder), token=token)) as client:
                yield client

    def kubeconfig(self, folder: Path, *, token: str = "") -> Path:
        """A kubeconfig for this server; `token` replaces the administrator's."""
        ca = {"certificate-authority": str(self.access.ca_path)} if self.access.ca_path else {}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": self.access.url} | ca}],
            "users": [{"name": "test", "user": {"token": token or self.access.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path


def conditions(obj: Json) -> list[Json]:
    """`status.conditions`."""
    found: list[Json] = (obj.get("status") or {}).get("conditions") or []
    return found


def is_true(obj: Json, condition: str) -> bool:
    """Whether an object reports a condition as True."""
    return any(one["type"] == condition and one["status"] == "True" for one in conditions(obj))


Scenario = Callable[[Api], Awaitable[None]]


class Play(ABC):
    """Runs scenarios on the API server that a case is for."""

    def __call__(self, scenario: Scenario, *, timeout_seconds: float = HANG_SECONDS, **embedded: Any) -> None:
        """Runs one scenario; `embedded` goes to `api`."""

        async def body() -> None:
            async with self.api(**embedded) as api:
                await scenario(api)

        run(body(), timeout_seconds=timeout_seconds)

    @abstractmethod
    def api(
        self, *, clock: Clock | None = None, certificates: SandboxCertificates | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Api]:
        """The server with one namespace for a scenario; the arguments concern the embedded one."""


class EmbeddedPlay(Play):
    """A fresh embedded server for every scenario."""

    @asynccontextmanager
    async def api(
        self, *, clock: Clock | None = None, certificates: SandboxCertificates | None = None, **options: Any
    ) -> AsyncIterator[Api]:
        if certificates:
            options |= {"ssl_context": certificates.server_context()}
            options |= {"kubelet_ssl_context": certificates.client_context()}
        server = ApiServer(clock=clock or SystemClock(), **options)
        server.add_token("component-test-token", ADMIN, (MASTERS,))
        await server.start()
        ca_path = certificates.ca_path if certificates else None
        access = Access(server.url, "component-test-token", ADMIN, ca_path)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(server.stop)
            session = await stack.enter_async_context(_session(access))
            api = Api(access, session, server=server, clock=clock, certificates=certificates)
            await _take_namespace(api)
            yield api


class RealPlay(Play):
    """The session's real control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self._certificates = plane.certificates
        self._access = Access(plane.url, plane.admin_token, ADMIN, plane.certificates.ca_path)

    @asynccontextmanager
    async def api(
        self, *, clock: Clock | None = None, certificates: SandboxCertificates | None = None, **options: Any
    ) -> AsyncIterator[Api]:
        async with _session(self._access) as session:
            api = Api(self._access, session, certificates=self._certificates)
            await _take_namespace(api)
            # Both are put there by controllers; a test that counts or watches must not meet them half-way.
            for path in ("~/serviceaccounts/default", f"~/configmaps/{ROOT_CERTIFICATES}"):
                await api.until(path, lambda found: found["kind"] != "Status")
            try:
                yield api
            finally:
                await api.clear()


def _session(access: Access) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=access.tls, limit=0)
    return aiohttp.ClientSession(connector=connector)


async def _take_namespace(api: Api) -> None:
    answer = await api.post("/api/v1/namespaces", {"metadata": {"generateName": "scenario-"}})
    assert answer.status == 201, answer.body
    api.namespace = answer.body["metadata"]["name"]
