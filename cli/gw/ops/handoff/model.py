"""What a hand-over says."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gw.checks.model import CheckResult, Finding, Outcome
from gw.exits import ExitCode
from gw.sources.records import HandoverRecord, RecordedProblem
from gw_alerts.thresholds import Severity


class State(StrEnum):
    """How one item of the checklist stands, worst first."""

    OPEN = "open"
    UNKNOWN = "unknown"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Said:
    """One finding, and which check made it."""

    check: str
    """Empty for what no check looks at."""
    finding: Finding
    severity: Severity


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the checklist with all that was found of it."""

    number: int
    title: str
    said: tuple[Said, ...]
    notes: tuple[str, ...] = ()
    """What belongs to the item and does not open it, such as the shift's worst hour."""

    @property
    def state(self) -> State:
        """Open beats unknown beats done."""
        outcomes = {each.finding.outcome for each in self.said}
        if Outcome.PROBLEM in outcomes:
            return State.OPEN
        return State.UNKNOWN if Outcome.UNKNOWN in outcomes else State.DONE


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened in the shift, or is about to."""

    at: datetime | None
    subject: str
    what: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be found out; `is_looked_for` is false for what gw has no way to know."""

    reason: str
    next_step: str = ""
    is_looked_for: bool = True


@dataclass(frozen=True, slots=True)
class Section:
    """What changed, of one kind."""

    id: str
    title: str
    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class LostJob:
    """One job that lost its worker in the shift, with what became of it."""

    namespace: str
    run: str
    """Its address at GitHub where that is known, else repository and id."""
    run_id: int
    name: str
    group: str
    lost_at: datetime | None
    cause: str
    state: str
    retries: int
    needs_person: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Problems beside those of the last hand-over."""

    last: HandoverRecord | None = None
    """None when there is none about the same tenants."""
    new: tuple[RecordedProblem, ...] = ()
    unchanged: tuple[RecordedProblem, ...] = ()
    gone: tuple[RecordedProblem, ...] = ()
    unseen: tuple[RecordedProblem, ...] = ()
    """Problems of then that cannot be judged now."""
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Handoff:
    """The whole of it."""

    cluster: str
    namespace: str | None
    at: datetime
    since: datetime
    to: str
    note: str
    items: tuple[Item, ...]
    sections: tuple[Section, ...]
    lost_jobs: tuple[LostJob, ...]
    difference: Difference
    checks: tuple[CheckResult, ...] = field(default=(), repr=False)
    """All results, for the record."""

    @property
    def others(self) -> tuple[CheckResult, ...]:
        """What checks of health say that no item asks for."""
        asked = {said.check for item in self.items for said in item.said}
        return tuple(result for result in self.checks if result.check.id not in asked)

    @property
    def exit_code(self) -> ExitCode:
        """A hand-over with an open item is none, and neither is one that could not look."""
        states = {item.state for item in self.items}
        if State.OPEN in states:
            return ExitCode.PROBLEM
        gaps = [gap for section in self.sections for gap in section.gaps if gap.is_looked_for]
        return ExitCode.UNKNOWN if State.UNKNOWN in states or gaps or self.difference.gaps else ExitCode.OK


@dataclass(frozen=True, slots=True)
class Signature:
    """Who handed over, when, to whom, and what the document's text was."""

    by: str
    at: datetime
    to: str
    record: str
    """The ConfigMap that keeps it."""
    markdown_checksum: str
    json_checksum: str
