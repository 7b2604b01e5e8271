"""Whose lines are wanted, and which of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gw.errors import Refused
from gw.sources.jobs import JobReference, parse_job_reference
from gw.sources.logs import Level, parse_entry
from gw.sources.pods import PodRole

DEFAULT_TAIL = 200
MOST_LINES = 50_000
"""What is kept of one container; older lines go."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Whose lines, and which of them."""

    namespace: str | None
    target: PodRole | JobReference
    since_seconds: float | None = None
    tail: int | None = None
    """Of each container the last so many that pass; None means the default, all of them with `since_seconds`."""
    previous: bool = False
    level: Level | None = None
    job: JobReference | None = None
    text: str = ""
    """Only lines that hold this, whatever the case of its letters."""

    @property
    def is_filtered(self) -> bool:
        return bool(self.level or self.text or self.job)

    @property
    def kept(self) -> int:
        """How many lines of each container are kept."""
        if self.tail is not None:
            return min(self.tail, MOST_LINES)
        return MOST_LINES if self.since_seconds is not None else DEFAULT_TAIL

    @property
    def reference(self) -> JobReference | None:
        """The run or pod that was named."""
        return self.target if isinstance(self.target, JobReference) else self.job

    @property
    def described(self) -> str:
        """Whose log it is, in words."""
        if isinstance(self.target, JobReference):
            return self.target.text
        return "the manager" if self.target is PodRole.MANAGER else f"the {self.target} of {self.namespace}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines pass."""

    level: Level | None = None
    text: str = ""
    words: Sequence[re.Pattern[str]] = ()
    """One of them has to occur, when there are any."""

    def passes(self, line: str) -> bool:
        """Whether the line is wanted; a line that says no level is, whatever level is asked for."""
        if self.text and self.text.lower() not in line.lower():
            return False
        if self.words and not any(word.search(line) for word in self.words):
            return False
        level = parse_entry(line).level if self.level else None
        return self.level is None or level is None or level.reaches(self.level)


def parse_target(text: str) -> PodRole | JobReference:
    """A component by its name, or a run or pod; raises Refused."""
    return PodRole(text) if text in set(PodRole) else parse_job_reference(text)


def parse_level(text: str) -> Level:
    """Raises Refused."""
    try:
        return Level(text)
    except ValueError:
        raise Refused(f"--level {text}: there is no such level", f"Levels: {', '.join(Level)}.") from None


def parse_tail(number: int | None) -> int | None:
    """Raises Refused."""
    if number is not None and not 1 <= number <= MOST_LINES:
        raise Refused(f"--tail {number}: it is a number of lines from 1 to {MOST_LINES}", "Write --tail 500.")
    return number
