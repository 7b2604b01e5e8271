"""Telling GitHub how a job ended whose worker could not: the stock listener does the same when its worker crashes.

Source: actions/runner `src/Runner.Listener/JobDispatcher.cs` (a crashed worker's job is completed as failed, with an
error annotation).
"""

import structlog

from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.outcome import Outcome, Result
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.github.errors import GitHubError, RateLimited, Transient

_ATTEMPTS = 5
_PAUSE_SECONDS = 5.0
_MESSAGE_LIMIT = 2000
_TITLE = "The worker ended without a result"


def annotation_text(outcome: Outcome) -> str:
    """What people read at the job: the cause, then the tail of the worker's output."""
    text = f"{outcome.detail[:1].upper()}{outcome.detail[1:]} before it could report to GitHub."
    return text if not outcome.message else f"{text}\n{outcome.message[-_MESSAGE_LIMIT:]}"


async def report(
    claimed: ClaimedJob, outcome: Outcome, *, services: JobServices, log: structlog.typing.FilteringBoundLogger
) -> None:
    """Completes the job in its worker's place. A refusal means that GitHub knows better: the job has concluded."""
    conclusion = "canceled" if outcome.result is Result.CANCELED else "failed"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await claimed.service.complete(conclusion, title=_TITLE, message=annotation_text(outcome))
        except (Transient, RateLimited) as problem:
            pause = problem.retry_after_seconds or _PAUSE_SECONDS
            log.warning("job not completed", attempt=attempt, problem=str(problem), retry_in_seconds=pause)
            if attempt < _ATTEMPTS:
                await services.basics.clock.sleep(pause)
        except GitHubError as problem:
            log.info("GitHub had closed the job", problem=str(problem))
            return
        else:
            log.info("job completed in place of its worker", conclusion=conclusion, detail=outcome.detail)
            return
