"""What a check is and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gw.sources.facts import Facts, Need
from gw_alerts.thresholds import Severity


class Outcome(StrEnum):
    """What a check says, worst first."""

    PROBLEM = "problem"
    UNKNOWN = "unknown"
    """It could not look, or it is too early to tell."""
    OK = "ok"
    SKIPPED = "skipped"
    """There is nothing to look at, or it is not the caller's to see."""


class Scope(StrEnum):
    """Whose health a check speaks of."""

    PLATFORM = "platform"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says of one subject."""

    outcome: Outcome
    subject: str
    """The object, as `namespace/name` or `kind name`; empty for the cluster as a whole."""
    summary: str
    """One sentence without a full stop."""
    since: datetime | None = None
    evidence: tuple[str, ...] = ()
    next_step: str = ""
    """The command that continues; the check's page when empty."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `run` is pure: equal facts, equal findings; no finding means that there is nothing to look at."""

    id: str
    """Stable; also the name of its page."""
    title: str
    """States the healthy fact."""
    severity: Severity
    scope: Scope
    needs: frozenset[Need]
    run: Callable[[Facts], Iterable[Finding]]

    @property
    def page(self) -> str:
        """The runbook page, from the project's root."""
        return f"runbooks/checks/{self.id}.md"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check and all that it found; at least one finding."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of the findings."""
        order = list(Outcome)
        return min((finding.outcome for finding in self.findings), key=order.index)

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.outcome is Outcome.PROBLEM)


def ok(subject: str, summary: str) -> Finding:
    """It is as it should be."""
    return Finding(Outcome.OK, subject, summary)


def skipped(subject: str, reason: str) -> Finding:
    """There is nothing to judge, for a good reason."""
    return Finding(Outcome.SKIPPED, subject, reason)


def unknown(subject: str, reason: str, *, next_step: str = "") -> Finding:
    """It could not be judged."""
    return Finding(Outcome.UNKNOWN, subject, reason, next_step=next_step)


def problem(
    subject: str,
    summary: str,
    *,
    since: datetime | None = None,
    evidence: tuple[str, ...] = (),
    next_step: str = "",
) -> Finding:
    """It is not as it should be."""
    return Finding(Outcome.PROBLEM, subject, summary, since, tuple(line for line in evidence if line), next_step)
