"""The Kubernetes client room over HTTP: typed errors, unbroken list-watch, one leader, events in series."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, PatchType, connect
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.listwatch import Change, ChangeType, list_watch
from support.aio import run
from support.clock import ManualClock
from support.cluster import TOKEN, api_server, render_kubeconfig


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "test"}},
        "data": data,
    }


@asynccontextmanager
async def changes(client: KubeClient) -> AsyncIterator[asyncio.Queue[Change]]:
    queue: asyncio.Queue[Change] = asyncio.Queue()

    async def follow() -> None:
        async for change in list_watch(
            client, r.CONFIGMAPS, "default", clock=SystemClock(), rng=random.Random(1), label_selector="app=test"
        ):
            queue.put_nowait(change)

    task = asyncio.ensure_future(follow())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_an_object_is_created_read_patched_applied_and_deleted() -> None:
    async def body() -> None:
        async with api_server() as client:
            created = await client.create(r.CONFIGMAPS, configmap("a", x="1"))
            with pytest.raises(errors.AlreadyExists):
                await client.create(r.CONFIGMAPS, configmap("a"))
            await client.patch(r.CONFIGMAPS, "a", {"data": {"y": "2"}}, namespace="default")
            operations = [{"op": "remove", "path": "/data/x"}]
            await client.patch(r.CONFIGMAPS, "a", operations, namespace="default", kind=PatchType.JSON)
            assert (await client.get(r.CONFIGMAPS, "a", "default"))["data"] == {"y": "2"}
            with pytest.raises(errors.Conflict):
                await client.update(r.CONFIGMAPS, created)
            await client.apply(r.CONFIGMAPS, configmap("b", z="3"), field_manager="test")
            listed = await client.list(r.CONFIGMAPS, "default", label_selector="app=test")
            assert [(item["kind"], item["metadata"]["name"]) for item in listed.items] == [
                ("ConfigMap", "a"),
                ("ConfigMap", "b"),
            ]
            with pytest.raises(errors.Conflict):
                await client.delete(r.CONFIGMAPS, "a", namespace="default", uid="another")
            await client.delete(r.CONFIGMAPS, "a", namespace="default", uid=created["metadata"]["uid"])
            with pytest.raises(errors.NotFound):
                await client.get(r.CONFIGMAPS, "a", "default")

    run(body())


def test_a_dry_run_changes_nothing() -> None:
    async def body() -> None:
        async with api_server() as client:
            await client.create(r.CONFIGMAPS, configmap("a"), dry_run=True)
            with pytest.raises(errors.NotFound):
                await client.get(r.CONFIGMAPS, "a", "default")

    run(body())


def test_list_watch_tells_what_exists_that_it_is_in_step_and_what_changes() -> None:
    async def body() -> None:
        async with api_server() as client:
            await client.create(r.CONFIGMAPS, configmap("a"))
            async with changes(client) as queue:
                assert (await queue.get()).object["metadata"]["name"] == "a"
                assert (await queue.get()).type is ChangeType.SYNCED
                await client.create(r.CONFIGMAPS, configmap("b"))
                await client.patch(r.CONFIGMAPS, "b", {"data": {"x": "1"}}, namespace="default")
                await client.delete(r.CONFIGMAPS, "a", namespace="default")
                seen = [await queue.get() for _ in range(3)]
                assert [(change.type.value, change.object["metadata"]["name"]) for change in seen] == [
                    ("ADDED", "b"),
                    ("MODIFIED", "b"),
                    ("DELETED", "a"),
                ]

    run(body())


def test_an_unreachable_server_is_an_error_with_its_address(tmp_path: Path) -> None:
    async def body() -> None:
        async with api_server() as client:
            url = client.host
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(render_kubeconfig(url, TOKEN))
        async with connect(kubeconfig) as client:
            with pytest.raises(errors.Unreachable, match=re.escape(url)):
                await client.get(r.CONFIGMAPS, "a", "default")

    run(body())


def test_a_wrong_token_is_unauthorized() -> None:
    async def body() -> None:
        async with api_server(token="not-the-token") as client:
            with pytest.raises(errors.Unauthorized):
                await client.list(r.CONFIGMAPS, "default")

    run(body())


@pytest.mark.parametrize("content", ["", "{}", "clusters: [", "kind: Config\ncurrent-context: nowhere\n"])
def test_an_unusable_kubeconfig_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)

    async def body() -> None:
        async with connect(path):
            pass

    with pytest.raises(errors.ConfigurationError, match="kubeconfig"):
        run(body())


def test_a_repeated_event_becomes_a_series() -> None:
    async def body() -> None:
        async with api_server() as client:
            clock = ManualClock()
            recorder = EventRecorder(client, clock, component="test", instance="test-0")
            regarding = await client.create(r.CONFIGMAPS, configmap("a"))
            for _ in range(3):
                await recorder.record(regarding, "Refused", "no room", action="Provision", warning=True)
            await recorder.record(regarding, "Accepted", "room again", action="Provision")
            events = (await client.list(r.EVENTS, "default")).items
            told = sorted((event["reason"], (event.get("series") or {}).get("count", 1)) for event in events)
            assert told == [("Accepted", 1), ("Refused", 3)]

    run(body())


@pytest.mark.parametrize("body", ["<html>a proxy's page</html>", "[]", "", '"text"'])
def test_an_answer_that_is_no_object_is_a_server_error_without_its_text(body: str) -> None:
    async def scenario() -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=body)

        application = web.Application()
        application.add_routes([web.get("/{path:.*}", answer)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            configuration = Configuration()
            configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with KubeClient(configuration) as client:
                if body:
                    with pytest.raises(errors.ServerError) as caught:
                        await client.get(r.CONFIGMAPS, "a", "default")
                    assert "proxy" not in str(caught.value)
                else:
                    assert await client.get(r.CONFIGMAPS, "a", "default") == {}
        finally:
            await runner.cleanup()

    run(scenario())
