"""Time as an argument: everything that waits or stamps takes a `Clock`, so that tests and simulations own the time."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations, and a sleep that follows the same time."""

    def now(self) -> datetime:
        """The wall-clock time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Waits `seconds`; zero or less only yields to the loop."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
