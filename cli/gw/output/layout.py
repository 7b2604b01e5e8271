"""Columns, ages and labels of the text that people read; the same with and without a terminal."""

import re
from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from gw.checks.wording import lasting
from gw.output.styles import STYLES

Cell = str | Text
GAP = "   "
CONTROL = re.compile("[\x00-\x08\n-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves a cursor, begins a line or turns the direction of text (a tab does not), and half a surrogate pair."""


def cleaned(text: str) -> str:
    """Others' words as words alone, as long as before: workflow authors choose the names of jobs, for one."""
    return CONTROL.sub(" ", text)


def one_line(text: str) -> str:
    """The same with single spaces between the words."""
    return " ".join(cleaned(text).split())


def styled(text: str, style: str) -> Text:
    """Text in one of the printer's styles."""
    return Text(cleaned(text), style=STYLES[style])


def columns(rows: Sequence[Sequence[Cell]], *, header: Sequence[str] = (), indent: str = "") -> list[Text]:
    """Rows as aligned lines; the last column is as long as it likes."""
    table: list[list[Text]] = [[styled(name, "head") for name in header]] if header else []
    table += [[cell if isinstance(cell, Text) else Text(one_line(cell)) for cell in row] for row in rows]
    widths = [max((cell_len(row[i].plain) for row in table), default=0) for i in range(len(table[0]) if table else 0)]
    return [_joined(row, widths, indent) for row in table]


def _joined(row: Sequence[Text], widths: Sequence[int], indent: str) -> Text:
    line = Text(indent)
    for index, cell in enumerate(row):
        line.append_text(cell)
        if index + 1 < len(row):
            line.append(" " * (widths[index] - cell_len(cell.plain)) + GAP)
    line.rstrip()
    return line


def unproven_lines(unproven: Sequence[str]) -> list[Text]:
    """What could not be seen."""
    return [Text.assemble(styled("Unproven:", "warn"), f" {what}.") for what in unproven]


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, or a dash when that is not known."""
    return "-" if moment is None else lasting((now - moment).total_seconds())


def stamp(moment: datetime | None) -> str | None:
    """A time in documents: RFC 3339 in UTC to the second."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
