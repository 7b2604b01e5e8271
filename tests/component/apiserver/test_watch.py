"""Watches: order, selectors, bookmarks, deadlines and the end of history."""

import asyncio

import pytest

from support.apiserver import Api, Play
from support.clock import ManualClock
from support.manifests import WIDGETS, Json, config_map, pod, widget, widget_crd


def test_a_watch_from_a_list_shows_every_later_write_in_order(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map("old"))
        version = (await api.get("~/configmaps")).version
        async with api.watch("~/configmaps", resourceVersion=version) as watch:
            await api.create("~/configmaps", config_map("new", n="1"))
            await api.patch("~/configmaps/new", {"data": {"n": "2"}})
            await api.delete("~/configmaps/old")
            events = [await watch.next() for _ in range(3)]
        assert [(kind, obj["metadata"]["name"]) for kind, obj in events] == [
            ("ADDED", "new"),
            ("MODIFIED", "new"),
            ("DELETED", "old"),
        ]
        versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
        assert versions == sorted(versions)
        assert versions[0] > int(version)

    play(scenario)


def test_a_watch_without_a_version_begins_with_what_is_there(play: Play) -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/secrets", {"metadata": {"name": "a"}})
        async with api.watch("~/secrets") as watch:
            assert (await watch.next())[0] == "ADDED"
            await api.delete("~/secrets/a")
            assert (await watch.next())[0] == "DELETED"

    play(scenario)


def test_an_object_that_enters_or_leaves_the_selection_is_added_or_deleted(play: Play) -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("~/pods")).version
        async with api.watch("~/pods", resourceVersion=version, labelSelector="on=yes") as watch:
            await api.create("~/pods", pod())
            for value in ("yes", "no"):
                await api.patch("~/pods/p", {"metadata": {"labels": {"on": value}}})
            await api.create("~/pods", pod("q") | {"metadata": {"name": "q", "labels": {"on": "yes"}}})
            seen = [await watch.next() for _ in range(3)]
        assert [(kind, obj["metadata"]["name"]) for kind, obj in seen] == [
            ("ADDED", "p"),
            ("DELETED", "p"),
            ("ADDED", "q"),
        ]

    play(scenario)


def test_a_watch_that_sees_nothing_is_moved_on_by_a_bookmark_before_its_deadline(play: Play) -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("~/configmaps")).version
        query = {"labelSelector": "no=such", "allowWatchBookmarks": "true", "timeoutSeconds": "8"}
        async with api.watch("~/configmaps", resourceVersion=version, **query) as watch:
            latest = await api.create("~/configmaps", config_map())
            await api.pass_time(9)
            events = await watch.rest()
        assert {(kind, obj["kind"]) for kind, obj in events} == {("BOOKMARK", "ConfigMap")}
        assert int(events[-1][1]["metadata"]["resourceVersion"]) >= int(latest["metadata"]["resourceVersion"])

    play(scenario, clock=ManualClock())


@pytest.mark.embedded_only("a real server sends bookmarks to an idle watch about once a minute; this moves the clock")
def test_bookmarks_come_every_minute(play: Play) -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("~/configmaps")).version
        async with api.watch("~/configmaps", resourceVersion=version, allowWatchBookmarks="true") as watch:
            for _ in range(2):
                latest = await api.create("~/secrets", {"metadata": {"generateName": "elsewhere-"}})
                await api.pass_time(60)
                kind, bookmark = await watch.next()
                assert kind == "BOOKMARK"
                assert bookmark["metadata"]["resourceVersion"] == latest["metadata"]["resourceVersion"]

    play(scenario, clock=ManualClock())


def test_a_watch_from_before_the_kept_history_is_told_to_list_again(play: Play) -> None:
    """The real server keeps a resource's history from the moment it is first served, so version 1 lies before it."""

    async def scenario(api: Api) -> None:
        await api.serve(widget_crd())
        for index in range(12):
            await api.create(WIDGETS, widget(f"w{index}"))
        async with api.watch(WIDGETS, resourceVersion="1") as watch:
            kind, status = await watch.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert status["message"].startswith("too old resource version: 1 (")

    play(scenario, history_events=5)


@pytest.mark.embedded_only("the real server ends such a watch without a word; its buffers are not a test's to fill")
def test_a_watch_that_falls_behind_ends_with_410_and_the_stream_with_it(play: Play) -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("~/configmaps")).version
        big = "x" * 400_000
        async with api.watch("~/configmaps", resourceVersion=version) as watch:
            # Nobody reads: the socket fills (Linux may give it tens of MB), the server's write waits, and history moves
            # past the watch.
            for index in range(150):
                await api.create("~/configmaps", config_map(f"c{index}", big=big))
            kind, status = await watch.until(lambda kind, _: kind == "ERROR")
        assert (kind, status["code"]) == ("ERROR", 410)

    play(scenario, history_events=5)


def test_a_list_at_a_version_from_the_future_is_refused(play: Play) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get("~/configmaps", resourceVersion="99999999")
        assert answer.refusal == (504, "Timeout")
        assert answer.message.startswith("Timeout: Too large resource version: 99999999, current: ")
        assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    play(scenario)


def test_a_watch_from_the_future_is_silent_until_then(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.watch("~/configmaps", resourceVersion="99999999", timeoutSeconds="1") as watch:
            await api.create("~/configmaps", config_map())
            assert await watch.rest() == []

    play(scenario)


def test_a_watch_of_all_namespaces_sees_every_namespace(play: Play) -> None:
    async def scenario(api: Api) -> None:
        other = (await api.create("/api/v1/namespaces", {"metadata": {"generateName": "other-"}}))["metadata"]["name"]
        mine: Json = {"metadata": {"name": "c", "labels": {"scenario": api.namespace}}}
        version = (await api.get("/api/v1/configmaps")).version
        query = {"resourceVersion": version, "labelSelector": f"scenario={api.namespace}"}
        async with api.watch("/api/v1/configmaps", **query) as watch:
            for namespace in (other, api.namespace):
                answer = await api.post(f"/api/v1/namespaces/{namespace}/configmaps", mine)
                assert answer.status == 201
            seen = [(await watch.next())[1]["metadata"]["namespace"] for _ in range(2)]
        assert seen == [other, api.namespace]

    play(scenario)


@pytest.mark.embedded_only("the session shares the real server")
def test_stopping_the_server_ends_open_watches(play: Play) -> None:
    async def scenario(api: Api) -> None:
        async with api.watch("~/configmaps") as watch:
            stopping = asyncio.ensure_future(api.server.stop())
            await watch.rest()
            await stopping

    play(scenario)
