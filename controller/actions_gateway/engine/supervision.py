"""Long-running tasks: named, owned, and noticed when they end although nobody asked them to."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class UnexpectedEnd(RuntimeError):
    """A task that is meant to run until it is cancelled has returned."""


def run_forever(group: asyncio.TaskGroup, coroutine: Coroutine[Any, Any, object], *, name: str) -> asyncio.Task[None]:
    """Starts `coroutine` in `group` as a task that may end by cancellation only; its return fails the group."""

    async def guarded() -> None:
        await coroutine
        raise UnexpectedEnd(f"task {name!r} returned although it is meant to run until it is cancelled")

    return group.create_task(guarded(), name=name)


async def uninterrupted(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a short `coroutine`; a cancellation of us is raised only when that has come to its end.

    For what asyncio loses when it is broken off: a server that is being created goes on listening, and is nobody's.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancels `tasks` and waits until all have ended; their own errors are swallowed, a cancellation of us is not."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
