"""A busy session: it polls on to hear of a cancellation until its job's worker has ended."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import structlog

from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.sessions.connection import RegistrationSpent
from actions_gateway.agent.sessions.polling import Conversation
from actions_gateway.agent.signals import first_of
from actions_gateway.engine.clock import Clock
from actions_gateway.github.broker import RunnerStatus
from actions_gateway.github.errors import GitHubError
from actions_gateway.github.messages import ForceTokenRefresh, JobCancellation

log = structlog.get_logger(__name__)

_KILL_LEAD_SECONDS = 15.0
"""So long before GitHub's own timeout the stock listener kills a cancelled worker (actions/runner
`src/Runner.Listener/JobDispatcher.cs`)."""


async def accompany(
    job: ClaimedJob,
    conversation: Conversation,
    *,
    close_requested: asyncio.Event,
    forget_token: Callable[[], None],
    clock: Clock,
    group: str,
) -> None:
    """Tells the job of its cancellation; ends with the job's worker, or when the session is asked to close."""
    line, is_connected = job.line, True
    while not line.ended.is_set() and not close_requested.is_set():
        waits: list[Coroutine[Any, Any, object]] = [line.ended.wait(), close_requested.wait()]
        if is_connected:
            waits.append(conversation.arrived(RunnerStatus.BUSY))
        await first_of(*waits)
        if not is_connected or not conversation.has_arrived:
            continue
        try:
            message = conversation.take()
        except (RegistrationSpent, GitHubError) as problem:
            # A worker that has reported causes it, too.
            log.info("busy session lost", runner_group=group, reason=str(problem))
            is_connected = False
            continue
        match message:
            case JobCancellation(job_id=job_id, timeout_seconds=timeout) if job_id.lower() == job.job_id.lower():
                line.cancel(clock.now() + timedelta(seconds=timeout - _KILL_LEAD_SECONDS))
            case ForceTokenRefresh():
                forget_token()
            case _:
                pass
