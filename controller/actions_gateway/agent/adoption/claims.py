"""A claim that an agent's death cut off: repeated once, and when it is refused, the job is looked for at GitHub.

GitHub tells nobody which job a delivery was for, and may not answer a second claim of the same delivery. What it does
show is which runner a job in progress has, and a registration's name is unique.
"""

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.jobs.slots import ResumeState
from actions_gateway.agent.recovery.rerunning import Reruns
from actions_gateway.engine.backoff import Backoff
from actions_gateway.github.errors import GitHubError, RateLimited, Transient
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.jit import JitConfig
from actions_gateway.github.messages import JobRequest
from actions_gateway.github.payload import RunIdentity
from actions_gateway.github.runnertoken import exchange
from actions_gateway.github.runservice import AcquiredJob, RunService

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 5.0
_SEARCH_BACKOFF = Backoff(base_seconds=5.0, cap_seconds=60.0)
_SEARCH_SECONDS = 600.0
"""A job that never starts shows its runner for a quarter of an hour."""
_MOST_REPOSITORIES = 20


def request_of(state: ResumeState) -> JobRequest:
    """The delivery that a slot was taken for."""
    return JobRequest(state.request_id, state.run_service_url, state.billing_owner_id)


class CutClaims:
    """Finishes claims of earlier agents."""

    def __init__(self, http: GitHubHttp, run_service: RunService, reruns: Reruns, basics: Basics) -> None:
        self._http = http
        self._run_service = run_service
        self._reruns = reruns
        self._basics = basics

    async def repeat(self, state: ResumeState, jit: JitConfig) -> AcquiredJob | None:
        """The job, if GitHub gives it; None when it does not, or gives no answer while it could still be claimed."""
        clock, window = self._basics.clock, self._basics.tunables.claim_window_seconds
        until = clock.monotonic() + window
        while True:
            try:
                token = await exchange(self._http, jit, clock, self._basics.rng)
                return await self._run_service.acquire(request_of(state), token.token)
            except (Transient, RateLimited) as problem:
                pause = max(_PAUSE_SECONDS, problem.retry_after_seconds or 0.0)
                if clock.monotonic() + pause > until:
                    return None
            except GitHubError as problem:
                log.info("claim not repeated", runner=state.runner_name, problem=str(problem))
                return None
            await clock.sleep(pause)

    async def find(self, runner: str, repositories: list[str]) -> RunIdentity | None:
        """The job in progress that a runner has, in one of the repositories; None when there is none to be seen."""
        clock, failures = self._basics.clock, 0
        until = clock.monotonic() + _SEARCH_SECONDS
        while True:
            try:
                return await self._reruns.find(runner, repositories[:_MOST_REPOSITORIES])
            except GitHubError as problem:
                failures += 1
                asked = problem.retry_after_seconds
                pause = _SEARCH_BACKOFF.delay_seconds(failures, self._basics.rng, asked_seconds=asked)
                log.info("jobs in progress not listed", problem=str(problem), retry_in_seconds=round(pause, 1))
            if clock.monotonic() + pause > until:
                return None
            await clock.sleep(pause)
