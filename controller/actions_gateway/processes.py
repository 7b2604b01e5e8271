"""What manager and agent share as processes: settings, logging, the event loop, signals and exit codes."""

import asyncio
import gc
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable

import structlog

from actions_gateway.engine.clock import SystemClock
from actions_gateway.logs import configure_logging
from actions_gateway.settings import AgentSettings, ManagerSettings, SettingsError

log = structlog.get_logger(__name__)

_OK = 0
_FAILED = 1
_USAGE_ERROR = 2


def run_component(component: str) -> int:
    """Runs `manager` or `agent` until SIGTERM or SIGINT; 0 after a clean stop, 1 after a failure, 2 on bad settings."""
    try:
        start = _agent() if component == "agent" else _manager()
    except SettingsError as problem:
        sys.stderr.write(f"{problem}\n")
        return _USAGE_ERROR
    calm_collector()
    with asyncio.Runner(loop_factory=_loop) as runner:
        return runner.run(_until_signalled(start, component))


def calm_collector() -> None:
    """Lets the collector look for cycles a tenth as often, and never again at what was imported.

    Requests and tasks die by their counts; looking through all that live took a tenth of the CPU of a burst of jobs.
    """
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)


def _loop() -> asyncio.AbstractEventLoop:
    # uvloop holds a waiting TLS connection in a fifth of the memory of asyncio's own TLS.
    import uvloop

    return uvloop.new_event_loop()


def _manager() -> Callable[[], Awaitable[None]]:
    settings = ManagerSettings.from_environment(os.environ)
    configure_logging(settings.log_level)

    async def start() -> None:
        from actions_gateway.kube.client import connect
        from actions_gateway.manager.run import run_manager

        async with connect() as client:
            await run_manager(settings, client=client, clock=SystemClock(), rng=random.SystemRandom())

    return start


def _agent() -> Callable[[], Awaitable[None]]:
    settings = AgentSettings.from_environment(os.environ)
    configure_logging(settings.log_level)

    async def start() -> None:
        from actions_gateway.agent.run import run_agent
        from actions_gateway.kube.client import connect

        async with connect() as client:
            await run_agent(settings, client=client, clock=SystemClock(), rng=random.SystemRandom())

    return start


async def _until_signalled(start: Callable[[], Awaitable[None]], component: str) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    work = asyncio.ensure_future(start())
    waiting = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not work.done():
        log.info("stopping", component=component)
        work.cancel()
    try:
        await work
    except asyncio.CancelledError:
        return _OK
    except Exception:
        log.exception("component failed", component=component)
        return _FAILED
    return _OK
