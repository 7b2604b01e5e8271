"""What GitHub's lists of runs and jobs say of jobs that wait, and of what was not asked for."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from actions_gateway.github.decoding import Fields
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import scope_of
from gw.sources.github import GitHubFact, read_waiting


def job(run_id: int, name: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": run_id, "run_id": run_id, "name": name, "status": status, **more}


JOBS = {
    7: [job(7, "build", "queued", labels=["gpu"], created_at="2026-01-05T09:00:00Z")],
    8: [job(8, "test", "in_progress"), job(8, "lint", "queued")],
}


class Rest:
    """Answers as the REST API; `totals` by status, None for a server that does not count."""

    def __init__(self, totals: Mapping[str, int | None]) -> None:
        self.totals = totals

    async def read(self, path: str, token: Secret, action: str, query: Mapping[str, str], **_: Any) -> Fields:
        if path.endswith("/runs"):
            run = {"queued": 7, "in_progress": 8}[query["status"]]
            return Fields({"total_count": self.totals[query["status"]], "workflow_runs": [{"id": run}]})
        first = 100 * (int(query["page"]) - 1)
        return Fields({"jobs": JOBS[int(path.split("/")[-2])][first : first + 100]})


def read(queued: int | None, running: int | None, *, url: str = "https://github.com/octo/demo") -> GitHubFact:
    rest: Any = Rest({"queued": queued, "in_progress": running})
    return asyncio.run(read_waiting(rest, Secret("t"), scope_of(url), "team-a"))


def test_jobs_that_wait_are_those_of_queued_and_of_running_runs() -> None:
    found = read(1, 1)
    assert [(job.namespace, job.run_id, job.name, job.labels) for job in found.jobs] == [
        ("team-a", 7, "build", ("gpu",)),
        ("team-a", 8, "lint", ()),
    ]


@pytest.mark.parametrize(("queued", "running", "left_out"), [(1, 1, 0), (41, 1, 40), (3, 11, 12), (None, None, 0)])
def test_runs_that_were_not_asked_for_their_jobs_are_counted(
    queued: int | None, running: int | None, left_out: int
) -> None:
    assert read(queued, running).runs_left_out == left_out


def test_the_jobs_of_a_large_run_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    states = ["in_progress"] * 101 + ["queued"] * 49
    monkeypatch.setitem(JOBS, 7, [job(7, f"job {n}", status) for n, status in enumerate(states)])
    assert len(read(1, 1).jobs) == 49 + 1


def test_an_organizations_jobs_are_listed_nowhere_and_that_is_said() -> None:
    found = read(1, 1, url="https://github.com/octo")
    assert found.jobs == ()
    assert found.unlisted == ("GitHub lists waiting jobs by repository, and team-a serves all of octo",)
