"""What a promtool case is: series, and which alerts fire from when until when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gw_alerts.cases.samples import Samples
from gw_alerts.model import Alert, Arm


class Proof(StrEnum):
    """What a case shows."""

    BELOW = "just on the good side of the threshold"
    AT = "exactly at the threshold"
    ABOVE = "just on the bad side of the threshold"
    ABSENT = "the series are gone"
    BRIEF = "it ends just before the alert would fire"
    RESET = "the counter begins anew within the window"
    BORN = "the first sample is not zero"
    RARE = "one job in ten minutes"
    BUSY = "a hundred in a second"
    MEMORY = "the manager is gone first"
    RESTART = "the manager is restarted while it fires"
    DELETED = "the object was deleted"
    IDLE = "nothing is expected: suspended or paused"
    SHORT_GAP = "four minutes without a scrape"
    LONG_GAP = "six minutes without a scrape"
    SPELLING = "both spellings of a bucket's bound"
    REPLICAS = "several processes tell"
    ONE_SOURCE = "one source of several tells it alone"
    EDGE = "one number of the rule alone decides"


def braces(labels: Mapping[str, str]) -> str:
    """Labels as PromQL writes them."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a case."""

    name: str
    labels: Mapping[str, str]
    samples: Samples

    def within(self, **labels: str) -> "Series":
        """The same with more labels."""
        return replace(self, labels={**labels, **self.labels})

    @property
    def selector(self) -> str:
        """As promtool writes it."""
        return self.name + braces(dict(sorted(self.labels.items())))


@dataclass(frozen=True, slots=True)
class Span:
    """One alert fires from minute `start` until just before `end`; without an end until the case's own."""

    alert: Alert
    arm: Arm
    start: int
    end: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float = 1.0
    """Of the expression, as the annotations say it."""

    def is_active(self, minute: int) -> bool:
        """Whether it fires in that minute."""
        return self.start <= minute and (self.end is None or minute < self.end)


@dataclass(frozen=True, slots=True)
class Case:
    """One case of an alert; in a file it has a cluster of its own, so that many share one evaluation."""

    alert: Alert
    arm: Arm
    name: str
    proofs: frozenset[Proof]
    series: tuple[Series, ...]
    until: int
    fires: tuple[Span, ...] = ()
    """All alerts that fire in it, not only its own."""
    is_told: bool = False
    """Whether the whole notification is looked at."""
    is_alone: bool = False
    """It cannot share an evaluation: its alert knows no clusters."""
    unclear: frozenset[int] = frozenset()
    """Minutes in which Prometheus's versions differ."""

    @property
    def minutes(self) -> set[int]:
        """When it is worth a look."""
        edges = {minute for span in self.fires for minute in (span.start - 1, span.start)}
        edges |= {minute for span in self.fires if span.end is not None for minute in (span.end - 1, span.end)}
        return {minute for minute in (*edges, self.until) if 0 <= minute <= self.until}
