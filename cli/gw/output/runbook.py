"""Runbook pages as lists, as text, and as they are run."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.errors import Refused
from gw.ops.runbook.finding import Match
from gw.ops.runbook.model import Block, Changes, Deed, Kind, Page, Section, Step
from gw.ops.runbook.plan import Condition, PlannedStep, RunOrder, RunPlan
from gw.ops.runbook.running import RunResult, State, StepResult
from gw.output.layout import Cell, columns, styled
from gw.output.printer import Printer
from gw.output.progress import PrintedProgress
from gw.output.view import View

_CHANGES = {
    Changes.NO: "reads",
    Changes.YES: "changes something",
    Changes.ASKED: "changes something, shows what and asks",
}
_SHOWN_LINES = 20


def page_list_view(pages: Sequence[Page], left_out: int) -> View:
    """Pages, one a line, by kind."""

    def lines() -> Iterator[Text]:
        rows: list[list[Cell]] = [[page.name, page.kind.value, _step_count(page), page.title] for page in pages]
        yield from columns(rows, header=("PAGE", "KIND", "STEPS", "TITLE"))
        if left_out:
            yield Text()
            yield Text(f"{counted(left_out, 'page')} of checks and alerts more with --all.")

    return View(
        kind="RunbookList",
        data={"items": [_page_data(page) for page in pages]},
        lines=lambda: list(lines()),
        short=[page.name for page in pages],
    )


def page_view(page: Page, section: Section | None) -> View:
    """A page, or one section of it, as it is written."""
    text = section.text if section else page.text
    return View(
        kind="RunbookPage",
        data={
            **_page_data(page),
            "section": section.title if section else None,
            "text": text,
            "sections": [each.title for each in page.sections],
            "places": dict(page.places),
            "conditions": dict(page.conditions),
            "steps": [_step_data(step) for step in page.steps],
            "not_rehearsed": page.not_rehearsed or None,
        },
        lines=lambda: [Text(line) for line in text.splitlines()],
        short=[f"{page.path}\t{page.title}"],
    )


def search_view(words: Sequence[str], matches: Sequence[Match]) -> View:
    """The pages that were found, best first, with the line that says most."""

    def lines() -> list[Text]:
        if not matches:
            return [Text("No page has all of these words. Use fewer, or see `gw runbook list --all`.")]
        rows: list[list[Cell]] = [[match.page.name, match.page.kind.value, match.line] for match in matches]
        return columns(rows, header=("PAGE", "KIND", "SAYS"))

    return View(
        kind="RunbookSearch",
        data={
            "words": list(words),
            "items": [{**_page_data(match.page), "score": match.score, "line": match.line} for match in matches],
        },
        lines=lines,
        short=[match.page.name for match in matches],
    )


def run_view(result: RunResult) -> View:
    """What became of every step."""
    return View(
        kind="RunbookRun",
        data={
            "page": result.plan.page.name,
            "dry_run": result.is_dry_run,
            "done": result.stopped is None and not result.is_dry_run,
            "exit_code": int(result.exit_code),
            "steps": [_result_data(each) for each in result.steps],
            "left_out": [step.number for step in result.plan.left_out],
        },
        lines=lambda: [Text(_closing(result))],
        short=[f"{each.planned.number}\t{each.state}" for each in result.steps],
    )


def stop_lines(result: RunResult, order: RunOrder, options: Sequence[str]) -> list[Text]:
    """What could not be told or waits; where a run stopped before its end, why, and the command that goes on there."""
    kept = [*(("Unknown: ", each) for each in result.untold), *(("Waits:   ", each) for each in result.waiting)]
    told = [Text.assemble(styled(word, "warn"), f"step {each.planned.number}, {each.what}.") for word, each in kept]
    stopped = result.stopped
    if stopped is None:
        return told
    shown = stopped.evidence.splitlines()[-_SHOWN_LINES:]
    again = list(order.done)
    if stopped.state is State.WAITING and stopped.planned.is_deed:
        again.append(stopped.planned.number)
    return [
        *told,
        Text.assemble(styled("Stopped: ", "bad"), f"step {stopped.planned.number}, {stopped.what}."),
        *(Text(f"         {line}") for line in shown),
        _next_line(order, stopped.planned, sorted(again), options),
    ]


class PrintedRun(PrintedProgress):
    """A run's conversation, on standard error."""

    def __init__(self, printer: Printer, order: RunOrder, options: Sequence[str]) -> None:
        super().__init__(printer)
        self._order = order
        self._options = options

    def show_plan(self, plan: RunPlan) -> None:
        page = plan.page
        self._printer.note(styled(f"{page.title}: {counted(len(plan.steps), 'step')} of runbooks/{page.path}", "head"))
        for planned in plan.steps:
            self._printer.notes(list(_planned_lines(planned)))
        if plan.left_out:
            sections = list(dict.fromkeys(step.section for step in plan.left_out))
            self._printer.note(f"Left out unless --section names them: {', '.join(sections)}.")

    def confirm_by_name(self, question: str, name: str) -> bool:
        return self._printer.confirm_by_name(question, name)

    def begins(self, planned: PlannedStep) -> None:
        self._printer.note(Text())
        self._printer.note(styled(f"Step {planned.number}: {planned.step.section}", "head"))
        self._printer.notes([f"  {line}" for line in planned.text.splitlines()])

    def holds(self, condition: Condition) -> None:
        self._line("holds", "ok", f"{condition.name}: {condition.command}")

    def ask_person(self, planned: PlannedStep) -> bool | None:
        try:
            return self._printer.confirm("Is it done?")
        except Refused:
            return None

    def interrupted(self, planned: PlannedStep) -> None:
        self._printer.note(f"Interrupted in step {planned.number}; it may have done a part of its work.")
        self._printer.note(_next_line(self._order, planned, sorted(self._order.done), self._options))


