"""The conversation about reruns, and what came of it."""

from datetime import datetime

from rich.text import Text

from actions_gateway.api.ledger import RerunState
from gw.checks.wording import counted
from gw.ops.jobs import JobReport, LostJob
from gw.ops.rerun_plan import GroupRequest, RerunPlan
from gw.ops.reruns import RerunResult
from gw.output.jobs import lost_data, short_lost, words_of
from gw.output.layout import Cell, age, columns, styled
from gw.output.printer import Printer
from gw.output.progress import PrintedProgress
from gw.output.view import View


class PrintedReruns(PrintedProgress):
    """A `Conversation` about reruns on standard error."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(printer)
        self._asked: list[GroupRequest] = []

    def show_plan(self, plan: RerunPlan, report: JobReport) -> None:
        self._printer.note(styled("Plan:", "head"))
        rows: list[list[Cell]] = [_plan_row(styled("rerun", "ok"), job, report.at) for job in plan.jobs]
        rows += [_plan_row(styled("unchanged", "dim"), job, report.at) for job in plan.others]
        self._printer.notes(columns(rows, indent="  "))
        for request in plan.requests:
            self._printer.note(
                f"  annotates the runner group {request.group} of {request.namespace}; its agent does the rest"
            )

    def wrote(self, request: GroupRequest) -> None:
        self._asked.append(request)
        self._line("asked", "ok", f"{counted(len(request.jobs), 'rerun')} at {request.namespace}/{request.group}")

    def decided(self, job: LostJob) -> None:
        words, style = words_of(job)
        self._line("decided", style, f"{job.fact.name} of run {job.fact.run_id}: {words}")

    def interrupted(self) -> None:
        """What an interrupt leaves behind; says nothing when that is nothing."""
        if self._asked:
            count = counted(sum(len(request.jobs) for request in self._asked), "rerun")
            self._printer.note(f"Interrupted; {count} asked for, which the tenant's agent carries out without gw.")
            step = f"See what becomes of it with `gw job list {self._asked[0].namespace} --state rerun --state lost`."
            self._printer.note(Text.assemble(styled("Next:  ", "head"), step))


def rerun_view(result: RerunResult) -> View:
    """One line for people; each job and what was decided for programs."""
    decided = {job.fact.runner: job for job in result.decided}
    jobs = [decided.get(job.fact.runner, job) for job in result.plan.jobs]
    return View(
        kind="Rerun",
        data={
            "dry_run": result.dry_run,
            "request": None if result.dry_run else result.token,
            "jobs": [lost_data(job) for job in jobs],
            "unchanged": [lost_data(job) for job in result.plan.others],
        },
        lines=lambda: [Text(_sentence(result))],
        short=[short_lost(job) for job in jobs],
    )


def _sentence(result: RerunResult) -> str:
    count = counted(len(result.plan.jobs), "job")
    if result.dry_run:
        return f"Dry run: {count} would be rerun, none was asked for."
    rerun = sum(job.fact.state == RerunState.REQUESTED for job in result.decided)
    fine = sum(job.fact.state == RerunState.UNNEEDED for job in result.decided)
    parts = [f"{rerun} of {count} rerun"]
    parts += [f"{fine} needed none"] if fine else []
    failed = len(result.decided) - rerun - fine
    parts += [f"{failed} cannot be rerun: look at their runs"] if failed else []
    return ", ".join(parts) + "."


def _plan_row(action: Text, job: LostJob, now: datetime) -> list[Cell]:
    fact = job.fact
    lost = f"lost {age(fact.lost_at, now)} ago by {fact.cause or '?'}, {fact.state}"
    return [action, fact.name or "?", lost, job.url or f"run {fact.run_id}"]
