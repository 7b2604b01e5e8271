"""Silences: the plan and its question, what stands, what was ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from gw.checks.wording import counted, lasting
from gw.ops.alerting.silences import PlacedSilence, SilencePlan
from gw.output.layout import Cell, columns, stamp, styled
from gw.output.printer import Printer
from gw.output.view import View
from gw.sources.alerting import SilenceFact

_WHAT = "this writes to Alertmanager"
_ADD_YES = "Add --yes once the plan is right."


class PrintedSilence:
    """The plan and the question, on standard error."""

    def __init__(self, printer: Printer, *, yes: bool) -> None:
        self._printer = printer
        self._yes = yes

    def agrees(self, plan: SilencePlan) -> bool:
        """Shows what is about to be silenced; raises Refused when there is nobody to ask."""
        self._printer.notes([styled("Silence:", "head"), *plan_lines(plan)])
        return self._yes or self._printer.confirm("Silence it?", what=_WHAT, next_step=_ADD_YES)

    def agrees_to_end(self, silence: SilenceFact) -> bool:
        """Shows what is about to be heard again."""
        self._printer.note(f"Ends the silence of {silence.matchers} by {silence.created_by}: {silence.comment}")
        return self._yes or self._printer.confirm("End it?", what=_WHAT, next_step=_ADD_YES)


def plan_lines(plan: SilencePlan) -> list[Text]:
    """What it is of, until when, by whom and why."""
    now_quiet = counted(len(plan.quiets), "alert") if plan.quiets else "none"
    return columns(
        [
            ["of", plan.text],
            ["until", f"{plan.ends_at:%Y-%m-%d %H:%M} UTC"],
            ["by", plan.author],
            ["because", plan.comment],
            ["fires now", now_quiet],
            *([["instead of", f"{plan.extends.id}, which ends earlier"]] if plan.extends and plan.is_needed else []),
        ],
        indent="  ",
    )


def placed_view(placed: PlacedSilence) -> View:
    """The silence that stands."""
    plan = placed.plan
    return View(
        kind="PlacedSilence",
        data={
            "dry_run": placed.is_dry_run,
            "changed": placed.is_written,
            "id": placed.id or None,
            "alert": plan.alert.name,
            "matchers": plan.text,
            "until": stamp(plan.ends_at),
            "by": plan.author,
            "comment": plan.comment,
            "fires_now": len(plan.quiets),
        },
        lines=lambda: _placed_lines(placed),
        short=[placed.id or plan.text],
    )


def silence_list_view(silences: Sequence[SilenceFact], now: datetime) -> View:
    """One a line, the first to end first."""
    rows: list[list[Cell]] = [
        [each.id, _state(each), _left(each, now), each.created_by, each.matchers, each.comment] for each in silences
    ]
    header = ("ID", "STATE", "LEFT", "BY", "OF", "COMMENT")
    return View(
        kind="SilenceList",
        data={"at": stamp(now), "items": [_data(each) for each in silences]},
        lines=lambda: columns(rows, header=header) if rows else [Text("No silence is in force or to come.")],
        short=[each.id for each in silences],
    )


def expired_view(silence: SilenceFact, *, is_ended: bool, is_dry_run: bool) -> View:
    """What came of the end of one."""
    if silence.is_over:
        sentence = f"The silence {silence.id} is over already."
    elif is_dry_run:
        sentence = f"Dry run: the silence {silence.id} of {silence.matchers} would end, and stands."
    else:
        sentence = f"The silence {silence.id} of {silence.matchers} is over."
    return View(
        kind="ExpiredSilence",
        data={"dry_run": is_dry_run, "changed": is_ended, **_data(silence)},
        lines=lambda: [Text(sentence)],
        short=[silence.id],
    )


def _placed_lines(placed: PlacedSilence) -> list[Text]:
    plan = placed.plan
    if placed.is_dry_run:
        return [*plan_lines(plan), Text("Dry run: nothing was silenced.")]
    if not placed.is_written:
        return [Text(f"{plan.text} is silenced already, by {placed.id}; there is nothing to write.")]
    return [
        Text(f"{plan.text} is silenced until {plan.ends_at:%Y-%m-%d %H:%M} UTC."),
        Text(f"End it with: gw alerts silence expire {placed.id}"),
    ]


def _state(silence: SilenceFact) -> Text:
    if silence.is_over:
        return styled("over", "dim")
    return styled("in force", "warn") if silence.is_active else styled("to come", "dim")


def _left(silence: SilenceFact, now: datetime) -> str:
    if silence.is_over or silence.ends_at is None:
        return "-"
    return lasting((silence.ends_at - now).total_seconds())


def _data(silence: SilenceFact) -> dict[str, Any]:
    return {
        "id": silence.id,
        "matchers": silence.matchers,
        "by": silence.created_by,
        "comment": silence.comment,
        "from": stamp(silence.starts_at),
        "until": stamp(silence.ends_at),
        "active": silence.is_active,
        "over": silence.is_over,
    }
