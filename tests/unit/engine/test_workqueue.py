"""The work queue: keys coalesce, no key is worked twice at once, failures back off alone."""

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.engine.backoff import Backoff
from actions_gateway.engine.workqueue import Lane, WorkQueue, work
from support.aio import run
from support.clock import ManualClock, settle


def make_queue(clock: ManualClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock, rng=random.Random(1), backoff=Backoff(base_seconds=10, cap_seconds=100))


def test_equal_keys_coalesce_and_order_is_kept() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for key in ("a", "b", "a"):
            queue.add(key)
        assert len(queue) == 2
        assert [await queue.get(), await queue.get()] == ["a", "b"]

    run(body())


def test_a_key_added_while_it_is_worked_runs_once_more_afterwards() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        queue.add("a")
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    run(body())


def test_a_timed_wish_waits_for_its_moment_and_the_earliest_wins() -> None:
    async def body() -> None:
        clock = ManualClock()
        queue = make_queue(clock)
        queue.add_after("a", 30)
        queue.add_after("a", 5)
        queue.add_after("a", 60)
        waiting = asyncio.ensure_future(queue.get())
        await clock.advance(4.9)
        assert not waiting.done()
        await clock.advance(0.2)
        assert waiting.result() == "a"

    run(body())


def test_an_added_key_interrupts_the_wait_for_a_timed_one() -> None:
    async def body() -> None:
        clock = ManualClock()
        queue = make_queue(clock)
        queue.add_after("late", 30)
        waiting = asyncio.ensure_future(queue.get())
        await settle()
        queue.add("now")
        assert await waiting == "now"

    run(body())


def test_failures_back_off_and_success_resets() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        delays = [queue.retry("a") for _ in range(5)]
        assert all(low <= delay <= high for delay, (low, high) in zip(delays, STEPS, strict=True)), delays
        assert queue.failing == 1
        queue.forget("a")
        assert queue.failing == 0
        assert queue.retry("a") <= 10

    run(body())


STEPS = [(5, 10), (10, 20), (20, 40), (40, 80), (50, 100)]


def test_workers_never_work_one_key_twice_at_once_and_all_keys_get_done() -> None:
    async def body() -> None:
        clock = ManualClock()
        queue = make_queue(clock)
        active: set[str] = set()
        handled: list[str] = []
        failures: list[str] = []

        async def handle(key: str) -> float | None:
            assert key not in active
            active.add(key)
            await asyncio.sleep(0)
            active.discard(key)
            handled.append(key)
            if key == "bad" and handled.count("bad") == 1:
                raise RuntimeError("first try fails")
            return None

        tasks = [
            asyncio.ensure_future(work(queue, handle, lambda key, _failure, _delay: failures.append(key)))
            for _ in range(3)
        ]
        for key in ("a", "b", "bad", "a", "c"):
            queue.add(key)
        await clock.advance(20)
        assert sorted(handled) == ["a", "b", "bad", "bad", "c"]
        assert failures == ["bad"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(body())


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_a_delay_lies_in_the_upper_half_of_its_step_and_under_the_cap(failures: int, seed: int) -> None:
    backoff = Backoff(base_seconds=1, cap_seconds=300)
    step = min(300, 2 ** (failures - 1))
    assert step / 2 <= backoff.delay_seconds(failures, random.Random(seed)) <= step


def test_a_server_that_asked_for_patience_is_left_alone_whatever_changes_meanwhile() -> None:
    async def body() -> None:
        clock = ManualClock()
        queue = make_queue(clock)
        assert queue.retry("a", asked_seconds=60) == 60
        queue.add("a")
        waiting = asyncio.ensure_future(queue.get())
        await clock.advance(59)
        assert not waiting.done()
        await clock.advance(1)
        assert waiting.result() == "a"
        queue.done("a")
        queue.forget("a")
        queue.add("a")
        assert await queue.get() == "a"

    run(body())


def test_a_short_wish_does_not_shorten_the_back_off_and_an_absurd_one_is_cut() -> None:
    rng = random.Random(1)
    assert 5 <= Backoff(base_seconds=10).delay_seconds(1, rng, asked_seconds=1) <= 10
    assert Backoff().delay_seconds(1, rng, asked_seconds=86_400) == 300


def test_a_failure_that_carries_a_wish_is_retried_no_sooner() -> None:
    async def body() -> None:
        clock = ManualClock()
        queue = make_queue(clock)
        delays: list[float] = []

        async def handle(_: str) -> float | None:
            problem = RuntimeError("slow down")
            problem.retry_after_seconds = 30.0  # type: ignore[attr-defined]
            raise problem

        task = asyncio.ensure_future(work(queue, handle, lambda _key, _problem, delay: delays.append(delay)))
        queue.add("a")
        await clock.advance(1)
        queue.add("a")
        await clock.advance(28)
        assert delays == [30.0]
        await clock.advance(1)
        assert len(delays) == 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body())


