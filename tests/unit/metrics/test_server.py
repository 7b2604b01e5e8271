"""The listeners of a component: wherever their start is broken off, no port stays open."""

import asyncio
import gc
import warnings

import pytest

from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from actions_gateway.metrics.server import serve_exposition

STEPS = 40
"""Turns of the loop, more than a start takes."""


async def serve(opened: asyncio.Event) -> None:
    metrics = Metrics(Component.AGENT, "test")
    ports = {"health_port": 0, "metrics_port": 0}
    async with serve_exposition(metrics, host="127.0.0.1", **ports, is_alive=lambda: True, is_ready=lambda: True):
        opened.set()
        await asyncio.Event().wait()


async def cancelled_after(steps: int) -> bool:
    """Whether it was open by then."""
    opened = asyncio.Event()
    serving = asyncio.create_task(serve(opened))
    for _ in range(steps):
        await asyncio.sleep(0)
    was_open = opened.is_set()
    serving.cancel()
    await asyncio.wait([serving])
    assert serving.cancelled()
    return was_open


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_start_that_is_cancelled_leaves_no_port_open(steps: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(cancelled_after(steps))
        gc.collect()
    assert [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)] == []


def test_the_turns_that_are_tried_are_those_of_a_whole_start() -> None:
    assert not asyncio.run(cancelled_after(0))
    assert asyncio.run(cancelled_after(STEPS))
