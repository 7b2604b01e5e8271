"""Tasks that are meant to run for ever."""

import asyncio

import pytest

from actions_gateway.engine.supervision import UnexpectedEnd, cancel_and_wait, run_forever, uninterrupted
from support.aio import run


def test_a_task_that_returns_fails_its_group_by_name() -> None:
    async def returns() -> None:
        return None

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            run_forever(group, returns(), name="pod watch")

    with pytest.raises(ExceptionGroup) as caught:
        run(body())
    (problem,) = caught.value.exceptions
    assert isinstance(problem, UnexpectedEnd)
    assert "pod watch" in str(problem)


def test_cancel_and_wait_ends_tasks_whatever_their_cleanup_raises() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("cleanup failed")

    async def body() -> None:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        await cancel_and_wait(task)
        assert task.done()

    run(body())


@pytest.mark.parametrize("problem", [None, OSError("the address is taken")])
def test_what_is_uninterrupted_ends_before_a_cancellation_is_told(problem: Exception | None) -> None:
    async def body() -> None:
        going, ended = asyncio.Event(), []

        async def start() -> None:
            await going.wait()
            ended.append("start")
            if problem is not None:
                raise problem

        task = asyncio.create_task(uninterrupted(start()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        going.set()
        await asyncio.wait([task])
        assert task.cancelled()
        assert ended == ["start"]

    run(body())


def test_what_is_uninterrupted_gives_its_result_or_raises() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> None:
        raise OSError("the address is taken")

    assert run(uninterrupted(answer())) == 7
    with pytest.raises(OSError, match="taken"):
        run(uninterrupted(fail()))
