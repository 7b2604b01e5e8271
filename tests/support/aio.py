"""Runs one coroutine as a test body, bounded, so that a hang is a failure with a traceback and not a stuck run."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from support.patience import HANG_SECONDS

T = TypeVar("T")

_FIRST_PAUSE_SECONDS, _GROWTH, _LONGEST_PAUSE_SECONDS = 0.01, 1.3, 0.2


def run(coroutine: Coroutine[Any, Any, T], *, timeout_seconds: float = HANG_SECONDS) -> T:
    """The result of `coroutine`; raises TimeoutError after `timeout_seconds`."""

    async def bounded() -> T:
        async with asyncio.timeout(timeout_seconds):
            return await coroutine

    return asyncio.run(bounded())


class Looks:
    """The pauses of one wait in which a server is asked again and again.

    They grow with the time waited: what comes at once is seen at once, and what takes seconds is not asked for a
    thousand times, at a processor's cost on both sides.
    """

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE_SECONDS

    async def pause(self) -> None:
        """Waits before the next look."""
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * _GROWTH, _LONGEST_PAUSE_SECONDS)


async def until(holds: Callable[[], object]) -> None:
    """Returns once `holds` says so, of what sends no event: a figure, a file, a process."""
    looks = Looks()
    while not holds():
        await looks.pause()