def _next_line(order: RunOrder, planned: PlannedStep, done: Sequence[int], options: Sequence[str]) -> Text:
    number = planned.number
    command = ["gw", "runbook", "run", order.page.name]
    command += [word for place, value in order.values.items() for word in ("--set", f"{place}={value}")]
    command += ["--section", order.section] if order.section is not None else []
    command += ["--from", str(number)]
    command += [word for each in done for word in ("--done", str(each)) if each >= number]
    command += options
    told = planned.step.gives if isinstance(planned.step, Deed) else ()
    lacking = "".join(f" --set {place}=…" for place in (*planned.lacks, *told) if place not in order.values)
    return Text.assemble(styled("Next:  ", "head"), f"{shlex.join(command)}{lacking} goes on there.")


def _planned_lines(planned: PlannedStep) -> Iterator[Text | str]:
    step = planned.step
    what = _CHANGES[step.changes] if isinstance(step, Block) else "a person's"
    yield Text.assemble(f"{planned.number:>3}  ", styled(step.section, "head"), f" ({what})")
    yield f"     needs   {', '.join(step.needs)}"
    yield from (f"     before  {each.name}: {each.command}" for each in planned.before)
    yield from (
        f"     {'does   ' if not index else '       '} {line}" for index, line in enumerate(planned.text.splitlines())
    )
    yield from (f"     after   {each.name}: {each.command}" for each in planned.after)


def _closing(result: RunResult) -> str:
    count = len(result.steps)
    if result.is_dry_run:
        return f"Dry run: {counted(count, 'step')} would be run, none was."
    done = sum(each.state is State.DONE for each in result.steps)
    page = result.plan.page
    untold = f", {len(result.untold)} could not be told" if result.untold else ""
    return f"{page.title}: {done} of {counted(count, 'step')} done{untold}."


def _step_count(page: Page) -> str:
    return str(len(page.steps)) if page.kind is Kind.PROCEDURE else "-"


# -- documents


def _page_data(page: Page) -> dict[str, Any]:
    return {
        "name": page.name,
        "path": f"runbooks/{page.path}",
        "kind": page.kind.value,
        "title": page.title,
        "symptoms": list(page.symptoms),
        "checks": list(page.checks),
        "alerts": list(page.alerts),
    }


def _step_data(step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {
        "number": step.number,
        "section": step.section,
        "needs": [need.value for need in step.needs],
        "before": list(step.before),
        "after": list(step.after),
        "aside": step.is_aside,
    }
    if isinstance(step, Block):
        block = {"script": step.script, "changes": step.changes.value, "exits": sorted(step.exits)}
        return data | block | {"waits": sorted(step.waits), "confirm": step.confirm or None}
    return data | {"person": getattr(step, "text", ""), "gives": list(getattr(step, "gives", ()))}


def _result_data(result: StepResult) -> dict[str, Any]:
    planned = result.planned
    return {
        "number": planned.number,
        "section": planned.step.section,
        "state": result.state.value,
        "what": result.what or None,
        "does": planned.text,
        "before": [each.command for each in planned.before],
        "after": [each.command for each in planned.after],
    }
