"""What fires: an alert a line, with what to do about it below."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from gw.ops.alerting.listing import AlertList, ListedAlert
from gw.output.layout import Cell, age, columns, stamp, styled
from gw.output.view import View
from gw.sources.alerting import SilenceFact
from gw_alerts.thresholds import Severity

_STYLES = {Severity.PAGE: "bad", Severity.TICKET: "warn", Severity.INFO: "dim"}
_PLACE = ("namespace", "runner_group", "name")


def alert_list_view(found: AlertList) -> View:
    """Pages first."""
    return View(
        kind="AlertList",
        data={
            "at": stamp(found.at),
            "tenant": found.namespace,
            "items": [_data(each) for each in found.alerts],
            "unknown": [each.reason for each in found.unproven],
        },
        lines=lambda: list(_lines(found)),
        short=[f"{each.severity.value} {each.fact.name} {_place(each)}".rstrip() for each in found.alerts],
    )


def doubt_lines(found: AlertList) -> list[str | Text]:
    """Why there may be others."""
    lines: list[str | Text] = []
    for each in found.unproven:
        lines.append(Text.assemble(styled("Unknown:", "warn"), f" {each.reason}."))
        lines += [f"Next:  {each.next_step}"] if each.next_step else []
    return lines


def _lines(found: AlertList) -> Iterator[Text]:
    if not found.alerts:
        yield Text("No alert fires." if not found.unproven else "No alert is seen to fire.")
        return
    rows: list[list[Cell]] = [
        [
            styled(each.severity.value, _STYLES[each.severity]),
            each.fact.name,
            _place(each) or "-",
            age(each.fact.started_at, found.at),
            each.fact.summary,
        ]
        for each in found.alerts
    ]
    header, *lines = columns(rows, header=("SEVERITY", "ALERT", "WHERE", "SINCE", "SUMMARY"))
    yield header
    for each, line in zip(found.alerts, lines, strict=True):
        yield line
        yield from (Text(f"    {words}") for words in _about(each))


def _about(each: ListedAlert) -> Iterator[str]:
    for silence in each.silences:
        yield f"silenced by {silence.created_by}, {_until(silence.ends_at)}: {silence.comment} ({silence.id})"
    if each.inhibitors:
        yield f"not told, while {', '.join(each.inhibitors)} fires"
    parts = [f"begin with: {each.fact.command}" if each.fact.command else "", f"page: {each.fact.page}"]
    yield "   ".join(filter(None, parts if each.fact.page else parts[:1]))


def _until(moment: datetime | None) -> str:
    return f"until {moment:%Y-%m-%d %H:%M} UTC" if moment else "without an end"


def _place(each: ListedAlert) -> str:
    return "/".join(each.fact.labels[name] for name in _PLACE if each.fact.labels.get(name))


def _data(each: ListedAlert) -> dict[str, Any]:
    return {
        "alert": each.fact.name,
        "severity": each.severity.value,
        "labels": dict(each.fact.labels),
        "since": stamp(each.fact.started_at),
        "summary": each.fact.summary,
        "told": each.is_told,
        "silenced_by": [_silence_data(silence) for silence in each.silences],
        "inhibited_by": list(each.inhibitors),
        "page": each.fact.page or None,
        "command": each.fact.command or None,
    }


def _silence_data(silence: SilenceFact) -> dict[str, Any]:
    return {
        "id": silence.id,
        "by": silence.created_by,
        "comment": silence.comment,
        "until": stamp(silence.ends_at),
    }
