"""Workflow runs and their jobs: what recovery reads and asks for, ahead of everything routine.

Source: GitHub REST docs, "Workflow runs" and "Workflow jobs", API version 2022-11-28; the refusals of a rerun as
measured on github.com.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from actions_gateway.github.answers import Answer
from actions_gateway.github.budgets import Priority
from actions_gateway.github.classification import rest_error
from actions_gateway.github.decoding import Fields
from actions_gateway.github.errors import (
    GitHubError,
    MalformedAnswer,
    PermissionMissing,
    RateLimited,
    RerunRefused,
    RunNotConcluded,
    Suspended,
    Transient,
    Unauthorized,
)
from actions_gateway.github.http import Endpoint
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.secrets import Secret

__all__ = ["GitHubRuns", "RerunRefused", "RunNotConcluded", "WorkflowJob", "WorkflowRun"]

_COMPLETED = "completed"
_PAGE_SIZE = 100
_MOST_PAGES = 10


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run in its latest attempt."""

    id: int
    status: str
    conclusion: str
    """Empty until it is completed."""
    attempt: int

    @property
    def is_completed(self) -> bool:
        """Whether all of its jobs have ended."""
        return self.status == _COMPLETED


@dataclass(frozen=True, slots=True)
class WorkflowJob:
    """One job in one attempt of its run."""

    id: int
    run_id: int
    attempt: int
    name: str
    status: str
    conclusion: str
    runner_name: str
    """Empty until a runner has it."""
    seconds: float | None = None
    """From its start, which is when a runner took it, to its end; None before, or when GitHub does not say."""
    completed_at: datetime | None = None
    """Its end, in whole seconds; None before."""
    created_at: datetime | None = None
    labels: tuple[str, ...] = ()
    """Of `runs-on`."""
    url: str = ""
    """Its page."""

    @property
    def is_completed(self) -> bool:
        """Whether it has ended."""
        return self.status == _COMPLETED


class GitHubRuns:
    """Calls on runs and jobs; `repository` is owner/name. Every method raises GitHubError."""

    def __init__(self, rest: GitHubRest) -> None:
        self._rest = rest

    async def get_run(self, token: Secret, repository: str, run_id: int) -> WorkflowRun:
        """The run; raises NotFound."""
        path = f"/repos/{repository}/actions/runs/{run_id}"
        return _run(await self._read(Endpoint.RUN, path, token, "show the run"))

    async def list_jobs(self, token: Secret, repository: str, run_id: int) -> list[WorkflowJob]:
        """The jobs of its latest attempt, those that it carried over included."""
        path = f"/repos/{repository}/actions/runs/{run_id}/jobs"
        entries = await self._pages(Endpoint.JOBS, path, token, "jobs", {"filter": "latest"})
        return [_job(entry) for entry in entries]

    async def list_running(self, token: Secret, repository: str) -> list[WorkflowRun]:
        """The runs in progress."""
        path = f"/repos/{repository}/actions/runs"
        entries = await self._pages(Endpoint.RUN, path, token, "workflow_runs", {"status": "in_progress"})
        return [_run(entry) for entry in entries]

    async def rerun_job(self, token: Secret, repository: str, job_id: int) -> None:
        """Runs a job again in a new attempt; raises RunNotConcluded or RerunRefused."""
        path = f"/repos/{repository}/actions/jobs/{job_id}/rerun"
        answer = await self._rest.post(path, token, endpoint=Endpoint.RERUN, priority=Priority.VITAL)
        if not answer.is_success:
            raise _rerun_error(answer)

    async def force_cancel(self, token: Secret, repository: str, run_id: int) -> bool:
        """Ends every job of the run at once; False when there is nothing to end."""
        path = f"/repos/{repository}/actions/runs/{run_id}/force-cancel"
        answer = await self._rest.post(path, token, endpoint=Endpoint.CANCEL, priority=Priority.VITAL)
        if answer.status == 409:
            return False
        if not answer.is_success:
            raise rest_error(answer, "cancel the run")
        return True

    async def _read(
        self, endpoint: Endpoint, path: str, token: Secret, action: str, query: Mapping[str, str] | None = None
    ) -> Fields:
        return await self._rest.read(path, token, action, query, endpoint=endpoint, priority=Priority.VITAL)

    async def _pages(
        self, endpoint: Endpoint, path: str, token: Secret, name: str, query: Mapping[str, str]
    ) -> list[Fields]:
        found: list[Fields] = []
        for page in range(1, _MOST_PAGES + 1):
            pages = {**query, "per_page": str(_PAGE_SIZE), "page": str(page)}
            entries = list((await self._read(endpoint, path, token, f"list the {name}", pages)).objects(name))
            found += entries
            if len(entries) < _PAGE_SIZE:
                break
        return found


def _rerun_error(answer: Answer) -> GitHubError:
    """What says nothing of the job itself stays what it is; the rest is final, except that the run may go on."""
    problem = rest_error(answer, "rerun the job")
    if isinstance(problem, RateLimited | Transient | Unauthorized | PermissionMissing | Suspended):
        return problem
    is_running = answer.status == 403 and "already running" in answer.text.lower()
    kind = RunNotConcluded if is_running else RerunRefused
    return kind(str(problem), status=answer.status, request_id=answer.request_id)


def _run(fields: Fields) -> WorkflowRun:
    return WorkflowRun(
        id=_number(fields, "id"),
        status=fields.text("status"),
        conclusion=fields.text("conclusion"),
        attempt=fields.number("run_attempt") or 1,
    )


def _job(fields: Fields) -> WorkflowJob:
    began, ended = fields.moment("started_at"), fields.moment("completed_at")
    return WorkflowJob(
        id=_number(fields, "id"),
        run_id=_number(fields, "run_id"),
        attempt=fields.number("run_attempt") or 1,
        name=fields.text("name"),
        status=fields.text("status"),
        conclusion=fields.text("conclusion"),
        runner_name=fields.text("runner_name"),
        seconds=(ended - began).total_seconds() if began and ended else None,
        completed_at=ended,
        created_at=fields.moment("created_at"),
        labels=tuple(str(label) for label in fields.raw("labels") or []),
        url=fields.text("html_url"),
    )


def _number(fields: Fields, name: str) -> int:
    number = fields.number(name)
    if number is None:
        raise MalformedAnswer(f"the answer lacks {name}")
    return number
