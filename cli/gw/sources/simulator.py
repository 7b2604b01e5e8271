"""The sandbox's GitHub as facts: runs, jobs, steps and logs, over its own small API below `/sandbox`."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from gw.errors import Blind, Refused
from gw.sources.gateways import parse_time

_TIMEOUT_SECONDS = 20.0
_ADVICE = "Look whether it runs with `gw sandbox status`."


@dataclass(frozen=True, slots=True)
class StepFact:
    """One step of a job. `reason` says why it was skipped or failed, when its log does not."""

    number: int
    name: str
    status: str
    conclusion: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class JobFact:
    """One job of a run, in GitHub's words; `waiting` says what a queued one waits for."""

    id: int
    name: str
    labels: tuple[str, ...]
    status: str
    conclusion: str | None
    runner_name: str | None
    waiting: str | None
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    steps: tuple[StepFact, ...]
    run_attempt: int = 1
    acquired_count: int = 0
    """How often a runner claimed it."""
    completion_count: int = 0
    """How often a runner reported its end."""

    @property
    def is_concluded(self) -> bool:
        return self.status == "completed"


@dataclass(frozen=True, slots=True)
class RunFact:
    """One run of a workflow file."""

    id: int
    name: str
    path: str
    repository: str
    status: str
    conclusion: str | None
    notices: tuple[str, ...]
    created_at: datetime | None
    completed_at: datetime | None
    jobs: tuple[JobFact, ...]

    @property
    def is_over(self) -> bool:
        return self.status == "completed"


class Simulator:
    """Requests to one sandbox; every method raises GwError."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def start_run(self, *, repository: str, path: str, workflow: str, source: str | None) -> RunFact:
        """A new run; raises Refused with the line when the workflow is not valid."""
        body = {"repository": repository, "path": path, "workflow": workflow, "source": source}
        return parse_run(await self._json("POST", "/runs", body))

    async def get_run(self, run_id: int) -> RunFact:
        """The run as it is now; raises Refused when there is no such run."""
        return parse_run(await self._json("GET", f"/runs/{run_id}"))

    async def list_runs(self) -> tuple[RunFact, ...]:
        """All runs, oldest first."""
        found = await self._json("GET", "/runs")
        return tuple(sorted((parse_run(entry) for entry in found["runs"]), key=lambda run: run.id))

    async def job_log(self, run_id: int, job_id: int) -> str:
        """What the job's steps printed."""
        return (await self._send("GET", f"/runs/{run_id}/jobs/{job_id}/log")).text

    async def state(self) -> Mapping[str, Any]:
        """Counts of runners, sessions and jobs."""
        found: Mapping[str, Any] = await self._json("GET", "/state")
        return found

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Any other request, for drills: the answer's JSON, None when it is empty."""
        response = await self._send(method, path, body)
        return response.json() if response.content else None

    async def _json(self, method: str, path: str, body: Any = None) -> Any:
        return (await self._send(method, path, body)).json()

    async def _send(self, method: str, path: str, body: Any = None) -> "httpx.Response":
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.HTTPError as problem:
            raise Blind(f"the sandbox's GitHub gives no answer ({type(problem).__name__})", _ADVICE) from problem
        if response.is_success:
            return response
        message, line = _refusal(response)
        if response.status_code in (404, 422):
            where = f" in line {line}" if line else ""
            raise Refused(f"the sandbox refuses this{where}: {message}", "Correct it, then run the command again.")
        raise Blind(f"the sandbox's GitHub answers with status {response.status_code}: {message}", _ADVICE)


@asynccontextmanager
async def open_simulator(control_url: str, token_path: Path, ca_path: Path) -> AsyncIterator[Simulator]:
    """A connection; raises Blind when the sandbox's files are gone."""
    token, tls = _credentials(token_path, ca_path)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=control_url, verify=tls, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        yield Simulator(client)


def _credentials(token_path: Path, ca_path: Path) -> tuple[str, ssl.SSLContext]:
    try:
        return token_path.read_text().strip(), ssl.create_default_context(cafile=ca_path)
    except OSError as problem:
        raise Blind(f"the sandbox's files are gone ({problem.strerror})", _ADVICE) from problem


def parse_run(entry: Mapping[str, Any]) -> RunFact:
    """The facts of a run document."""
    return RunFact(
        id=int(entry["id"]),
        name=str(entry.get("name") or ""),
        path=str(entry.get("path") or ""),
        repository=str(entry.get("repository") or ""),
        status=str(entry.get("status") or ""),
        conclusion=entry.get("conclusion"),
        notices=tuple(str(notice) for notice in entry.get("notices") or ()),
        created_at=parse_time(entry.get("created_at")),
        completed_at=parse_time(entry.get("completed_at")),
        jobs=tuple(_parse_job(job) for job in entry.get("jobs") or ()),
    )


def _parse_job(entry: Mapping[str, Any]) -> JobFact:
    return JobFact(
        id=int(entry["id"]),
        name=str(entry.get("name") or ""),
        labels=tuple(entry.get("labels") or ()),
        status=str(entry.get("status") or ""),
        conclusion=entry.get("conclusion"),
        runner_name=entry.get("runner_name"),
        waiting=entry.get("waiting"),
        queued_at=parse_time(entry.get("queued_at") or entry.get("created_at")),
        started_at=parse_time(entry.get("started_at")),
        completed_at=parse_time(entry.get("completed_at")),
        steps=tuple(_parse_step(step) for step in entry.get("steps") or ()),
        run_attempt=int(entry.get("run_attempt") or 1),
        acquired_count=int(entry.get("acquired") or 0),
        completion_count=int(entry.get("completions") or 0),
    )


def _parse_step(entry: Mapping[str, Any]) -> StepFact:
    return StepFact(
        number=int(entry.get("number") or 0),
        name=str(entry.get("name") or ""),
        status=str(entry.get("status") or ""),
        conclusion=entry.get("conclusion"),
        reason=str(entry.get("reason") or ""),
    )


def _refusal(response: httpx.Response) -> tuple[str, int | None]:
    try:
        body = response.json()
    except ValueError:
        return response.text[:200].strip() or response.reason_phrase, None
    return str(body.get("message") or response.reason_phrase).rstrip("."), body.get("line")
