"""The Kubernetes client room over HTTP: typed errors, unbroken list-watch, one leader, events in series."""

import asyncio
import base64
import random
import re
import socket
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
from actions_gateway.kube.client import KubeClient, PatchType, WatchType, connect
from actions_gateway.kube.events import EventRecorder
from actions_gateway.kube.lease import LeaderLease, LeaseTimes
from actions_gateway.kube.listwatch import Change, ChangeType, list_watch
from support.aio import run
from support.apiserver import Api, Play
from support.clock import ManualClock
from support.cluster import TOKEN, api_server, render_kubeconfig
from support.manifests import WIDGET_GROUP, widget, widget_crd


def configmap(name: str, namespace: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "test"}},
        "data": data,
    }


@asynccontextmanager
async def changes(client: KubeClient, namespace: str) -> AsyncIterator[asyncio.Queue[Change]]:
    queue: asyncio.Queue[Change] = asyncio.Queue()

    async def follow() -> None:
        async for change in list_watch(
            client, r.CONFIGMAPS, namespace, clock=SystemClock(), rng=random.Random(1), label_selector="app=test"
        ):
            queue.put_nowait(change)

    task = asyncio.ensure_future(follow())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_an_object_is_created_read_patched_applied_and_deleted(play: Play) -> None:
    async def scenario(api: Api) -> None:
        here = api.namespace
        async with api.client() as client:
            created = await client.create(r.CONFIGMAPS, configmap("a", here, x="1"))
            with pytest.raises(errors.AlreadyExists):
                await client.create(r.CONFIGMAPS, configmap("a", here))
            await client.patch(r.CONFIGMAPS, "a", {"data": {"y": "2"}}, namespace=here)
            operations = [{"op": "remove", "path": "/data/x"}]
            await client.patch(r.CONFIGMAPS, "a", operations, namespace=here, kind=PatchType.JSON)
            assert (await client.get(r.CONFIGMAPS, "a", here))["data"] == {"y": "2"}
            with pytest.raises(errors.Conflict):
                await client.update(r.CONFIGMAPS, created)
            await client.apply(r.CONFIGMAPS, configmap("b", here, z="3"), field_manager="test")
            with pytest.raises(errors.Conflict, match='conflict with "test"'):
                await client.apply(r.CONFIGMAPS, configmap("b", here, z="4"), field_manager="other", force=False)
            listed = await client.list(r.CONFIGMAPS, here, label_selector="app=test")
            assert [(item["kind"], item["metadata"]["name"]) for item in listed.items] == [
                ("ConfigMap", "a"),
                ("ConfigMap", "b"),
            ]
            with pytest.raises(errors.Conflict):
                await client.delete(r.CONFIGMAPS, "a", namespace=here, uid="another")
            await client.delete(r.CONFIGMAPS, "a", namespace=here, uid=created["metadata"]["uid"])
            with pytest.raises(errors.NotFound):
                await client.get(r.CONFIGMAPS, "a", here)

    play(scenario)


def test_a_refusal_is_told_by_its_type(play: Play) -> None:
    async def scenario(api: Api) -> None:
        here = api.namespace
        held = configmap("held", here)
        held["metadata"]["finalizers"] = ["example.com/hold"]
        async with api.client() as client:
            await client.create(r.CONFIGMAPS, held)
            with pytest.raises(errors.Invalid, match="must consist of lower case"):
                await client.create(r.CONFIGMAPS, configmap("No Name", here))
            with pytest.raises(errors.Invalid, match="patch: Invalid value"):
                await client.patch(r.CONFIGMAPS, "held", {"data": {"x": 1}}, namespace=here)
            with pytest.raises(errors.NotFound):
                await client.list(r.Resource("nowhere.example.com", "v1", "things", "Thing"), here)
            await client.delete(r.NAMESPACES, here)
            with pytest.raises(errors.NamespaceTerminating, match="being terminated"):
                await client.create(r.CONFIGMAPS, configmap("late", here))
            await client.patch(r.CONFIGMAPS, "held", {"metadata": {"finalizers": None}}, namespace=here)

    play(scenario)


