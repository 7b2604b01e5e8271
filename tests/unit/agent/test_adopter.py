"""Looking at slots at the start: one that cannot be read holds up nobody, and one job is taken over once."""

import asyncio
import random
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actions_gateway.agent.adoption import adopter as module
from actions_gateway.agent.adoption.adopter import Adopter
from actions_gateway.agent.adoption.fates import Fate, FoundSlot, decide_fate
from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.reaping import Reaper
from actions_gateway.agent.jobs.slots import Slot
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api import labels
from actions_gateway.api.names import job_slot_name
from actions_gateway.kube.errors import ServerError
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle


class Slots:
    """Slots of which the first cannot be read while `is_down`."""

    is_down = True

    async def read(self, number: int) -> None:
        if number == 1 and self.is_down:
            raise ServerError("down", status=500)

    def holds(self, _name: str, _uid: str) -> bool:
        return True


def adopter_of(slots: Slots, clock: ManualClock, tasks: asyncio.TaskGroup) -> Adopter:
    basics = Basics("team-a", "agent-1", clock, random.Random(1), Metrics(Component.AGENT, "test"), Tunables())
    pods = SimpleNamespace(all=list, listen=lambda _: None)
    services: Any = SimpleNamespace(basics=basics, slots=slots, pods=pods)
    group: Any = SimpleNamespace(name="ci-cpu", uid="u")
    nothing = cast("Any", None)
    return Adopter(services, nothing, nothing, nothing, group_of=lambda _: group, tasks=tasks)


def test_a_slot_that_cannot_be_read_holds_up_the_groups_for_a_minute_and_its_pod_stays() -> None:
    async def main() -> None:
        slots, clock = Slots(), ManualClock()
        async with asyncio.TaskGroup() as tasks:
            adopter = adopter_of(slots, clock, tasks)
            adopting = tasks.create_task(adopter.adopt_all([1]))
            await settle()
            assert not adopter.has_read(job_slot_name(2))
            await clock.advance(59)
            assert not adopting.done()
            await clock.advance(2)
            assert adopting.done()
            assert adopter.has_read(job_slot_name(2))
            assert not adopter.has_read(job_slot_name(1))
            slots.is_down = False
            await clock.advance(120)
            assert adopter.has_read(job_slot_name(1))

    run(main())


def test_a_slot_that_another_look_took_meanwhile_is_left_to_it(monkeypatch: Any) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with asyncio.TaskGroup() as tasks:
            adopter = adopter_of(Slots(), clock, tasks)
            pod: Any = SimpleNamespace(slot_uid="s")
            state: Any = SimpleNamespace(group_uid="u", agent="agent-1", jit_config=SimpleNamespace(reveal=str))
            found = FoundSlot(Slot(1, job_slot_name(1), "s"), state, b"payload", "p", "", clock.now())

            async def pod_of(_: FoundSlot) -> Any:
                return pod

            def refuse(*_: Any) -> None:
                raise AssertionError("it is taken twice")

            monkeypatch.setattr(adopter, "_pod_of", pod_of)
            monkeypatch.setattr(module, "parse_jit_config", refuse)
            await adopter._take(found)

    run(main())


def test_when_an_agent_beside_this_one_has_ended_all_slots_are_looked_at_for_what_it_left(monkeypatch: Any) -> None:
    async def main() -> None:
        clock, reads, lives = ManualClock(), list[int](), True

        class Counted(Slots):
            async def read(self, number: int) -> None:
                reads.append(number)

        async with asyncio.TaskGroup() as tasks:
            adopter = adopter_of(Counted(), clock, tasks)
            await adopter.adopt_all([2])
            bound, reads[:] = len(reads), []

            async def life_left_seconds(_: str) -> float:
                return 30.0 if lives else 0.0

            monkeypatch.setattr(adopter, "_life_left_seconds", life_left_seconds)
            adopter._follow("agent-1")
            for _ in range(2):
                adopter._follow("agent-2")
            await clock.advance(90)
            assert reads == []
            lives = False
            await clock.advance(31)
            assert sorted(reads) == list(range(1, bound + 1))

    run(main())


@pytest.mark.parametrize(("exit_code", "fate"), [(0, Fate.DUPLICATE), (137, Fate.VANISHED)])
def test_a_job_that_another_slot_s_worker_has_run_to_its_end_is_a_duplicate(exit_code: int, fate: Fate) -> None:
    async def main() -> None:
        clock = ManualClock()
        async with asyncio.TaskGroup() as tasks:
            adopter = adopter_of(Slots(), clock, tasks)
            status = {"containerStatuses": [{"name": "runner", "state": {"terminated": {"exitCode": exit_code}}}]}

            async def get(_: Any, name: str, __: str) -> Any:
                annotations = {labels.SLOT_UID: "another"}
                return {"metadata": {"name": name, "uid": "p", "annotations": annotations}, "status": status}

            cast("Any", adopter._services).client = cast("Any", SimpleNamespace(get=get))
            state: Any = SimpleNamespace(group="ci-cpu")
            found = FoundSlot(Slot(1, job_slot_name(1), "s"), state, b"payload", "plan", "", clock.now())
            assert decide_fate(found, await adopter._pod_of(found)) is fate

    run(main())


def test_an_ended_pod_is_not_reaped_before_its_slot_was_read() -> None:
    async def main() -> None:
        clock, read, deleted = ManualClock(), set[str](), list[str]()
        basics = Basics("team-a", "agent-1", clock, random.Random(1), Metrics(Component.AGENT, "test"), Tunables())
        pod: Any = SimpleNamespace(
            name="w", uid="p", slot="s", slot_uid="u", group="g", finished_at=clock.now(), has_ended=True
        )
        pod.is_deleting = False
        pods = SimpleNamespace(get=lambda _: pod, listen=lambda _: None)
        services: Any = SimpleNamespace(basics=basics, pods=pods, slots=SimpleNamespace(holds=lambda *_: False))
        group: Any = SimpleNamespace(settings=SimpleNamespace(completed_pod_ttl_seconds=0))

        async def delete(_: Any, name: str, **__: Any) -> None:
            deleted.append(name)

        client: Any = SimpleNamespace(delete=delete)
        reaper = Reaper(client, services, group_of=lambda _: group, has_read=lambda slot: slot in read)
        assert await reaper._reap("w") is not None
        assert not deleted
        read.add("s")
        assert await reaper._reap("w") is None
        assert deleted == ["w"]

    run(main())


def test_a_clock_that_lags_behind_makes_no_claim_young_for_ever() -> None:
    async def main() -> None:
        clock = ManualClock()
        async with asyncio.TaskGroup() as tasks:
            adopter = adopter_of(Slots(), clock, tasks)
            made_at = clock.now() + timedelta(hours=3)
            found = FoundSlot(Slot(1, job_slot_name(1), "s"), None, b"", "", "", made_at)
            longest = Tunables().claim_seconds
            assert adopter._claim_left_seconds(found, Fate.VANISHED) == longest
            await clock.advance(longest)
            assert adopter._claim_left_seconds(found, Fate.VANISHED) == 0.0
            assert adopter._claim_left_seconds(found, Fate.FOLLOW) == 0.0

    run(main())
