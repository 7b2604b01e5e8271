"""Columns, ages and labels of the text that people read; the same with and without a terminal."""

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from gw.checks.wording import lasting
from gw.output.styles import STYLES

Cell = str | Text
GAP = "   "


def styled(text: str, style: str) -> Text:
    """Text in one of the printer's styles."""
    return Text(text, style=STYLES[style])


def columns(rows: Sequence[Sequence[Cell]], *, header: Sequence[str] = (), indent: str = "") -> list[Text]:
    """Rows as aligned lines; the last column is as long as it likes."""
    table: list[list[Text]] = [[styled(name, "head") for name in header]] if header else []
    table += [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
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


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, or a dash when that is not known."""
    return "-" if moment is None else lasting((now - moment).total_seconds())


def stamp(moment: datetime | None) -> str | None:
    """A time in documents: RFC 3339 in UTC to the second."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
