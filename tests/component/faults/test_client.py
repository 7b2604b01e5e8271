"""Requests and list-watch on a real API server that misbehaves: nothing hangs, nothing is lost, the cause is named."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing

from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.clock import SystemClock
from actions_gateway.kube import client as client_module
from actions_gateway.kube import errors
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.listwatch import Change, ChangeType, list_watch
from actions_gateway.kube.resources import CONFIGMAPS
from gateway_sandbox.controlplane.server import ControlPlane
from support.aio import run
from support.faulty_proxy import (
    Effect,
    answer,
    close_mid_body,
    drop_watch,
    hang,
    lose_answer,
    refuse,
    silence,
)

from .site import site

MINE = "fault=tried"
QUICK = Backoff(base_seconds=0.2, cap_seconds=1.0)


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"fault": "tried"}}, "data": data}


class Follower:
    """What list_watch tells of the ConfigMaps of a namespace, as they are now."""

    def __init__(self) -> None:
        self.state: dict[str, dict[str, str]] = {}
        self.told: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def take(self, change: Change) -> None:
        if change.type is not ChangeType.SYNCED:
            name = change.object["metadata"]["name"]
            self.told.append((change.type.value, name))
            self.state.pop(name, None)
            if change.type is not ChangeType.DELETED:
                self.state[name] = change.object.get("data") or {}
        else:
            self.told.append(("SYNCED", ""))
        self._changed.set()

    async def until(self, *names: str) -> None:
        """Returns once exactly these objects are known to exist, after the first complete list."""
        while ("SYNCED", "") not in self.told or set(self.state) != set(names):
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def following(client: KubeClient, namespace: str) -> AsyncIterator[Follower]:
    follower = Follower()

    async def follow() -> None:
        changes = list_watch(
            client,
            CONFIGMAPS,
            namespace,
            clock=SystemClock(),
            rng=random.Random(1),
            label_selector=MINE,
            backoff=QUICK,
        )
        async for change in changes:
            follower.take(change)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow(), name="follow")
        yield follower
        task.cancel()


@pytest.mark.parametrize(
    ("effect", "kind", "cause", "asked"),
    [
        pytest.param(
            answer(429, retry_after="7"), errors.TooManyRequests, "TooManyRequests: a fault", 7.0, id="throttled"
        ),
        pytest.param(answer(500), errors.ServerError, "InternalError: a fault", None, id="failed"),
        pytest.param(answer(503, text=""), errors.ServerError, "answers 503 Service Unavailable", None, id="no Status"),
        pytest.param(answer(401), errors.Unauthorized, "does not accept our credentials", None, id="rejected"),
        pytest.param(close_mid_body, errors.Unreachable, "broke off in the middle of the answer", None, id="cut"),
        pytest.param(refuse, errors.Unreachable, "closed without an answer", None, id="closed"),
        pytest.param(hang, errors.Unreachable, "took longer than 2 s", None, id="silent"),
    ],
)
def test_each_misbehaviour_is_one_typed_error_that_names_its_cause(
    plane: ControlPlane, effect: Effect, kind: type[errors.KubeError], cause: str, asked: float | None
) -> None:
    async def main() -> None:
        # Where another cause is to be named, a busy machine must not make it a timeout.
        timeout_seconds = 2.0 if effect is hang else 20.0
        async with site(plane) as here, here.client(timeout_seconds=timeout_seconds) as client:
            here.proxy.inject(effect)
            with pytest.raises(errors.KubeError, match=cause) as caught:
                await client.list(CONFIGMAPS, "kube-system")
            assert type(caught.value) is kind
            assert caught.value.retry_after_seconds == asked
            # The same client works on as soon as the server does.
            here.proxy.clear()
            assert (await client.list(CONFIGMAPS, "kube-system")).items

    run(main())


def test_a_list_whose_pages_expire_begins_anew_and_is_whole(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_PAGE_SIZE", 2)

    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            for number in range(5):
                await here.admin.create(CONFIGMAPS, configmap(f"c{number}"), namespace=namespace)
            fault = here.proxy.inject(answer(410), query="continue=", times=1)
            found = await client.list(CONFIGMAPS, namespace, label_selector=MINE)
            assert [item["metadata"]["name"] for item in found.items] == [f"c{number}" for number in range(5)]
            assert fault.hits == 1
            # Unharmed, the same list takes its pages.
            before = len(here.proxy.seen)
            assert len((await client.list(CONFIGMAPS, namespace, label_selector=MINE)).items) == 5
            assert len(here.proxy.seen) - before == 3

    run(main())


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(answer(500), id="failed"),
        pytest.param(answer(429, retry_after="1"), id="throttled"),
        pytest.param(close_mid_body, id="cut in the middle"),
        pytest.param(refuse, id="closed"),
        pytest.param(hang, id="silent"),
        pytest.param(answer(200, text="<html>a captive portal</html>"), id="no JSON"),
        pytest.param(answer(401), id="rejected"),
    ],
)
def test_a_first_list_that_fails_is_repeated_and_nothing_is_missing(plane: ControlPlane, effect: Effect) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client(timeout_seconds=0.5) as client:
            namespace = await here.namespace()
            await here.admin.create(CONFIGMAPS, configmap("a"), namespace=namespace)
            fault = here.proxy.inject(effect, is_watch=False, times=1)
            async with following(client, namespace) as follower:
                await follower.until("a")
                await here.admin.create(CONFIGMAPS, configmap("b"), namespace=namespace)
                await follower.until("a", "b")
            assert fault.hits == 1
            assert follower.told == [("ADDED", "a"), ("SYNCED", ""), ("ADDED", "b")]

    run(main())


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param(drop_watch(0), id="at once"),
        pytest.param(drop_watch(1), id="after an event"),
        pytest.param(answer(500), id="failed"),
        pytest.param(answer(410), id="expired"),
        pytest.param(answer(429, retry_after="1"), id="throttled"),
        pytest.param(refuse, id="closed"),
    ],
)
def test_a_watch_that_breaks_is_resumed_and_no_change_is_lost_or_told_twice(
    plane: ControlPlane, effect: Effect
) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            await here.admin.create(CONFIGMAPS, configmap("a"), namespace=namespace)
            fault = here.proxy.inject(effect, is_watch=True, times=2)
            async with following(client, namespace) as follower:
                await follower.until("a")
                await here.admin.create(CONFIGMAPS, configmap("b"), namespace=namespace)
                await here.admin.delete(CONFIGMAPS, "a", namespace=namespace)
                await fault.until_hit(2)
                await here.admin.create(CONFIGMAPS, configmap("c"), namespace=namespace)
                await follower.until("b", "c")
            assert len(set(follower.told)) == len(follower.told)

    run(main())


def test_a_watch_that_says_nothing_is_given_up_and_its_changes_are_told_by_the_next(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client(watch_silence_seconds=0.3) as client:
            namespace = await here.namespace()
            fault = here.proxy.inject(silence, is_watch=True, times=1)
            async with following(client, namespace) as follower:
                await fault.until_hit()
                await here.admin.create(CONFIGMAPS, configmap("a"), namespace=namespace)
                await follower.until("a")
            # It resumed; it did not list again.
            assert sum(not seen.is_watch for seen in here.proxy.seen) == 1

    run(main())


def test_a_server_that_asks_for_patience_gets_it(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            fault = here.proxy.inject(answer(429, retry_after="2"), is_watch=False, times=1)
            with structlog.testing.capture_logs() as lines:
                async with following(client, namespace) as follower:
                    await follower.until()
            assert fault.hits == 1
            first, second = [seen.at for seen in here.proxy.seen if not seen.is_watch]
            assert second - first >= 2.0
            (line,) = lines
            assert (line["kind"], line["retry_in_seconds"]) == ("ConfigMap", 2.0)
            assert "TooManyRequests" in line["problem"]

    run(main())


def test_a_create_whose_answer_is_lost_is_told_as_unreachable_and_exists(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            here.proxy.inject(lose_answer, method="POST", times=1)
            with pytest.raises(errors.Unreachable):
                await client.create(CONFIGMAPS, configmap("a"), namespace=namespace)
            with pytest.raises(errors.AlreadyExists):
                await client.create(CONFIGMAPS, configmap("a"), namespace=namespace)

    run(main())


def test_a_server_that_breaks_every_watch_is_not_hammered(plane: ControlPlane) -> None:
    async def main() -> None:
        async with site(plane) as here, here.client() as client:
            namespace = await here.namespace()
            fault = here.proxy.inject(refuse, is_watch=True)
            async with following(client, namespace):
                await fault.until_hit(6)
            first, *_, last = [seen.at for seen in here.proxy.seen if seen.is_watch]
            # aiohttp repeats a read once by itself; between such pairs the pauses double from a tenth of a second.
            assert last - first >= 0.3

    run(main())
