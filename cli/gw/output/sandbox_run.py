"""A run on the sandbox: live while it goes, a table when it is over, and the jobs' own output."""

import shlex
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.sandbox_logs import RunLogs
from gw.ops.sandbox_run import RunOutcome
from gw.output.layout import Cell, age, columns, stamp, styled
from gw.output.printer import Board, Printer
from gw.output.view import View
from gw.sources.simulator import JobFact, RunFact, StepFact

_WORDS = {"queued": "queued", "in_progress": "running", "completed": "done"}
_STYLES = {"success": "ok", "failure": "bad", "cancelled": "warn", "skipped": "dim"}


class RunFollower:
    """Shows each job move from queued to running to done: in place on a terminal, a line per change elsewhere."""

    def __init__(self, printer: Printer, board: Board) -> None:
        self._printer = printer
        self._board = board
        self._told: dict[int, str] = {}

    def update(self, run: RunFact, now: datetime) -> None:
        """The run as it is now."""
        if self._printer.is_live:
            self._board.draw([*_job_rows(run, now), Text(_counts(run))])
            return
        for job in run.jobs:
            word = _WORDS.get(job.status, job.status)
            if self._told.get(job.id) != word:
                self._told[job.id] = word
                self._printer.note(_change(job, word))


def run_view(outcome: RunOutcome, now: datetime) -> View:
    """The outcome of every job."""
    run = outcome.run
    return View(
        kind="WorkflowRun",
        data=_run_data(outcome),
        lines=lambda: [*_job_rows(run, now), *_skipped_lines(run), Text(), Text(_closing(outcome))],
        short=[f"{job.name}\t{job.conclusion or job.status}" for job in run.jobs],
    )


def advice(outcome: RunOutcome, where: str) -> list[Text]:
    """What may hold a run that is not over, and the output of the first job that is worth reading.

    `where` is the option that finds the sandbox, empty when none is needed.
    """
    run = outcome.run
    red = [job for job in run.jobs if job.conclusion not in ("success", "skipped", None)]
    begun = [job for job in run.jobs if job.started_at is not None]
    lines = [Text("See what holds it with: gw health")] if outcome.timed_out else []
    if interesting := next(iter(red or begun), None):
        lines.append(Text(f"See a job's own output with: gw sandbox logs{where} {shlex.quote(interesting.name)}"))
    return lines


def left_behind(run_id: int, where: str) -> list[Text]:
    """What an interrupt leaves behind, and how to look at it and end it."""
    return [
        Text(f"Interrupted; run {run_id} goes on without gw."),
        Text(f"See its output with: gw sandbox logs{where} --run {run_id}"),
        Text(f"End it and the sandbox with: gw sandbox down{where}"),
    ]


def logs_view(logs: RunLogs) -> View:
    """The output of the jobs, a header before each unless there is one only."""
    lines = [Text(line) for log in logs.logs for line in _log_lines(log.job, log.text, alone=len(logs.logs) == 1)]
    return View(
        kind="JobLogs",
        data={
            "run": logs.run.id,
            "jobs": [{"id": log.job.id, "name": log.job.name, "log": log.text} for log in logs.logs],
        },
        lines=lambda: lines,
        short=[line.plain for line in lines],
    )


def _log_lines(job: JobFact, text: str, *, alone: bool) -> Iterator[str]:
    if not alone:
        yield f"==> {job.name} ({job.conclusion or job.status}) <=="
    yield from text.splitlines() or ["(no output)"]


def _job_rows(run: RunFact, now: datetime) -> list[Text]:
    rows: list[list[Cell]] = [
        [
            job.name,
            _state(job),
            job.runner_name or "-",
            _between(job.queued_at, job.started_at or job.completed_at or now),
            _between(job.started_at, job.completed_at or now) if job.runner_name else "-",
            _step_counts(job.steps),
        ]
        for job in run.jobs
    ]
    return columns(rows, header=("JOB", "OUTCOME", "RUNNER", "QUEUED", "RAN", "STEPS"))


def _state(job: JobFact) -> Text:
    if job.conclusion:
        return styled(job.conclusion, _STYLES.get(job.conclusion, "warn"))
    word = _WORDS.get(job.status, job.status)
    return Text(f"{word} ({job.waiting})" if job.waiting and word == "queued" else word)


def _change(job: JobFact, word: str) -> Text:
    line = Text.assemble(word.ljust(8), " ", job.name)
    if word == "queued":
        line.append(f" [{', '.join(job.labels)}]" + (f" {job.waiting}" if job.waiting else ""))
    elif word == "running":
        line.append(f" on {job.runner_name}")
    elif job.conclusion:
        line.append_text(Text.assemble(": ", styled(job.conclusion, _STYLES.get(job.conclusion, "warn"))))
    return line


def _step_counts(steps: tuple[StepFact, ...]) -> str:
    counts = Counter(step.conclusion or step.status for step in steps)
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "-"


def _skipped_lines(run: RunFact) -> Iterator[Text]:
    for job in run.jobs:
        for step in job.steps:
            if step.conclusion == "skipped" and step.reason:
                yield Text(f"  skipped in {job.name}: {step.name}: {step.reason}")
    for notice in run.notices:
        yield Text(f"  note: {notice}")


def _counts(run: RunFact) -> str:
    counts = Counter(_WORDS.get(job.status, job.status) for job in run.jobs)
    return ", ".join(f"{counts[word]} {word}" for word in _WORDS.values() if counts[word])


def _closing(outcome: RunOutcome) -> str:
    run = outcome.run
    if outcome.timed_out or not run.is_over:
        return f"Run {run.id} is not over: {_counts(run)}. It goes on without gw."
    counts = Counter(job.conclusion or "not concluded" for job in run.jobs)
    words = ", ".join(f"{count} {conclusion}" for conclusion, count in counts.most_common())
    took = _between(run.created_at, run.completed_at)
    return f"Run {run.id} ({run.name}): {counted(len(run.jobs), 'job')} in {took}: {words}."


def _between(start: datetime | None, end: datetime | None) -> str:
    return "-" if start is None or end is None else age(start, end)


def _run_data(outcome: RunOutcome) -> dict[str, Any]:
    run = outcome.run
    return {
        "id": run.id,
        "name": run.name,
        "path": run.path,
        "repository": run.repository,
        "status": run.status,
        "conclusion": run.conclusion,
        "timed_out": outcome.timed_out,
        "fail_on": outcome.fail_on.value,
        "exit_code": int(outcome.exit_code),
        "created_at": stamp(run.created_at),
        "completed_at": stamp(run.completed_at),
        "notices": list(run.notices),
        "jobs": [
            {
                "id": job.id,
                "name": job.name,
                "labels": list(job.labels),
                "status": job.status,
                "conclusion": job.conclusion,
                "runner": job.runner_name,
                "run_attempt": job.run_attempt,
                "acquired_count": job.acquired_count,
                "completion_count": job.completion_count,
                "queued_at": stamp(job.queued_at),
                "started_at": stamp(job.started_at),
                "completed_at": stamp(job.completed_at),
                "steps": [
                    {
                        "number": step.number,
                        "name": step.name,
                        "conclusion": step.conclusion,
                        "reason": step.reason or None,
                    }
                    for step in job.steps
                ],
            }
            for job in run.jobs
        ],
    }
