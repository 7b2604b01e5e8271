"""Runs one coroutine as a test body, bounded, so that a hang is a failure with a traceback and not a stuck run."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], *, timeout_seconds: float = 30.0) -> T:
    """The result of `coroutine`; raises TimeoutError after `timeout_seconds`."""

    async def bounded() -> T:
        async with asyncio.timeout(timeout_seconds):
            return await coroutine

    return asyncio.run(bounded())
