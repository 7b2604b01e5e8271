"""The repositories seen lately: written down once a day each, and known again after a restart."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from actions_gateway.agent.adoption.adopter import Adopter
from actions_gateway.agent.recovery.repositories import SeenRepositories
from actions_gateway.agent.recovery.seen import lately
from support.aio import run
from support.clock import START, ManualClock, settle

GROUP = {"metadata": {"name": "ci-cpu", "uid": "u", "ownerReferences": [{"name": "gateway"}]}}


class World:
    """The ledger, and one agent's view of it."""

    def __init__(self, *, only: str | None = None) -> None:
        self.clock = ManualClock()
        self.loaded = asyncio.Event()
        self.loaded.set()
        self.repositories: Mapping[str, datetime] = {}
        self.writes: list[list[str]] = []
        self.start(only)

    def start(self, only: str | None = None) -> None:
        """A new agent process."""
        self.seen = SeenRepositories(cast("Any", self), self.clock, only=only)

    async def see(self, repositories: Mapping[str, datetime], *, owners: list[dict[str, Any]]) -> None:
        assert owners == [{"name": "gateway"}]
        self.writes.append(sorted(repositories))
        self.repositories = lately(self.clock.now(), self.repositories, repositories)


def playing(world: World, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        task = asyncio.create_task(world.seen.run())
        try:
            await settle()
            await body()
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_each_repository_is_written_once_a_day() -> None:
    world = World()

    async def body() -> None:
        for _ in range(23):
            for name in ("octo/demo", None, "octo/other"):
                world.seen.note(name, GROUP)
            await world.clock.advance(3600)
        assert world.writes == [["octo/demo", "octo/other"]]
        await world.clock.advance(3601)
        world.seen.note("octo/demo", GROUP)
        await settle()
        assert len(world.writes) == 2

    playing(world, body)


def test_the_next_agent_knows_them_the_latest_first_and_writes_nothing() -> None:
    world = World()

    async def body() -> None:
        for name in ("octo/b", "octo/a", "octo/c"):
            world.seen.note(name, GROUP)
            await world.clock.advance(60)
        assert await world.seen.newest() == ["octo/c", "octo/a", "octo/b"]
        writes = len(world.writes)
        world.start()
        assert await world.seen.newest() == ["octo/c", "octo/a", "octo/b"]
        world.seen.note("octo/b", GROUP)
        assert (await world.seen.newest())[0] == "octo/b"
        await settle()
        assert len(world.writes) == writes
        await world.clock.advance(3 * 86400)
        assert await world.seen.newest() == []

    playing(world, body)


def test_more_than_are_kept_are_still_written_once_a_day() -> None:
    world = World()

    async def body() -> None:
        for _ in range(3):
            for number in range(600):
                world.seen.note(f"octo/{number}", GROUP)
            await settle()
            await world.clock.advance(60)
        assert len(world.repositories) == 500
        assert len(world.writes) <= 3

    playing(world, body)


def test_a_gateway_of_one_repository_writes_nothing() -> None:
    world = World(only="octo/demo")

    async def body() -> None:
        world.seen.note("octo/demo", GROUP)
        await settle()
        assert not world.writes
        assert await world.seen.newest() == ["octo/demo"]

    playing(world, body)


def test_they_are_asked_for_when_the_ledger_was_read() -> None:
    async def main() -> None:
        world = World()
        world.loaded.clear()
        question = asyncio.create_task(world.seen.newest())
        await settle()
        assert not question.done()
        world.repositories = {"octo/demo": START}
        world.loaded.set()
        assert await question == ["octo/demo"]

    run(main())


def test_a_cut_off_claim_is_looked_for_where_workers_are_first_and_then_in_the_latest_repositories() -> None:
    async def main() -> None:
        world = World()
        world.repositories = {f"octo/{name}": START + timedelta(seconds=order) for order, name in enumerate("abc")}
        views = [SimpleNamespace(identity=SimpleNamespace(repository=name)) for name in ("octo/a", None, "octo/z")]
        services = SimpleNamespace(pods=SimpleNamespace(all=lambda: views), repositories=world.seen)
        adopter = cast("Any", SimpleNamespace(_services=services))
        assert await Adopter._repositories(adopter) == ["octo/a", "octo/z", "octo/c", "octo/b"]

    run(main())
