"""The list-watch loop against a scripted API: it resumes, relists after 410, and never becomes a hot loop."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import structlog.testing

from actions_gateway.kube import resources as r
from actions_gateway.kube.client import KubeClient, ObjectList, WatchEvent, WatchType
from actions_gateway.kube.errors import Gone, TooManyRequests, Unreachable
from actions_gateway.kube.listwatch import Change, list_watch
from support.aio import run
from support.clock import ManualClock, settle


def pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team-a", "resourceVersion": str(version)}}


class ScriptedApi:
    """Answers lists and watches from a script; an exception in it is raised, a missing watch hangs."""

    def __init__(self, lists: list[list[Any] | Exception], watches: list[list[WatchEvent] | Exception]) -> None:
        self._lists = lists
        self._watches = watches
        self.watched_from: list[str] = []
        self.list_count = 0
        self.page_sizes: list[int | None] = []

    async def pages(self, *_: object, size: int | None, **__: object) -> AsyncIterator[ObjectList]:
        """Pages of one object each, when pages are asked for; an exception among them ends the list."""
        answer = self._lists[min(self.list_count, len(self._lists) - 1)]
        self.list_count += 1
        self.page_sizes.append(size)
        if isinstance(answer, Exception):
            raise answer
        for item in answer:
            if isinstance(item, Exception):
                raise item
            yield ObjectList([item], str(100 * self.list_count))
        if not answer:
            yield ObjectList([], str(100 * self.list_count))

    async def watch(self, *_: object, resource_version: str, **__: object) -> AsyncIterator[WatchEvent]:
        self.watched_from.append(resource_version)
        if not self._watches:
            await asyncio.Event().wait()
        answer = self._watches.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for event in answer:
            yield event


def play(api: ScriptedApi, scenario: Callable[[ManualClock, list[Change]], Any]) -> list[tuple[str, str]]:
    return [
        (change.type.value, change.object.get("metadata", {}).get("name", "")) for change in changes_of(api, scenario)
    ]


def changes_of(
    api: ScriptedApi, scenario: Callable[[ManualClock, list[Change]], Any], *, in_full: bool = True
) -> list[Change]:
    seen: list[Change] = []

    async def body() -> None:
        clock = ManualClock()

        async def follow() -> None:
            stream = list_watch(
                cast("KubeClient", api), r.PODS, "team-a", clock=clock, rng=random.Random(1), in_full=in_full
            )
            async for change in stream:
                seen.append(change)

        task = asyncio.ensure_future(follow())
        await settle()
        await scenario(clock, seen)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body())
    return seen


async def ten_seconds(clock: ManualClock, _: list[Change]) -> None:
    await clock.advance(10)


def test_what_vanished_while_the_watch_was_expired_is_told_as_deleted() -> None:
    api = ScriptedApi([[pod("a", 1), pod("b", 2)], [pod("b", 2), pod("c", 5)]], [Gone("too old")])
    assert play(api, ten_seconds) == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("SYNCED", ""),
        ("ADDED", "c"),
        ("DELETED", "a"),
    ]


def test_pages_that_expire_are_read_again_in_one_piece_and_told_once() -> None:
    api = ScriptedApi([[pod("a", 1), pod("b", 2), Gone("too old")], [pod("a", 1), pod("c", 3)]], [])
    assert play(api, ten_seconds) == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("ADDED", "c"),
        ("DELETED", "b"),
        ("SYNCED", ""),
    ]
    assert [size is None for size in api.page_sizes] == [False, True]
    assert api.watched_from == ["200"]


def test_a_list_that_breaks_off_in_the_middle_is_taken_up_where_it_was() -> None:
    api = ScriptedApi([[pod("a", 1), Unreachable("no answer")], [pod("a", 1), pod("b", 2)]], [])
    assert play(api, ten_seconds) == [("ADDED", "a"), ("ADDED", "b"), ("SYNCED", "")]


def test_of_what_vanished_the_identity_is_told_where_no_more_is_held() -> None:
    def events() -> ScriptedApi:
        return ScriptedApi([[pod("a", 1)], [pod("b", 2)]], [Gone("too old")])

    def vanished(*, in_full: bool) -> dict[str, Any]:
        (found,) = [change for change in changes_of(events(), ten_seconds, in_full=in_full) if change.type == "DELETED"]
        return found.object

    assert vanished(in_full=True) == pod("a", 1)
    assert vanished(in_full=False).keys() == {"metadata"}
    assert vanished(in_full=False)["metadata"]["resourceVersion"] == "1"


def test_a_watch_that_ends_resumes_from_the_last_version_seen_without_listing_again() -> None:
    events = [WatchEvent(WatchType.MODIFIED, pod("a", 7)), WatchEvent(WatchType.BOOKMARK, pod("", 9))]
    api = ScriptedApi([[pod("a", 1)]], [events])
    assert play(api, ten_seconds) == [("ADDED", "a"), ("SYNCED", ""), ("MODIFIED", "a")]
    assert api.watched_from == ["100", "9"]
    assert api.list_count == 1


def test_a_server_that_ends_every_watch_at_once_is_asked_ever_more_rarely() -> None:
    api = ScriptedApi([[]], [[] for _ in range(1000)])

    async def an_hour(clock: ManualClock, _: list[Change]) -> None:
        await clock.advance(3600)

    play(api, an_hour)
    assert len(api.watched_from) < 300


def test_a_failed_first_list_is_tried_again_and_synced_comes_once() -> None:
    api = ScriptedApi([Unreachable("no answer"), [pod("a", 1)]], [[], []])
    assert play(api, ten_seconds) == [("ADDED", "a"), ("SYNCED", "")]


def test_a_server_that_asks_for_a_longer_pause_gets_it_and_an_absurd_wish_is_cut() -> None:
    slow = TooManyRequests("slow down", status=429, retry_after_seconds=60.0)
    absurd = TooManyRequests("slow down", status=429, retry_after_seconds=86_400.0)
    api = ScriptedApi([slow, absurd, [pod("a", 1)]], [])

    async def scenario(clock: ManualClock, seen: list[Change]) -> None:
        await clock.advance(59)
        assert api.list_count == 1
        await clock.advance(1)
        assert api.list_count == 2
        await clock.advance(299)
        assert seen == []
        await clock.advance(1)
        assert api.list_count == 3

    assert play(api, scenario) == [("ADDED", "a"), ("SYNCED", "")]


def test_a_list_that_fails_late_is_told_and_followed_by_a_pause_all_the_same() -> None:
    api = ScriptedApi([Unreachable("it took longer than 30 s"), [pod("a", 1)]], [])

    async def scenario(clock: ManualClock, seen: list[Change]) -> None:
        assert (api.list_count, seen) == (1, [])
        await clock.advance(1)
        assert api.list_count == 2

    with structlog.testing.capture_logs() as lines:
        play(api, scenario)
    assert [line["problem"] for line in lines] == ["it took longer than 30 s"]
