"""Runs and jobs on the wire, and what GitHub's refusals of a rerun mean."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.github import errors as e
from actions_gateway.github.http import Endpoint
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.runs import GitHubRuns, WorkflowJob, WorkflowRun
from actions_gateway.github.urls import scope_of
from support.aio import run

from .doubles import TOKEN, Double, Reply, github, reply

REPOSITORY = "acme/shop"
API = "https://api.github.com/repos/acme/shop/actions"
RUN = {"id": 7, "status": "in_progress", "conclusion": None, "run_attempt": 2, "name": "ci"}
JOB = {
    "id": 70,
    "run_id": 7,
    "run_attempt": 2,
    "name": "build",
    "status": "completed",
    "conclusion": "failure",
    "runner_name": "ci-cpu-6f1c2d3e-0badcafe",
    "started_at": "2026-01-05T09:00:00Z",
    "completed_at": "2026-01-05T09:01:30Z",
}


def play(scene: Callable[[GitHubRuns, Double], Awaitable[None]], *replies: Reply) -> None:
    async def main() -> None:
        async with github(*replies) as double:
            rest = GitHubRest(double.http, scope_of("https://github.com/acme/shop"), double.clock)
            await scene(GitHubRuns(rest), double)

    run(main())


def test_a_run_is_read_in_its_latest_attempt() -> None:
    async def scene(runs: GitHubRuns, double: Double) -> None:
        found = await runs.get_run(TOKEN, REPOSITORY, 7)
        assert (found, found.is_completed) == (WorkflowRun(7, "in_progress", "", 2), False)
        assert (str(double.last.url), double.asked) == (f"{API}/runs/7", [Endpoint.RUN])

    play(scene, reply(200, RUN))


def test_jobs_are_those_of_the_latest_attempt_on_all_pages() -> None:
    async def scene(runs: GitHubRuns, double: Double) -> None:
        found = await runs.list_jobs(TOKEN, REPOSITORY, 7)
        assert len(found) == 101
        ended = datetime(2026, 1, 5, 9, 1, 30, tzinfo=UTC)
        expected = WorkflowJob(70, 7, 2, "build", "completed", "failure", "ci-cpu-6f1c2d3e-0badcafe", 90.0, ended)
        assert (found[0], found[0].is_completed) == (expected, True)
        assert (found[100].runner_name, found[100].seconds, found[100].completed_at) == ("", None, None)
        assert str(double.last.url) == f"{API}/runs/7/jobs?filter=latest&per_page=100&page=2"
        assert double.asked == [Endpoint.JOBS] * 2

    open_fields = {"conclusion": None, "runner_name": None, "started_at": None, "completed_at": None}
    waiting = JOB | {"status": "queued"} | open_fields
    play(scene, reply(200, {"jobs": [JOB] * 100}), reply(200, {"jobs": [waiting]}))


def test_runs_in_progress_are_listed() -> None:
    async def scene(runs: GitHubRuns, double: Double) -> None:
        assert [found.id for found in await runs.list_running(TOKEN, REPOSITORY)] == [7]
        assert str(double.last.url) == f"{API}/runs?status=in_progress&per_page=100&page=1"

    play(scene, reply(200, {"workflow_runs": [RUN]}))


@pytest.mark.parametrize(
    ("answer", "problem"), [(reply(404, {"message": "Not Found"}), e.NotFound), (reply(200, {}), e.MalformedAnswer)]
)
def test_a_run_that_cannot_be_read(answer: Reply, problem: type[e.GitHubError]) -> None:
    async def scene(runs: GitHubRuns, _: Double) -> None:
        with pytest.raises(problem):
            await runs.get_run(TOKEN, REPOSITORY, 7)

    play(scene, answer)


def test_a_rerun_is_asked_for_job_by_job() -> None:
    async def scene(runs: GitHubRuns, double: Double) -> None:
        await runs.rerun_job(TOKEN, REPOSITORY, 70)
        assert (double.last.method, str(double.last.url)) == ("POST", f"{API}/jobs/70/rerun")
        assert double.asked == [Endpoint.RERUN]

    play(scene, reply(201, {}))


@pytest.mark.parametrize(
    ("status", "message", "headers", "problem"),
    [
        (403, "This workflow is already running", {}, e.RunNotConcluded),
        (403, "This workflow run cannot be retried", {}, e.RerunRefused),
        (404, "Not Found", {}, e.RerunRefused),
        (422, "Unprocessable", {}, e.RerunRefused),
        (410, "Gone", {}, e.RerunRefused),
        (403, "Resource not accessible by integration", {}, e.PermissionMissing),
        (403, "This installation has been suspended", {}, e.Suspended),
        (403, "You have exceeded a secondary rate limit", {}, e.RateLimited),
        (403, "This workflow is already running", {"retry_after": "60"}, e.RateLimited),
        (429, "slow down", {}, e.RateLimited),
        (401, "Bad credentials", {}, e.Unauthorized),
        (500, "oops", {}, e.ServerError),
        (503, "already running out of capacity", {}, e.ServerError),
    ],
)
def test_what_a_refused_rerun_means(
    status: int, message: str, headers: dict[str, Any], problem: type[e.GitHubError]
) -> None:
    async def scene(runs: GitHubRuns, _: Double) -> None:
        with pytest.raises(e.GitHubError) as caught:
            await runs.rerun_job(TOKEN, REPOSITORY, 70)
        assert type(caught.value) is problem
        assert caught.value.status == status

    play(scene, reply(status, {"message": message}, **headers))


@pytest.mark.parametrize(("status", "is_cancelled"), [(202, True), (409, False)])
def test_force_cancel_says_whether_there_was_anything_to_end(status: int, is_cancelled: bool) -> None:
    async def scene(runs: GitHubRuns, double: Double) -> None:
        assert await runs.force_cancel(TOKEN, REPOSITORY, 7) is is_cancelled
        assert (str(double.last.url), double.asked) == (f"{API}/runs/7/force-cancel", [Endpoint.CANCEL])

    play(scene, reply(status, {}))
