"""Markdown in which others' words stay words: a condition's message formats nothing and links nowhere."""

import re
from collections.abc import Iterable, Iterator, Sequence

from gw.output.layout import one_line

_ACTIVE = re.compile(r"([\\`*\[\]<|~])|(?<!\w)(_)|(_)(?!\w)")
"""What formats inside of a line (CommonMark, GitHub's tables and strikethrough); underscores within a word do not."""


def plain(text: str) -> str:
    """Any text on one line, as text."""
    return _ACTIVE.sub(r"\\\g<0>", one_line(text))


def code(text: str) -> str:
    """Any text on one line as code, with a fence that it does not hold."""
    line = one_line(text)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    return f"{fence}{line}{fence}" if fence == "`" else f"{fence} {line} {fence}"


def step(text: str) -> str:
    """What to do next: a command as code, anything else as text."""
    return code(text) if text.startswith(("gw ", "kubectl ")) else plain(text)


def bullet(text: str, depth: int = 0) -> str:
    """One entry of a list; `text` is Markdown already."""
    return f"{'  ' * depth}- {text}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of plain cells."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'|'.join(' --- ' for _ in header)}|"
    for row in rows:
        yield f"| {' | '.join(plain(cell) or '-' for cell in row)} |"
