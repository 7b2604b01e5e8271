"""Waiting for changes: with a limit in the clock's time, and for several waiters at once."""

import asyncio

from actions_gateway.engine.clock import Clock


async def happens_within(event: asyncio.Event, seconds: float, clock: Clock) -> bool:
    """Waits until `event` is set or `seconds` have passed; whether it was set."""
    if event.is_set() or seconds <= 0:
        return event.is_set()
    happened = asyncio.ensure_future(event.wait())
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({happened, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()
        timer.cancel()
        await asyncio.gather(happened, timer, return_exceptions=True)
    return event.is_set()


class Pulse:
    """Tells any number of waiters that something changed; take `next` before the look, then wait for it."""

    def __init__(self) -> None:
        self.next = asyncio.Event()

    def fire(self) -> None:
        """Wakes everybody who waits for this change."""
        self.next.set()
        self.next = asyncio.Event()
