"""Waiting for a change of state, or for the first of several things."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from actions_gateway.engine.clock import Clock


class Signal:
    """A broadcast: whoever waits is woken by the next `notify` and looks again at what it waits for.

    Take `next` before the look and wait for it afterwards, and no change is missed in between.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Is set by the first `notify` after this."""
        return self._event

    def notify(self) -> None:
        """Wakes everybody who waits now."""
        event, self._event = self._event, asyncio.Event()
        event.set()


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Returns when the first of `waits` ends and cancels the others; raises what that first one raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (problem := task.exception()) is not None:
            raise problem


async def within(seconds: float, work: Coroutine[Any, Any, object], clock: Clock) -> bool:
    """Whether `work` ended within `seconds`; cancels it if not. Raises what it raised."""
    is_done = False

    async def tracked() -> None:
        nonlocal is_done
        await work
        is_done = True

    await first_of(tracked(), clock.sleep(seconds))
    return is_done
