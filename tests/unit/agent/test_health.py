"""What the probes tell."""

import asyncio

from actions_gateway.agent.health import Health
from actions_gateway.metrics.catalog import Component
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock


def test_an_agent_is_ready_when_every_condition_holds_and_it_does_not_stop() -> None:
    facts = {"watches": False, "verdict": True}
    health = Health(Metrics(Component.AGENT, "test"), ManualClock())
    for name in facts:
        health.ready_when(lambda name=name: facts[name])  # type: ignore[misc]
    assert not health.is_ready()
    facts["watches"] = True
    assert health.is_ready()
    health.is_stopping = True
    assert not health.is_ready()


def test_a_loop_that_does_not_beat_is_dead() -> None:
    async def main() -> None:
        clock = ManualClock()
        health = Health(Metrics(Component.AGENT, "test"), clock)
        beating = asyncio.create_task(health.heartbeat.run())
        await clock.advance(60)
        assert health.is_alive()
        beating.cancel()
        await clock.advance(60)
        assert not health.is_alive()

    run(main())
