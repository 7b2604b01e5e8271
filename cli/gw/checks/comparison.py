"""What turned between two looks of the same checks: problems that came, went, or became better or worse."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gw.checks.model import Check, CheckResult, Finding, Outcome
from gw_alerts.thresholds import Severity

Verdict = tuple[Outcome, Severity | None]


@dataclass(frozen=True, slots=True)
class Turn:
    """One subject of one check about which the checks now say something else; the finding is the present one."""

    check: Check
    subject: str
    before: Finding | None
    """None when nothing was said of it before."""
    after: Finding | None
    """None when it is gone, with whatever was said of it."""


def turns(before: Iterable[CheckResult], after: Iterable[CheckResult]) -> tuple[Turn, ...]:
    """In the later results' order. Words alone, such as an age that grew, are no turn."""
    earlier = {result.check.id: _worst(result) for result in before}
    found = []
    for result in after:
        then, now = earlier.get(result.check.id, {}), _worst(result)
        found += [
            Turn(result.check, subject, then.get(subject), now.get(subject))
            for subject in dict.fromkeys([*now, *then])
            if _verdict(result.check, then.get(subject)) != _verdict(result.check, now.get(subject))
        ]
    return tuple(found)


def _worst(result: CheckResult) -> Mapping[str, Finding]:
    order = list(Outcome)
    worst: dict[str, Finding] = {}
    for finding in sorted(result.findings, key=lambda each: (order.index(each.outcome), result.severity_of(each).rank)):
        worst.setdefault(finding.subject, finding)
    return worst


def _verdict(check: Check, finding: Finding | None) -> Verdict:
    """What counts of a finding; a subject of which nothing is said is as good as one that is fine or left out."""
    if finding is None or finding.outcome in (Outcome.OK, Outcome.SKIPPED):
        return Outcome.OK, None
    is_problem = finding.outcome is Outcome.PROBLEM
    return finding.outcome, (finding.severity or check.severity) if is_problem else None
