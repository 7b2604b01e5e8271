"""Telling GitHub how a job ended whose worker could not: the stock listener does the same when its worker crashes.

Source: actions/runner `src/Runner.Listener/JobDispatcher.cs` (a crashed worker's job is completed as failed, with an
error annotation).
"""

from enum import Enum, auto

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.acquirer import JobService
from actions_gateway.agent.jobs.outcome import Outcome
from actions_gateway.github.errors import GitHubError, NotAuthorizedForJob, RateLimited, Transient

_ATTEMPTS = 5
_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 60.0
"""What else waits for GitHub's patience is due before it ends."""
_MESSAGE_LIMIT = 2000
NO_RESULT = "The worker ended without a result"


class Completion(Enum):
    """What GitHub made of it."""

    ACCEPTED = auto()
    CLOSED = auto()
    """The job had concluded, or GitHub knows better."""
    UNSTARTED = auto()
    """GitHub has seen no worker of the job: it cannot be completed."""
    UNKNOWN = auto()


def annotation_text(outcome: Outcome) -> str:
    """What people read at the job: the cause, then the tail of the worker's output."""
    text = f"{outcome.detail[:1].upper()}{outcome.detail[1:]} before it could report to GitHub."
    return text if not outcome.message else f"{text}\n{outcome.message[-_MESSAGE_LIMIT:]}"


async def complete(
    service: JobService,
    conclusion: str,
    *,
    title: str,
    message: str,
    basics: Basics,
    log: structlog.typing.FilteringBoundLogger,
) -> Completion:
    """Completes a job in its worker's place; tries for a while when GitHub gives no answer."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            is_accepted = await service.complete(conclusion, title=title, message=message)
        except (Transient, RateLimited) as problem:
            pause = min(problem.retry_after_seconds or _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
            log.warning("job not completed", attempt=attempt, problem=str(problem), retry_in_seconds=pause)
            if attempt < _ATTEMPTS:
                await basics.clock.sleep(pause)
        except NotAuthorizedForJob as problem:
            log.info("GitHub has seen no worker of the job", problem=str(problem))
            return Completion.UNSTARTED
        except GitHubError as problem:
            log.info("GitHub had closed the job", problem=str(problem))
            return Completion.CLOSED
        else:
            log.info("job completed in place of its worker", conclusion=conclusion, accepted=is_accepted)
            return Completion.ACCEPTED if is_accepted else Completion.CLOSED
    return Completion.UNKNOWN
