"""The changes of the transcribed runbook: its table's numbers, comparisons, severities and words, and its two lists."""

import multiprocessing
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutation.sources import failures

_TESTS = Path(__file__).parents[1]
_NAME = "production-runbook.yaml"
_SEED = _TESTS / "artefacts" / "seed"
_MODULES = (
    "artefacts/seed/test_transcription.py", "artefacts/seed/test_alert_table.py", "artefacts/seed/test_alerts.py",
)  # fmt: skip
_SECTIONS = re.compile(r"^(?:thresholds|page_worthy|ticket_worthy):\n(?:[ \n].*\n?)*", re.MULTILINE)
_CHANGED = re.compile(r"(?P<number>\d+)|(?P<sign>[<>=](?= \d))|(?P<severity>\b(?:Page|Ticket)\b)|(?P<any>(?<=: )any$)")
_SIGNS = {">": "<", "<": ">", "=": ">"}
_SEVERITIES = {"Page": "Ticket", "Ticket": "Page"}


@dataclass(frozen=True, slots=True)
class SeedChange:
    """One change: where in the text, and what comes there."""

    start: int
    end: int
    text: str
    what: str


def seed_changes() -> Iterator[SeedChange]:
    """All of them, in the file's order."""
    text = (_SEED / _NAME).read_text()
    for section in _SECTIONS.finditer(text):
        for found in _CHANGED.finditer(text, *section.span()):
            line = text[text.rfind("\n", 0, found.start()) + 1 : text.find("\n", found.start())]
            # Where a row begins in the original is no part of what it says.
            if line.lstrip(" -").startswith("line:"):
                continue
            other = _other(found)
            yield SeedChange(*found.span(), other, f"{line.strip()[:60]}: {found[0]} -> {other}")


def _other(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "number":
            return str(int(found[0]) + 1)
        case "sign":
            return _SIGNS[found[0]]
        case "severity":
            return _SEVERITIES[found[0]]
    return "rate > 0"


def seed_failures(changes: Sequence[SeedChange], workers: int) -> Iterator[tuple[str, ...]]:
    """For each change the tests that fail."""
    context = multiprocessing.get_context("fork")
    with context.Pool(workers, maxtasksperchild=1) as pool:
        yield from pool.imap(_try, changes, chunksize=1)


def _try(change: SeedChange) -> tuple[str, ...]:
    sys.path.insert(0, str(_TESTS))
    from support import seed

    text = (_SEED / _NAME).read_text()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / _NAME).write_text(text[: change.start] + change.text + text[change.end :])
        seed._FOLDER = Path(folder)
        try:
            return tuple(failures(_MODULES))
        except Exception as problem:
            return (f"{type(problem).__name__}: {problem}",)
