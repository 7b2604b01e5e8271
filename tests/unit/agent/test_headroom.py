"""How many more workers the namespace's quotas admit, as the watches tell it."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import structlog.testing

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.headroom import Headroom
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.footprint import Footprint, footprint_of
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.kube.client import ObjectList, WatchEvent, WatchType
from actions_gateway.kube.errors import Forbidden
from actions_gateway.kube.resources import LIMITRANGES, RESOURCEQUOTAS, Resource
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

Manifest = dict[str, Any]


def worker(cpu: str = "1") -> Footprint:
    resources = {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}
    return footprint_of({"spec": {"containers": [{"name": "runner", "resources": resources}]}})


def quota(hard: Manifest, used: Manifest | None = None, name: str = "team") -> Manifest:
    status = {"hard": hard, "used": used or dict.fromkeys(hard, "0")}
    return {"metadata": {"name": name, "resourceVersion": "1"}, "status": status}


class Server:
    """Quotas and LimitRanges of a namespace, as list and watch show them."""

    def __init__(self, *quotas: Manifest, limit_ranges: tuple[Manifest, ...] = ()) -> None:
        self.clock = ManualClock()
        self._objects = {RESOURCEQUOTAS: list(quotas), LIMITRANGES: list(limit_ranges)}
        self._events: dict[Resource, asyncio.Queue[WatchEvent]] = {}
        self.refused: tuple[Resource, ...] = ()
        metrics = Metrics(Component.AGENT, "test")
        basics = Basics("team-a", "agent-1", self.clock, random.Random(1), metrics, Tunables())
        self.headroom = Headroom(cast("Any", self), basics)

    async def pages(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[ObjectList]:
        if resource in self.refused:
            raise Forbidden("cannot list", status=403)
        yield ObjectList(self._objects[resource], "1")

    async def watch(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        queue = self._events.setdefault(resource, asyncio.Queue())
        while True:
            yield await queue.get()

    async def tell(self, manifest: Manifest, type_: WatchType = WatchType.MODIFIED) -> None:
        await self._events[RESOURCEQUOTAS].put(WatchEvent(type_, manifest))
        await settle()


def with_server(server: Server, scenario: Any) -> None:
    async def main() -> None:
        task = asyncio.create_task(server.headroom.run())
        await settle()
        try:
            await scenario(server.headroom)
        finally:
            await cancel_and_wait(task)

    run(main())


def test_a_shortage_names_the_key_of_the_quota_that_binds() -> None:
    async def scenario(headroom: Headroom) -> None:
        assert headroom.room(worker()) == 0
        assert headroom.shortage(worker("2")) == "the quota team has no room: limits.cpu needs 2, used 1500m of 2"
        assert headroom.shortage(worker("500m")) == ""

    with_server(Server(quota({"pods": "9", "limits.cpu": "2"}, {"pods": "1", "limits.cpu": "1500m"})), scenario)


def test_what_is_reserved_counts_for_all_groups_until_its_pod_exists() -> None:
    async def scenario(headroom: Headroom) -> None:
        mine, others = worker(), worker("2")
        headroom.reserve(mine)
        headroom.reserve(mine)
        headroom.reserve(others)
        assert headroom.room(mine) == 0
        assert headroom.shortage(mine).endswith("limits.cpu needs 1, used 0, reserved 4 of 4")
        moved = headroom.moved.next
        headroom.settle(mine)
        assert moved.is_set()
        assert headroom.room(mine) == 1
        headroom.settle(mine)
        headroom.settle(others)
        assert headroom.room(mine) == 4

    with_server(Server(quota({"limits.cpu": "4"})), scenario)


def test_the_tightest_quota_counts() -> None:
    async def scenario(headroom: Headroom) -> None:
        assert headroom.room(worker()) == 2

    with_server(Server(quota({"pods": "5"}, name="a"), quota({"cpu": "2"}, name="b")), scenario)


@pytest.mark.parametrize(
    ("after", "eases"),
    [
        pytest.param(quota({"pods": "3"}, {"pods": "2"}), True, id="raised"),
        pytest.param(quota({"pods": "2"}, {"pods": "1"}), True, id="used less"),
        pytest.param(quota({}), True, id="without the key"),
        pytest.param(quota({"pods": "2"}, {"pods": "2"}), False, id="the same"),
        pytest.param(quota({"pods": "1"}, {"pods": "2"}), False, id="lowered"),
        pytest.param(quota({"pods": "2", "cpu": "9"}, {"pods": "2"}), False, id="one key more"),
    ],
)
def test_who_was_refused_is_woken_when_more_may_be_admitted(after: Manifest, eases: bool) -> None:
    server = Server(quota({"pods": "2"}, {"pods": "2"}))

    async def scenario(headroom: Headroom) -> None:
        changed, moved = headroom.changed.next, headroom.moved.next
        await server.tell(after)
        assert changed.is_set() is eases
        assert moved.is_set()

    with_server(server, scenario)


def test_a_deleted_quota_binds_nobody() -> None:
    server = Server(full := quota({"pods": "0"}))

    async def scenario(headroom: Headroom) -> None:
        assert headroom.room(worker()) == 0
        changed = headroom.changed.next
        await server.tell(full, WatchType.DELETED)
        assert changed.is_set()
        assert headroom.shortage(worker()) == ""

    with_server(server, scenario)


def test_what_has_to_be_declared_is_told_whatever_is_used() -> None:
    async def scenario(headroom: Headroom) -> None:
        said = "the quota team admits no pod that does not declare limits.memory (containers runner)"
        assert headroom.shortage(worker()) == headroom.undeclared(worker()) == said
        assert headroom.room(worker()) == 0

    with_server(Server(quota({"limits.memory": "9Gi"})), scenario)


def test_nothing_has_to_be_declared_that_a_limit_range_may_fill_in() -> None:
    server = Server(quota({"limits.memory": "9Gi"}))
    server.refused = (LIMITRANGES,)

    async def scenario(headroom: Headroom) -> None:
        assert headroom.shortage(worker()) == ""

    with_server(server, scenario)


def test_quotas_that_cannot_be_read_bind_nobody_and_are_told_once() -> None:
    server = Server(quota({"pods": "0"}))
    server.refused = (RESOURCEQUOTAS,)

    async def scenario(headroom: Headroom) -> None:
        assert headroom.room(worker()) > 0
        assert headroom.shortage(worker()) == ""

    with structlog.testing.capture_logs() as lines:
        with_server(server, scenario)
    assert len([line for line in lines if "quotas are not read yet" in line["event"]]) == 1