def test_a_refused_patch_of_a_secret_does_not_tell_its_content(play: Play) -> None:
    """The real server puts the whole patched object into its refusal."""
    content = "planted-secret-content"
    coded = base64.b64encode(content.encode()).decode()

    async def scenario(api: Api) -> None:
        secret = {"metadata": {"name": "s"}, "data": {"k": coded}}
        async with api.client() as client:
            await client.create(r.SECRETS, secret, namespace=api.namespace)
            patches: tuple[tuple[Any, PatchType], ...] = (
                ({"metadata": {"labels": {"a": 1}}}, PatchType.MERGE),
                ({"data": {"x": "!!"}}, PatchType.MERGE),
                ({"data": {"x": "!!", "k": coded}}, PatchType.STRATEGIC),
                ([{"op": "add", "path": "/data/x", "value": 5}], PatchType.JSON),
            )
            for patch, kind in patches:
                with pytest.raises(errors.Invalid) as refused:
                    await client.patch(r.SECRETS, "s", patch, namespace=api.namespace, kind=kind)
                assert "patch: Invalid value" in str(refused.value)
                assert coded not in str(refused.value)
                assert "cannot unmarshal" in str(refused.value) or "base64" in str(refused.value)

    play(scenario)


def test_a_dry_run_changes_nothing(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            await client.create(r.CONFIGMAPS, configmap("a", api.namespace), dry_run=True)
            with pytest.raises(errors.NotFound):
                await client.get(r.CONFIGMAPS, "a", api.namespace)

    play(scenario)


def test_list_watch_tells_what_exists_that_it_is_in_step_and_what_changes(play: Play) -> None:
    async def scenario(api: Api) -> None:
        here = api.namespace
        async with api.client() as client:
            await client.create(r.CONFIGMAPS, configmap("a", here))
            async with changes(client, here) as queue:
                assert (await queue.get()).object["metadata"]["name"] == "a"
                assert (await queue.get()).type is ChangeType.SYNCED
                await client.create(r.CONFIGMAPS, configmap("b", here))
                await client.patch(r.CONFIGMAPS, "b", {"data": {"x": "1"}}, namespace=here)
                await client.delete(r.CONFIGMAPS, "a", namespace=here)
                seen = [await queue.get() for _ in range(3)]
                assert [(change.type.value, change.object["metadata"]["name"]) for change in seen] == [
                    ("ADDED", "b"),
                    ("MODIFIED", "b"),
                    ("DELETED", "a"),
                ]

    play(scenario)


def test_a_watch_from_a_forgotten_version_is_gone_and_one_from_a_list_is_moved_on_by_bookmarks(play: Play) -> None:
    widgets = r.Resource(WIDGET_GROUP, "v1", "widgets", "Widget")

    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        async with api.client() as client:
            for index in range(12):
                await client.create(widgets, widget(f"w{index}"), namespace=api.namespace)
            with pytest.raises(errors.Gone):
                async for _ in client.watch(widgets, api.namespace, resource_version="1"):
                    pass
            version = (await client.list(r.CONFIGMAPS, api.namespace)).resource_version
            await client.create(r.CONFIGMAPS, configmap("seen", api.namespace))
            options: dict[str, Any] = {"label_selector": "app=test", "timeout_seconds": 3.0}
            types = []
            async for event in client.watch(r.CONFIGMAPS, api.namespace, resource_version=version, **options):
                types.append(event.type)
                if event.type is WatchType.ADDED:
                    await client.create(r.CONFIGMAPS, {"metadata": {"name": "unseen"}}, namespace=api.namespace)
            assert types[0] is WatchType.ADDED
            assert set(types[1:]) == {WatchType.BOOKMARK}

    play(scenario, history_events=5)


def test_a_service_accounts_token_is_its_own(play: Play) -> None:
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    async def scenario(api: Api) -> None:
        async with api.client() as client:
            token = await client.create_token("default", api.namespace, expiration_seconds=600)
        async with api.client(token=token) as client:
            answer = await client.request("POST", review, body={})
            assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{api.namespace}:default"

    play(scenario)


def test_one_of_two_leads_and_the_other_follows_when_it_lets_go(play: Play) -> None:
    """The first releases the lease when its work ends, so the second need not wait until it runs out."""
    times = LeaseTimes(duration_seconds=15.0, renew_deadline_seconds=10.0, retry_seconds=0.05)

    async def scenario(api: Api) -> None:
        order: list[str] = []
        async with api.client() as client, asyncio.TaskGroup() as group:
            leads = {name: asyncio.Event() for name in ("one", "two")}

            async def lead(name: str) -> None:
                lease = LeaderLease(
                    *(client, SystemClock(), random.Random(1)),
                    name="leader",
                    namespace=api.namespace,
                    identity=name,
                    times=times,
                )

                async def work() -> None:
                    order.append(name)
                    leads[name].set()
                    await asyncio.Event().wait()

                await lease.run_while_leading(work)

            first = group.create_task(lead("one"))
            await leads["one"].wait()
            second = group.create_task(lead("two"))
            assert (await client.get(r.LEASES, "leader", api.namespace))["spec"]["holderIdentity"] == "one"
            first.cancel()
            await leads["two"].wait()
            assert (await client.get(r.LEASES, "leader", api.namespace))["spec"]["holderIdentity"] == "two"
            second.cancel()
        assert order == ["one", "two"]

    play(scenario)


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


def test_a_wrong_token_is_unauthorized(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client(token="not-the-token") as client:
            with pytest.raises(errors.Unauthorized):
                await client.list(r.CONFIGMAPS, api.namespace)

    play(scenario)


@pytest.mark.parametrize("content", ["", "{}", "clusters: [", "kind: Config\ncurrent-context: nowhere\n"])
def test_an_unusable_kubeconfig_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)

    async def body() -> None:
        async with connect(path):
            pass

    with pytest.raises(errors.ConfigurationError, match="kubeconfig"):
        run(body())


def test_a_repeated_event_becomes_a_series(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.client() as client:
            clock = ManualClock()
            recorder = EventRecorder(client, clock, component="test", instance="test-0")
            regarding = await client.create(r.CONFIGMAPS, configmap("a", api.namespace))
            for _ in range(3):
                await recorder.record(regarding, "Refused", "no room", action="Provision", warning=True)
            await recorder.record(regarding, "Accepted", "room again", action="Provision")
            events = (await client.list(r.EVENTS, api.namespace)).items
            told = sorted((event["reason"], (event.get("series") or {}).get("count", 1)) for event in events)
            assert told == [("Accepted", 1), ("Refused", 3)]
            selector, core_events = "involvedObject.name=a,type=Warning", r.Resource("", "v1", "events", "Event")
            shown = await client.list(core_events, api.namespace, field_selector=selector)
            assert [event["message"] for event in shown.items] == ["no room"]
            selector = "reason=Refused,involvedObject.kind=ConfigMap"
            (refused,) = (await client.list(core_events, api.namespace, field_selector=selector)).items
            assert refused["message"] == "no room"
            assert refused["series"]["lastObservedTime"] >= refused["eventTime"]

    play(scenario)


def test_every_answer_is_told_with_its_verb(play: Play) -> None:
    async def scenario(api: Api) -> None:
        heard: list[tuple[str, int | None]] = []
        async with api.client() as client:
            client.on_answer = lambda verb, status: heard.append((verb, status))
            await client.create(r.CONFIGMAPS, configmap("a", api.namespace))
            with pytest.raises(errors.NotFound):
                await client.get(r.CONFIGMAPS, "b", api.namespace)
            found = await client.list(r.CONFIGMAPS, api.namespace)
            async for _ in client.watch(
                r.CONFIGMAPS, api.namespace, resource_version=found.resource_version, timeout_seconds=1
            ):
                pass
            await client.delete(r.CONFIGMAPS, "a", namespace=api.namespace)
        assert heard == [("create", 201), ("get", 404), ("list", 200), ("watch", 200), ("delete", 200)]

    play(scenario)


def test_no_answer_is_told_as_such() -> None:
    async def scenario() -> None:
        heard: list[tuple[str, int | None]] = []
        configuration = Configuration()
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            configuration.host = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            async with KubeClient(configuration) as client:
                client.on_answer = lambda verb, status: heard.append((verb, status))
                with pytest.raises(errors.Unreachable):
                    await client.list(r.CONFIGMAPS, "default")
        assert heard == [("list", None)]

    run(scenario())


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
