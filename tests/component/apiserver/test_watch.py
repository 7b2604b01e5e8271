"""Watches: order, selectors, bookmarks, deadlines and the end of history."""

import asyncio

import pytest

from support.apiserver import Api, config_map, play, pod
from support.clock import ManualClock


def test_a_watch_from_a_list_shows_every_later_write_in_order() -> None:
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


def test_a_watch_without_a_version_begins_with_what_is_there() -> None:
    async def scenario(api: Api) -> None:
        await api.create("~/configmaps", config_map("a"))
        async with api.watch("~/configmaps") as watch:
            assert (await watch.next())[0] == "ADDED"
            await api.delete("~/configmaps/a")
            assert (await watch.next())[0] == "DELETED"

    play(scenario)


def test_an_object_that_enters_or_leaves_the_selection_is_added_or_deleted() -> None:
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


def test_bookmarks_move_an_idle_watch_on_and_come_at_its_deadline() -> None:
    clock = ManualClock()

    async def scenario(api: Api) -> None:
        version = (await api.get("~/configmaps")).version
        query = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "90"}
        async with api.watch("~/configmaps", **query) as watch:
            latest = await api.create("~/secrets", {"metadata": {"name": "elsewhere"}})
            await clock.advance(60)
            kind, bookmark = await watch.next()
            assert kind == "BOOKMARK"
            assert bookmark["metadata"]["resourceVersion"] == latest["metadata"]["resourceVersion"]
            await clock.advance(31)
            assert (await watch.next())[0] == "BOOKMARK"
            with pytest.raises((EOFError, asyncio.IncompleteReadError)):
                await watch.next()

    play(scenario, clock=clock)


def test_a_watch_from_before_the_kept_history_is_told_to_list_again() -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("~/configmaps")).version
        for index in range(12):
            await api.create("~/configmaps", config_map(f"c{index}"))
        async with api.watch("~/configmaps", resourceVersion=version) as watch:
            kind, status = await watch.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")

    play(scenario, history_events=5)


def test_a_watch_that_falls_behind_ends_with_410_and_the_stream_with_it() -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("~/configmaps")).version
        big = "x" * 100_000
        async with api.watch("~/configmaps", resourceVersion=version) as watch:
            # Nobody reads: the socket fills, the server's write waits, and history moves past the watch.
            for index in range(60):
                await api.create("~/configmaps", config_map(f"c{index}", big=big))
            kind, status = await watch.until(lambda kind, _: kind == "ERROR")
        assert (kind, status["code"]) == ("ERROR", 410)

    play(scenario, history_events=5)


def test_a_version_from_the_future_is_refused() -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get("~/configmaps", resourceVersion="99999")
        assert answer.refusal == (504, "Timeout")
        assert "Too large resource version" in answer.message

    play(scenario)


def test_streaming_lists_are_refused_so_that_clients_fall_back() -> None:
    async def scenario(api: Api) -> None:
        answer = await api.get("~/configmaps", watch="true", sendInitialEvents="true")
        assert answer.refusal == (422, "Invalid")

    play(scenario)


def test_a_watch_of_all_namespaces_sees_every_namespace() -> None:
    async def scenario(api: Api) -> None:
        version = (await api.get("/api/v1/configmaps")).version
        async with api.watch("/api/v1/configmaps", resourceVersion=version) as watch:
            for namespace in ("default", api.namespace):
                await api.create(f"/api/v1/namespaces/{namespace}/configmaps", config_map())
            seen = [(await watch.next())[1]["metadata"]["namespace"] for _ in range(2)]
        assert seen == ["default", api.namespace]

    play(scenario)


def test_stopping_the_server_ends_open_watches() -> None:
    async def scenario(api: Api) -> None:
        async with api.watch("~/configmaps") as watch:
            stopping = asyncio.ensure_future(api.server.stop())
            with pytest.raises((EOFError, asyncio.IncompleteReadError)):
                await watch.next()
            await stopping

    play(scenario)
