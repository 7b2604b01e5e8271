"""Finds pages by words, as somebody types them who has just been woken: alerts weigh most after the title."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gw.ops.runbook.model import Kind, Page

_TITLE, _ALERT, _SYMPTOM, _HEADING, _TEXT = 16, 14, 12, 4, 1


@dataclass(frozen=True, slots=True)
class Match:
    """A page that has every word, and where it says so best."""

    page: Page
    score: int
    line: str
    """The title, symptom or line of text that has most of the words."""


def search(pages: Iterable[Page], words: Sequence[str]) -> tuple[Match, ...]:
    """The pages that have every word somewhere, best first; upper and lower case are alike."""
    wanted = [word.casefold() for text in words for word in text.split()]
    found = [match for page in pages if wanted and (match := _match(page, wanted)) is not None]
    kinds = list(Kind)
    return tuple(sorted(found, key=lambda match: (-match.score, kinds.index(match.page.kind), match.page.name)))


def _match(page: Page, wanted: Sequence[str]) -> Match | None:
    lines = [
        (_TITLE, f"{page.title} ({page.name})"),
        *((_SYMPTOM, symptom) for symptom in page.symptoms),
        *((_ALERT, name) for name in (*page.alerts, *page.checks)),
        *((_HEADING, section.title) for section in page.sections),
        *((_TEXT, line.strip()) for line in page.text.splitlines() if line.strip()),
    ]
    scored = [(weight * sum(word in line.casefold() for word in wanted), line) for weight, line in lines]
    best = {word: max((weight for weight, line in lines if word in line.casefold()), default=0) for word in wanted}
    if not all(best.values()):
        return None
    # Words that stand together in one line mean more than the same words all over the page.
    top = max(score for score, _ in scored)
    line = next(line for score, line in scored if score == top)
    return Match(page, sum(best.values()) + top, line)
