"""Jobs as text and as documents."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from actions_gateway.api.ledger import RerunState
from gw.checks.wording import counted
from gw.ops.jobs import JobReport, LostJob, RunningJob, WaitingJobs
from gw.output.layout import Cell, age, columns, stamp, styled
from gw.output.view import View

_WORDS = {
    RerunState.PENDING: ("is rerun when its run has ended", "dim"),
    RerunState.REQUESTED: ("rerun", "ok"),
    RerunState.UNNEEDED: ("needs no rerun: it ended well, or somebody reran it", "ok"),
    RerunState.EXHAUSTED: ("not rerun: its run has no retry left", "bad"),
    RerunState.MANUAL: ("not rerun: its lock was lost, look at what ended it", "bad"),
    RerunState.WITHHELD: ("not rerun: its run was cancelled", "dim"),
    RerunState.REFUSED: ("not rerun: GitHub refuses it", "bad"),
    RerunState.EXPIRED: ("not rerun: its run did not end within a day", "bad"),
}
_UNREADABLE = ("of a later release, or edited: look at the run", "warn")


def job_list_view(report: JobReport) -> View:
    """All jobs in three parts; a part that has none is left out."""
    return View(
        kind="JobList",
        data={
            "tenant": report.namespace,
            "at": stamp(report.at),
            "running": [_running_data(job) for job in report.running],
            "waiting": [_waiting_data(jobs) for jobs in report.waiting],
            "lost": [lost_data(job) for job in report.lost],
            "unseen": [missing.reason for missing in (*report.unseen, *report.stale)],
        },
        lines=lambda: list(_list_lines(report)),
        short=[
            *(_short_running(job) for job in report.running),
            *(f"{one.namespace}/{one.group} waiting {one.wait.jobs} {one.wait.reason}" for one in report.waiting),
            *(short_lost(job) for job in report.lost),
        ],
    )


def job_detail_view(report: JobReport) -> View:
    """All that is known of a run or a job."""
    pods = (*report.running, *report.ended)
    return View(
        kind="Job",
        data={
            "at": stamp(report.at),
            "workers": [_running_data(job) for job in pods],
            "lost": [lost_data(job) for job in report.lost],
            "unseen": [missing.reason for missing in (*report.unseen, *report.stale)],
        },
        lines=lambda: list(_detail_lines(report)),
        short=[*(_short_running(job) for job in pods), *(short_lost(job) for job in report.lost)],
    )


# -- text


def _list_lines(report: JobReport) -> Iterator[Text]:
    blocks = [
        ("Running", _running_rows(report.running, report.at)),
        ("Waiting", _waiting_rows(report.waiting, report.at)),
        ("Lost", _lost_rows(report.lost, report.at)),
    ]
    shown = [(title, rows) for title, rows in blocks if rows]
    for index, (title, rows) in enumerate(shown):
        if index:
            yield Text()
        yield styled(title, "head")
        yield from rows
    if not shown and not report.unseen and not report.stale:
        yield Text("No job.")
    yield from _unseen(report, after=bool(shown))
    if needy := [job for job in report.lost if job.needs_person]:
        yield Text()
        yield from _advice(needy)


def _advice(needy: Sequence[LostJob]) -> Iterator[Text]:
    tenants = sorted({job.fact.namespace for job in needy})
    verb = "needs" if len(needy) == 1 else "need"
    yield Text(f"{counted(len(needy), 'job')} {verb} a person:")
    yield from columns([[f"gw job rerun --lost -n {tenant}"] for tenant in tenants], indent="  ")


def _unseen(report: JobReport, *, after: bool) -> Iterator[Text]:
    blind = (*report.unseen, *report.stale)
    if blind and after:
        yield Text()
    for missing in blind:
        yield Text.assemble(styled("Not seen:", "warn"), f" {missing.reason}. {missing.next_step}".rstrip())


def _running_rows(jobs: Sequence[RunningJob], now: datetime) -> list[Text]:
    rows: list[list[Cell]] = [
        [
            job.pod.namespace,
            job.pod.job_name or "?",
            job.pod.repository or "?",
            job.pod.run_attempt or "?",
            job.pod.group,
            job.pod.phase,
            age(job.pod.created_at, now),
            job.pod.name,
            job.url or f"run {job.pod.run_id or '?'}",
        ]
        for job in jobs
    ]
    header = ("TENANT", "JOB", "REPOSITORY", "ATTEMPT", "GROUP", "PHASE", "AGE", "POD", "RUN")
    return columns(rows, header=header) if rows else []


def _waiting_rows(waiting: Sequence[WaitingJobs], now: datetime) -> list[Text]:
    rows: list[list[Cell]] = [
        [one.namespace, one.group, str(one.wait.jobs), one.wait.reason, age(one.wait.since, now), one.wait.message]
        for one in waiting
    ]
    return columns(rows, header=("TENANT", "GROUP", "JOBS", "FOR", "SINCE", "WHAT ENDS IT")) if rows else []


def _lost_rows(jobs: Sequence[LostJob], now: datetime) -> list[Text]:
    rows: list[list[Cell]] = [
        [
            job.fact.namespace,
            job.fact.name or "?",
            job.fact.repository or "?",
            str(job.fact.attempt or "?"),
            job.fact.cause or "?",
            age(job.fact.lost_at, now),
            styled(job.fact.state, words_of(job)[1]),
            "?" if job.budget_left is None else str(job.budget_left),
            job.url or f"run {job.fact.run_id}",
        ]
        for job in jobs
    ]
    header = ("TENANT", "JOB", "REPOSITORY", "ATTEMPT", "CAUSE", "LOST", "STATE", "RETRIES LEFT", "RUN")
    return columns(rows, header=header) if rows else []


def _detail_lines(report: JobReport) -> Iterator[Text]:
    blocks = [_worker_cells(job, report.at) for job in (*report.running, *report.ended)]
    for index, rows in enumerate([*blocks, *(_lost_cells(job, report.at) for job in report.lost)]):
        if index:
            yield Text()
        yield from columns(rows)
    yield from _unseen(report, after=True)
    if needy := [job for job in report.lost if job.needs_person]:
        yield Text()
        runs = sorted({(job.fact.namespace, job.fact.run_id) for job in needy})
        yield from columns([[f"gw job rerun {run_id} -n {tenant}"] for tenant, run_id in runs])


def _worker_cells(job: RunningJob, now: datetime) -> list[list[Cell]]:
    pod = job.pod
    waiting = next((one.waiting_message for one in pod.containers if one.waiting_message), "")
    trouble = pod.unscheduled_message or pod.message or waiting
    cells: list[list[Cell]] = [
        ["Job", pod.job_name or "?"],
        ["Run", job.url or pod.run_id or "?"],
        ["Attempt", pod.run_attempt or "?"],
        ["Worker", f"{pod.name}, {pod.phase}, {age(pod.created_at, now)} old"],
        ["Group", f"{pod.group} in {pod.namespace}"],
        ["Runner", pod.runner or "?"],
    ]
    return [*cells, ["Trouble", trouble]] if trouble else cells


def _lost_cells(job: LostJob, now: datetime) -> list[list[Cell]]:
    fact, (words, style) = job.fact, words_of(job)
    budget = "?" if job.budget_left is None else f"{fact.retries} used, {job.budget_left} left"
    cells: list[list[Cell]] = [
        ["Lost job", fact.name or "?"],
        ["Run", job.url or str(fact.run_id)],
        ["Attempt", str(fact.attempt or "?")],
        ["Lost", f"{age(fact.lost_at, now)} ago, by {fact.cause or '?'}"],
        ["State", styled(f"{fact.state}: {words}", style)],
        ["Retries", budget],
        ["Group", f"{fact.group or '?'} in {fact.namespace}"],
        ["Runner", fact.runner or "?"],
    ]
    return [*cells, ["Request", fact.request]] if fact.request else cells


def words_of(job: LostJob) -> tuple[str, str]:
    """What has become of it, and the style of that."""
    return _UNREADABLE if job.is_unreadable else _WORDS[RerunState(job.fact.state)]


def _short_running(job: RunningJob) -> str:
    return f"{job.pod.namespace}/{job.pod.name} running"


def short_lost(job: LostJob) -> str:
    return f"{job.fact.namespace}/{job.fact.runner or job.fact.run_id} {job.fact.state}"


# -- documents


def _running_data(job: RunningJob) -> dict[str, Any]:
    pod = job.pod
    return {
        "tenant": pod.namespace,
        "job": pod.job_name or None,
        "repository": pod.repository or None,
        "run_id": int(pod.run_id) if pod.run_id.isdecimal() else None,
        "attempt": int(pod.run_attempt) if pod.run_attempt.isdecimal() else None,
        "url": job.url or None,
        "runner_group": pod.group,
        "runner": pod.runner or None,
        "pod": pod.name,
        "phase": pod.phase,
        "created_at": stamp(pod.created_at),
    }


def _waiting_data(waiting: WaitingJobs) -> dict[str, Any]:
    return {
        "tenant": waiting.namespace,
        "runner_group": waiting.group,
        "reason": waiting.wait.reason,
        "jobs": waiting.wait.jobs,
        "since": stamp(waiting.wait.since),
        "message": waiting.wait.message,
    }


def lost_data(job: LostJob) -> dict[str, Any]:
    fact = job.fact
    return {
        "tenant": fact.namespace,
        "job": fact.name or None,
        "job_id": fact.job_id,
        "repository": fact.repository or None,
        "run_id": fact.run_id,
        "attempt": fact.attempt or None,
        "url": job.url or None,
        "runner_group": fact.group or None,
        "runner": fact.runner or None,
        "cause": fact.cause or None,
        "lost_at": stamp(fact.lost_at),
        "state": fact.state,
        "needs_person": job.needs_person,
        "retries": fact.retries,
        "retries_left": job.budget_left,
        "request": fact.request or None,
    }
