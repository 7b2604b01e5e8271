"""Events as text and as documents: a table of what was, a line for each that comes."""

from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.events import EventReport
from gw.output.layout import Cell, age, columns, one_line, stamp, styled
from gw.output.view import View
from gw.sources.events import EventFact

NO_EVENTS = "No events. A cluster keeps them for an hour, unless it is told otherwise."


def events_view(report: EventReport) -> View:
    """One event or series a line, the newest last."""
    return View(
        kind="EventList",
        data={
            "at": stamp(report.at),
            "tenant": report.namespace,
            "items": [_data(event) for event in report.events],
        },
        lines=lambda: _rows(report) if report.events else [Text(NO_EVENTS)],
        short=[_short(event) for event in report.events],
    )


def event_view(event: EventFact, *, with_tenant: bool) -> View:
    """One event as it comes."""
    return View(kind="Event", data=_data(event), lines=lambda: [_line(event, with_tenant)], short=[_short(event)])


def _rows(report: EventReport) -> list[Text]:
    with_tenant = report.namespace is None
    rows: list[list[Cell]] = [
        [
            *([event.namespace] if with_tenant else []),
            age(event.last_at, report.at),
            _type(event),
            str(event.count),
            event.about,
            event.reason,
            event.note,
        ]
        for event in report.events
    ]
    header = (*(["TENANT"] if with_tenant else []), "LAST SEEN", "TYPE", "COUNT", "OBJECT", "REASON", "NOTE")
    return columns(rows, header=header)


def _line(event: EventFact, with_tenant: bool) -> Text:
    about = f"{event.namespace}/{event.about}" if with_tenant else event.about
    again = f" ({counted(event.count, 'time')})" if event.count > 1 else ""
    time = event.last_at.strftime("%H:%M:%S") if event.last_at else "-"
    return Text.assemble(
        styled(f"{time} ", "dim"),
        _type(event),
        " " * (len("Warning") - len(_type(event))),
        Text(f" {one_line(about)} {one_line(event.reason)}: {one_line(event.note)}{again}"),
    )


def _type(event: EventFact) -> Text:
    return styled("Warning", "warn") if event.is_warning else styled("Normal", "dim")


def _short(event: EventFact) -> str:
    return f"{event.namespace} {event.about} {event.reason}"


def _data(event: EventFact) -> dict[str, Any]:
    return {
        "tenant": event.namespace,
        "type": "Warning" if event.is_warning else "Normal",
        "reason": event.reason,
        "object": {"kind": event.kind, "name": event.name},
        "note": event.note,
        "count": event.count,
        "first_at": stamp(event.first_at),
        "last_at": stamp(event.last_at),
        "reporter": event.reporter,
    }
