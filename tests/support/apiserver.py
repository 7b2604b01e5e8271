"""A running embedded API server and a bare HTTP client for it, for tests that look at codes, headers and bodies.

A scenario gets an `Api` bound to a namespace of its own, so that it says nothing about the rest of the cluster.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from actions_gateway.engine.clock import Clock, SystemClock
from gateway_sandbox.apiserver import ApiServer
from support.aio import run

Json = dict[str, Any]
TOKEN = "component-test-token"
USER = "test-admin"
CONTENT_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


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
        async with asyncio.timeout(10):
            line = await self._response.content.readuntil(b"\n")
        if not line:
            raise EOFError("the watch has ended")
        event = json.loads(line)
        return event["type"], event["object"]

    async def until(self, wanted: Callable[[str, Json], bool]) -> tuple[str, Json]:
        while True:
            event = await self.next()
            if wanted(*event):
                return event


class Api:
    """Requests against one server; paths that begin with `~/` are inside the scenario's namespace (core/v1)."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.namespace = ""
        self._session = session

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
        data = None if body is None else json.dumps(body)
        url = self.server.url + self.path(path)
        merged = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | dict(headers or {})
        async with self._session.request(method, url, data=data, params=query, headers=merged, ssl=False) as answer:
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
        answer = await self.get(path, **query)
        return [item["metadata"]["name"] for item in answer.body["items"]]

    @asynccontextmanager
    async def watch(self, path: str, /, **query: str) -> AsyncIterator[Watch]:
        url = self.server.url + self.path(path)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        params = {"watch": "true"} | query
        async with self._session.get(url, params=params, headers=headers, ssl=False) as response:
            assert response.status == 200, await response.text()
            yield Watch(response)

    async def until_gone(self, path: str) -> None:
        """Waits until an object is no longer there."""
        async with asyncio.timeout(10):
            while (await self.get(path)).status != 404:
                pass

    async def until(self, path: str, wanted: Callable[[Json], bool]) -> Json:
        """Waits until an object is as `wanted` and returns it."""
        async with asyncio.timeout(10):
            while not wanted(found := (await self.get(path)).body):
                pass
            return dict(found)


@asynccontextmanager
async def running_api(*, clock: Clock | None = None, **options: Any) -> AsyncIterator[Api]:
    """A fresh server with one namespace for the scenario."""
    server = ApiServer(clock=clock or SystemClock(), **options)
    server.add_token(TOKEN, USER, ("system:masters",))
    await server.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        api = Api(server, session)
        created = await api.create("/api/v1/namespaces", {"metadata": {"generateName": "scenario-"}})
        api.namespace = created["metadata"]["name"]
        yield api


def play(scenario: Callable[[Api], Awaitable[None]], *, clock: Clock | None = None, **options: Any) -> None:
    """Runs one scenario on a fresh server."""

    async def body() -> None:
        async with running_api(clock=clock, **options) as api:
            await scenario(api)

    run(body())


# -- objects ---------------------------------------------------------------------------------------------------------


def pod(name: str = "p", **spec: Any) -> Json:
    """A pod with one container."""
    container = {"name": "main", "image": "busybox:1.36"} | spec.pop("container", {})
    return {"metadata": {"name": name}, "spec": {"containers": [container]} | spec}


def deployment(name: str = "web", **spec: Any) -> Json:
    """A Deployment with one container."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.25"}]},
    }
    body: Json = {"selector": {"matchLabels": {"app": name}}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


def config_map(name: str = "settings", **data: str) -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def widget_crd(schema: Json | None = None, **version: Any) -> Json:
    """The CRD of a custom kind `Widget` (demo.example.com/v1), with status and a few typed fields."""
    spec_schema = schema or {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 10},
            "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
            "url": {"type": "string", "pattern": "^https://"},
            "port": {"x-kubernetes-int-or-string": True},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "parts": {
                "type": "array",
                "maxItems": 3,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                },
            },
        },
    }
    status = {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "selector": {"type": "string"},
            "conditions": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status"],
                    "properties": {name: {"type": "string"} for name in ("type", "status", "reason", "message")},
                },
            },
        },
    }
    ready = {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'}
    size = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec_schema, "status": status}}},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [size, ready, age],
    } | version
    names = {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.demo.example.com"},
        "spec": {"group": "demo.example.com", "scope": "Namespaced", "names": names, "versions": [served]},
    }


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "~demo.example.com/v1/widgets"


def widget(name: str = "w", **spec: Any) -> Json:
    """A Widget."""
    typed = {"apiVersion": "demo.example.com/v1", "kind": "Widget"}
    return typed | {"metadata": {"name": name}, "spec": {"size": 3} | spec}


def kubeconfig(folder: Path, server: ApiServer, ca_path: Path) -> Path:
    """A kubeconfig for kubectl."""
    path = folder / "kubeconfig"
    cluster = {"server": server.url, "certificate-authority": str(ca_path)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(config))
    return path
