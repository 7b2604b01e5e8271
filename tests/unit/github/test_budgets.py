"""Which calls are let through when, on a clock of our own; GitHub's side is counted as its docs describe it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from actions_gateway.github.answers import RateLimit
from actions_gateway.github.budgets import READ_POINTS, WRITE_POINTS, Budgets, Limits, Priority
from support.aio import run
from support.clock import START, ManualClock, settle

VITAL, ROUTINE = Priority.VITAL, Priority.ROUTINE


@dataclass
class World:
    clock: ManualClock
    budgets: Budgets
    waits: list[tuple[Priority, int, float]]
    sent: list[tuple[float, str, int]] = field(default_factory=list)
    """When, what and for how many points."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def start(
        self, name: str, points: int = WRITE_POINTS, priority: Priority = ROUTINE, *, seconds: float = 0.1
    ) -> None:
        """One call whose answer takes `seconds`; a name `group/…` makes it a registration of the group."""
        group = name.partition("/")[0] if "/" in name else ""

        async def call() -> None:
            charge = await self.budgets.turn(points, priority, group=group)
            async with self.budgets.spend(points, priority, charge=charge):
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                await self.clock.sleep(seconds)
                # The moment GitHub counts is anywhere in the call; the end is the worst.
                self.sent.append((self.clock.monotonic(), name, points))
                self.in_flight -= 1

        self.tasks.append(asyncio.create_task(call()))

    def names(self) -> list[str]:
        return [name for _, name, _ in self.sent]

    def most_points_a_minute(self) -> int:
        return max(sum(cost for when, _, cost in self.sent if end - 60 < when <= end) for end, _, _ in self.sent)

    def show(self, remaining: int, *, reset_seconds: float = 1000.0) -> None:
        self.budgets.saw(RateLimit("core", 5000, remaining, self.clock.now() + timedelta(seconds=reset_seconds)))


def play(scene: Callable[[World], Awaitable[None]], **limits: object) -> None:
    async def main() -> None:
        clock, waits = ManualClock(), list[tuple[Priority, int, float]]()
        budgets = Budgets(clock, Limits(**limits), on_wait=lambda *heard: waits.append(heard))  # type: ignore[arg-type]
        world = World(clock, budgets, waits)
        try:
            await scene(world)
        finally:
            for task in world.tasks:
                task.cancel()
            await asyncio.gather(*world.tasks, return_exceptions=True)

    run(main())


def test_nine_tenths_of_the_documented_limit_are_used_for_registrations_and_never_more_than_it() -> None:
    async def scene(world: World) -> None:
        for number in range(900):
            world.start(f"cpu/{number}")
        minutes = 5
        await world.clock.advance(60 * minutes)
        made = len(world.sent)
        assert world.most_points_a_minute() <= 900
        # GitHub's own bound is 180 registrations a minute.
        assert made >= 0.9 * 180 * minutes
        assert world.most_in_flight <= 100

    play(scene)


def test_registrations_run_in_parallel_and_in_their_order() -> None:
    async def scene(world: World) -> None:
        for number in range(60):
            world.start(f"cpu/{number}")
        await world.clock.advance(0.1)
        assert world.names() == [f"cpu/{number}" for number in range(60)]

    play(scene)


def test_what_recovers_jobs_passes_a_queue_of_registrations() -> None:
    async def scene(world: World) -> None:
        for number in range(400):
            world.start(f"cpu/{number}")
        await world.clock.advance(1)
        for number in range(9):
            world.start(f"rerun-{number}", WRITE_POINTS, VITAL)
        await world.clock.advance(0.2)
        assert world.names()[-9:] == [f"rerun-{number}" for number in range(9)]
        world.start("too many", WRITE_POINTS, VITAL)
        world.start("read", READ_POINTS, VITAL)
        await world.clock.advance(1)
        assert "too many" not in world.names()
        await world.clock.advance(59)
        after = world.names().index("too many")
        assert not [name for name in world.names()[180:after] if "/" in name], "no registration goes first"

    play(scene)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_an_agents_share_is_a_part_of_every_limit(share: float) -> None:
    async def scene(world: World) -> None:
        for number in range(300):
            world.start(f"cpu/{number}")
        await world.clock.advance(120)
        assert 0.85 * 180 * share * 2 <= len(world.sent) <= 180 * share * 2
        assert world.most_in_flight <= 100 * share

    play(scene, share=share)


def test_without_limits_nothing_waits() -> None:
    async def scene(world: World) -> None:
        for number in range(1000):
            world.start(f"cpu/{number}")
        await world.clock.advance(0.1)
        assert len(world.sent) == 1000
        assert not any(waited for _, _, waited in world.waits)

    play(scene, points_per_minute=None, at_once=None)


def test_a_limit_on_registrations_is_kept_when_it_is_set() -> None:
    async def scene(world: World) -> None:
        for number in range(200):
            world.start(f"cpu/{number}")
        world.start("deletion")
        await world.clock.advance(59)
        assert len(world.sent) == 80
        await world.clock.advance(3)
        assert len(world.sent) == 160

    play(scene, registrations_per_minute=80)