# -- lanes


async def served(queue: WorkQueue[str], count: int) -> list[str]:
    keys = []
    for _ in range(count):
        keys.append(await queue.get())
        queue.done(keys[-1])
    return keys


def test_what_is_half_done_goes_before_what_is_new_and_that_before_the_backlog() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for lane in reversed(Lane):
            queue.add(lane.name, lane)
        assert await served(queue, 3) == [lane.name for lane in Lane]

    run(body())


def test_a_new_key_does_not_wait_behind_a_backlog_of_a_thousand() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for number in range(1000):
            queue.add(f"old-{number}", Lane.BACKLOG)
        queue.add("new", Lane.NEW)
        assert await queue.get() == "new"
        assert len(queue) == 1000

    run(body())


def test_of_a_thousand_beginnings_the_first_ones_are_followed_up_while_the_others_wait() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for number in range(1000):
            queue.add(f"{number}", Lane.NEW)
        looks: dict[str, int] = {}
        for turn in range(100):
            (key,) = await served(queue, 1)
            looks[key] = looks.get(key, 0) + 1
            if looks[key] < 5:
                queue.add(key, Lane.FOLLOW_UP)
            if looks[key] == 5 and key == "0":
                assert turn < 10
        assert sum(count == 5 for count in looks.values()) > 15

    run(body())


def test_no_lane_starves() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for number in range(3):
            queue.add(f"old-{number}", Lane.BACKLOG)
        keys = []
        for _ in range(30):
            queue.add("restless")
            keys += await served(queue, 1)
        assert [key for key in keys if key != "restless"] == ["old-0", "old-1", "old-2"]

    run(body())


def test_a_waiting_key_moves_up_but_not_down_and_is_served_once() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for key in ("a", "b"):
            queue.add(key, Lane.BACKLOG)
        queue.add("b", Lane.NEW)
        queue.add("b", Lane.BACKLOG)
        assert len(queue) == 2
        assert await served(queue, 2) == ["b", "a"]
        assert len(queue) == 0
        queue.add("b", Lane.BACKLOG)
        assert await served(queue, 1) == ["b"]

    run(body())


def test_a_key_that_changes_while_it_is_worked_comes_again_in_the_lane_of_its_most_urgent_change() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        queue.add("a")
        await queue.get()
        queue.add("a", Lane.BACKLOG)
        queue.add("a", Lane.FOLLOW_UP)
        queue.add("b", Lane.NEW)
        queue.done("a")
        assert await served(queue, 2) == ["a", "b"]

    run(body())


def test_a_short_wish_during_a_longer_patience_is_not_forgotten() -> None:
    async def body() -> None:
        clock = ManualClock()
        queue = make_queue(clock)
        queue.retry("a", asked_seconds=60)
        queue.add_after("a", 1)
        waiting = asyncio.ensure_future(queue.get())
        await clock.advance(59)
        assert not waiting.done()
        await clock.advance(2)
        assert waiting.result() == "a"

    run(body())


def test_a_long_queue_of_work_that_never_waits_leaves_others_their_turn() -> None:
    async def body() -> None:
        queue = make_queue(ManualClock())
        for number in range(100):
            queue.add(str(number))

        async def handle(_: str) -> float | None:
            return None

        task = asyncio.ensure_future(work(queue, handle, lambda *_: None))
        for _ in range(5):
            await asyncio.sleep(0)
        assert 90 < len(queue) < 100
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body())
