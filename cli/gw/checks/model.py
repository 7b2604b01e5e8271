"""What a check is and what it finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
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


class Category(StrEnum):
    """What a check is about; a selection of `gw health --category`, in the order of every report."""

    PLATFORM = "platform"
    GATEWAY = "gateway"
    CREDENTIALS = "credentials"
    SESSIONS = "sessions"
    JOBS = "jobs"
    QUOTA = "quota"
    WORKERS = "workers"
    PROXY = "proxy"
    GITHUB = "github"
    VERSIONS = "versions"
    OBSERVABILITY = "observability"
    INSTALLATION = "installation"
    """What a cluster has to bring and to enforce: `gw check`."""


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
    severity: Severity | None = None
    """Of a problem that is less bad than the check's worst; None for the check's own."""
    is_lasting: bool = False
    """Of what is unknown: waiting is vain."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `run` is pure: equal facts, equal findings; no finding means that there is nothing to look at."""

    id: str
    """Stable; also the name of its page."""
    title: str
    """States the healthy fact."""
    severity: Severity
    """Of the worst that it can find."""
    scope: Scope
    needs: frozenset[Need]
    run: Callable[[Facts], Iterable[Finding]]
    category: Category = field(kw_only=True)
    looks_at: str = field(kw_only=True)
    """Continues "it looks at", without a full stop; for the documentation."""

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

    def severity_of(self, finding: Finding) -> Severity:
        """How bad one of the findings is: its own severity, or the check's."""
        return finding.severity or self.check.severity

    @property
    def severity(self) -> Severity:
        """The worst of the problems; the check's own without one."""
        return min((self.severity_of(each) for each in self.problems), key=lambda one: one.rank, default=None) or (
            self.check.severity
        )


def ok(subject: str, summary: str) -> Finding:
    """It is as it should be."""
    return Finding(Outcome.OK, subject, summary)


def skipped(subject: str, reason: str) -> Finding:
    """There is nothing to judge, for a good reason."""
    return Finding(Outcome.SKIPPED, subject, reason)


def unknown(subject: str, reason: str, *, next_step: str = "", is_lasting: bool = False) -> Finding:
    """It could not be judged."""
    return Finding(Outcome.UNKNOWN, subject, reason, next_step=next_step, is_lasting=is_lasting)


def problem(
    subject: str,
    summary: str,
    *,
    since: datetime | None = None,
    evidence: tuple[str, ...] = (),
    next_step: str = "",
    severity: Severity | None = None,
) -> Finding:
    """It is not as it should be."""
    lines = tuple(line for line in evidence if line)
    return Finding(Outcome.PROBLEM, subject, summary, since, lines, next_step, severity)