def test_while_the_hour_runs_low_registrations_are_spread_over_its_rest() -> None:
    async def scene(world: World) -> None:
        world.show(1001)
        for number in range(300):
            world.start(f"cpu/{number}")
        await world.clock.advance(1)
        before = len(world.sent)
        assert before == 171
        world.show(500, reset_seconds=1000.0)
        await world.clock.advance(200)
        # 250 calls above the reserve for 1,000 s would be one in 4 s; half way down it is one in 2.7 s.
        assert 60 <= len(world.sent) - before <= 80
        world.show(260, reset_seconds=800.0)
        slow = len(world.sent)
        await world.clock.advance(120)
        assert 1 <= len(world.sent) - slow <= 4

    play(scene)


def test_below_the_reserve_each_group_keeps_one_registration_a_minute_and_vital_calls_pass() -> None:
    async def scene(world: World) -> None:
        world.show(10, reset_seconds=3000.0)
        for number in range(5):
            world.start(f"cpu/{number}")
            world.start(f"gpu/{number}")
        world.start("rerun", WRITE_POINTS, VITAL)
        await world.clock.advance(0.2)
        assert sorted(world.names()) == ["cpu/0", "gpu/0", "rerun"]
        await world.clock.advance(60)
        assert sorted(world.names())[-5:] == ["cpu/0", "cpu/1", "gpu/0", "gpu/1", "rerun"]

    play(scene)


def test_with_the_next_hour_everything_goes_on() -> None:
    async def scene(world: World) -> None:
        world.show(0, reset_seconds=100.0)
        for number in range(20):
            world.start(f"cpu/{number}")
        await world.clock.advance(90)
        assert len(world.sent) == 2
        await world.clock.advance(20)
        assert len(world.sent) == 20

    play(scene)


def test_a_refusal_stops_every_call_for_as_long_as_github_asks() -> None:
    async def scene(world: World) -> None:
        world.budgets.refused(70.0)
        world.start("cpu/0")
        world.start("rerun", WRITE_POINTS, VITAL)
        await world.clock.advance(69)
        assert not world.sent
        await world.clock.advance(2)
        assert world.names() == ["rerun", "cpu/0"]
        assert [waiting for _, waiting, _ in world.waits][:2] == [1, 1]
        assert max(waited for _, _, waited in world.waits) == 70.0

    play(scene)


def test_a_refusal_halves_the_points_however_many_it_hits_and_half_an_hour_gives_them_back() -> None:
    async def scene(world: World) -> None:
        for _ in range(5):
            world.budgets.refused(60.0)
        for number in range(2000):
            world.start(f"cpu/{number}")
        await world.clock.advance(61)
        in_the_first_minute = len(world.sent)
        assert 80 <= in_the_first_minute <= 95  # of 171
        await world.clock.advance(1800)
        before = len(world.sent)
        world.start("last/0")
        for number in range(200):
            world.start(f"cpu/more {number}")
        await world.clock.advance(60)
        assert len(world.sent) - before in range(165, 180)

    play(scene)


def test_two_agents_of_one_installation_find_their_parts_by_themselves() -> None:
    """GitHub is played by a count of both agents' points in the last minute."""

    async def main() -> None:
        clock = ManualClock()
        agents = [Budgets(clock, Limits(points_per_minute=90)) for _ in range(2)]
        spent, refusals = list[tuple[float, int]](), list[float]()

        async def work(number: int) -> None:
            while True:
                async with agents[number].spend(WRITE_POINTS, ROUTINE):
                    await clock.sleep(0.1)
                now = clock.monotonic()
                if sum(at > now - 60 for at, _ in spent) * WRITE_POINTS >= 90:
                    refusals.append(now)
                    agents[number].refused(60.0)
                else:
                    spent.append((now, number))

        tasks = [asyncio.create_task(work(number)) for number in (0, 0, 0, 0, 1, 1, 1, 1)]
        for _ in range(120):
            await clock.advance(60)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(refusals) <= len(spent) / 30
        for number in range(2):
            assert sum(who == number for _, who in spent) >= len(spent) * 0.3
        assert len(spent) * WRITE_POINTS >= 90 * 120 * 0.5

    run(main())


def test_who_gives_up_waiting_keeps_nobody_from_going_on() -> None:
    async def scene(world: World) -> None:
        world.budgets.refused(30.0)
        for number in range(3):
            world.start(f"cpu/{number}")
        await settle()
        world.tasks[0].cancel()
        await world.clock.advance(31)
        assert world.names() == ["cpu/1", "cpu/2"]

    play(scene)


def test_a_clock_that_was_set_back_stops_registrations_for_an_hour_at_most() -> None:
    async def scene(world: World) -> None:
        world.budgets.saw(RateLimit("core", 5000, 0, START + timedelta(days=30)))
        world.start("deletion")
        await world.clock.advance(3601)
        assert world.names() == ["deletion"]

    play(scene)
