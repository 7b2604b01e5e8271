"""The health report as text and as a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from gw.checks.comparison import Turn
from gw.checks.model import CheckResult, Finding, Outcome
from gw.checks.wording import counted
from gw.ops.health import HealthReport
from gw.output.layout import GAP, age, stamp, styled
from gw.output.view import View
from gw_alerts.thresholds import Severity

_STYLE = {Outcome.OK: "ok", Outcome.PROBLEM: "bad", Outcome.UNKNOWN: "warn", Outcome.SKIPPED: "dim"}
_WIDTH = max(len(outcome) for outcome in Outcome)


_TOLD_IN_FULL = 10
"""Problems of one check; further ones are only named."""


def health_view(report: HealthReport) -> View:
    """One line per check that is fine, one block per problem; every check appears."""
    where = f"tenant {report.namespace}" if report.namespace else "all tenants"
    return _view("HealthReport", report, where)


def check_view(report: HealthReport) -> View:
    """The same for the cluster as a place to install on."""
    return _view("CheckReport", report, "this cluster")


def _view(kind: str, report: HealthReport, where: str) -> View:
    return View(
        kind=kind,
        data=_document(report),
        lines=lambda: [*_check_lines(report), Text(), summary(report, where)],
        short=[f"{result.check.id} {result.outcome}" for result in report.results],
    )


def summary(report: HealthReport, where: str) -> Text:
    """The last line: how many of which outcome."""
    counts = {outcome: sum(result.outcome is outcome for result in report.results) for outcome in Outcome}
    words = [_words(counts[outcome], outcome) for outcome in Outcome if counts[outcome]]
    return Text(f"{counted(len(report.results), 'check')} on {where}: {', '.join(words)}.")


def _words(count: int, outcome: Outcome) -> str:
    return counted(count, outcome.value) if outcome is Outcome.PROBLEM else f"{count} {outcome}"


def _check_lines(report: HealthReport) -> Iterator[Text]:
    width = max(len(result.check.id) for result in report.results)
    told: set[str] = set()
    silent: list[str] = []
    for result in report.results:
        if _says_the_same(result, told):
            silent.append(result.check.id)
            continue
        head = Text.assemble(
            styled(result.outcome.ljust(_WIDTH), _STYLE[result.outcome]), GAP, result.check.id.ljust(width), GAP
        )
        yield head + Text(_headline(result))
        for finding in result.problems[:_TOLD_IN_FULL]:
            yield from _problem_lines(result, finding, report)
        yield from _further_lines(result, result.problems[_TOLD_IN_FULL:])
        yield from _unknown_lines(result, told)
        yield from _skipped_lines(result)
    if silent:
        word = styled(Outcome.UNKNOWN.ljust(_WIDTH), _STYLE[Outcome.UNKNOWN])
        yield word + Text(f"{GAP}for the same reason: {', '.join(silent)}")


def _says_the_same(result: CheckResult, told: set[str]) -> bool:
    """Whether the check could not look at all, for a reason that was told before."""
    return all(
        finding.outcome is Outcome.UNKNOWN and not finding.subject and finding.summary in told
        for finding in result.findings
    )


def _headline(result: CheckResult) -> str:
    """What is true when all is fine, the finding itself when there is one, else how many of how many."""
    findings = result.findings
    if result.outcome is Outcome.PROBLEM:
        counts = {
            severity: sum(result.severity_of(each) is severity for each in result.problems) for severity in Severity
        }
        words = [f"{severity}: {counted(count, 'problem')}" for severity, count in counts.items() if count]
        return ", ".join(words) + ("" if len(findings) == 1 else f" in {len(findings)}")
    if result.outcome is Outcome.UNKNOWN:
        unknown = [finding for finding in findings if finding.outcome is Outcome.UNKNOWN]
        if len(unknown) == 1 and not unknown[0].subject:
            return unknown[0].summary
        return f"cannot tell yet for {len(unknown)} of {len(findings)}"
    if len(findings) == 1:
        only = findings[0]
        return f"{only.subject}: {only.summary}" if only.subject else only.summary
    seen = [finding for finding in findings if finding.outcome is result.outcome]
    if result.outcome is Outcome.SKIPPED:
        return f"not judged for {len(seen)} of {len(findings)}"
    return f"{result.check.title} ({len(seen)}" + (")" if len(seen) == len(findings) else f" of {len(findings)})")


def _problem_lines(result: CheckResult, finding: Finding, report: HealthReport) -> Iterator[Text]:
    subject = f"{finding.subject}: " if finding.subject else ""
    since = f" (for {age(finding.since, report.at)})" if finding.since else ""
    yield Text(f"  {subject}{finding.summary}{since}")
    for line in finding.evidence:
        yield Text(f"    {line}")
    if finding.next_step:
        yield Text(f"    next: {finding.next_step}")
    yield Text(f"    page: {result.check.page}")


def _further_lines(result: CheckResult, rest: Sequence[Finding]) -> Iterator[Text]:
    """Where a whole fleet has the same problem, whose it is matters more than each one's evidence."""
    for severity in Severity:
        subjects = [finding.subject for finding in rest if result.severity_of(finding) is severity]
        if subjects:
            yield Text(f"  and {len(subjects)} more ({severity}): {', '.join(subjects)}")
    if rest:
        yield Text(f"    each with its evidence: gw health NAME --check {result.check.id}")


def _unknown_lines(result: CheckResult, told: set[str]) -> Iterator[Text]:
    blind = [finding for finding in result.findings if finding.outcome is Outcome.UNKNOWN]
    yield from _by_reason([finding for finding in blind if finding.subject])
    for finding in blind:
        if not finding.subject and result.outcome is Outcome.PROBLEM:
            yield Text(f"  {Outcome.UNKNOWN}: {finding.summary}")  # The headline counts the problems beside it.
        if not finding.subject and finding.next_step:
            yield Text(f"  next: {finding.next_step}")
        told.add(finding.summary)


def _skipped_lines(result: CheckResult) -> Iterator[Text]:
    """Each subject that was left out, unless the headline is about it alone."""
    if len(result.findings) > 1:
        yield from _by_reason([finding for finding in result.findings if finding.outcome is Outcome.SKIPPED])


def _by_reason(findings: Sequence[Finding]) -> Iterator[Text]:
    """One line for all subjects of which the same is said."""
    for summary in dict.fromkeys(finding.summary for finding in findings):
        subjects = ", ".join(finding.subject for finding in findings if finding.summary == summary)
        yield Text(f"  {subjects}: {summary}")


def turned_view(report: HealthReport, turned: Sequence[Turn]) -> View:
    """What has turned since the report before; the document is the whole report."""
    lines = [line for turn in turned for line in _turn_lines(turn, report)]
    return View(kind="HealthReport", data=_document(report), lines=lambda: lines, short=[line.plain for line in lines])


def _turn_lines(turn: Turn, report: HealthReport) -> Iterator[Text]:
    after = turn.after
    outcome = Outcome.OK if after is None else after.outcome
    clock = report.at.strftime("%H:%M:%S")
    words = "nothing is left of it" if after is None else after.summary
    subject = f"{turn.subject}: " if turn.subject else ""
    severity = f"{after.severity or turn.check.severity}: " if after and outcome is Outcome.PROBLEM else ""
    head = Text.assemble(f"{clock}{GAP}", styled(outcome.ljust(_WIDTH), _STYLE[outcome]), f"{GAP}{turn.check.id}{GAP}")
    yield head + Text(f"{severity}{subject}{words}")
    if after and outcome is Outcome.PROBLEM:
        yield Text(f"  next: {after.next_step or turn.check.page}")


def waiting(report: HealthReport) -> Text:
    """What keeps a wait from ending, by the checks' names."""
    return Text("waiting: " + ", ".join(f"{each.check.id} {each.outcome}" for each in report.awaited))


def _document(report: HealthReport) -> dict[str, Any]:
    return {
        "tenant": report.namespace,
        "at": stamp(report.at),
        "fail_on": report.fail_on.value,
        "exit_code": int(report.exit_code),
        "checks": [
            {
                "id": result.check.id,
                "title": result.check.title,
                "category": result.check.category.value,
                "severity": result.severity.value,
                "outcome": result.outcome.value,
                "page": result.check.page,
                "findings": [_finding(result, finding) for finding in result.findings],
            }
            for result in report.results
        ],
    }


def _finding(result: CheckResult, finding: Finding) -> dict[str, Any]:
    is_problem = finding.outcome is Outcome.PROBLEM
    return {
        "outcome": finding.outcome.value,
        "severity": result.severity_of(finding).value if is_problem else None,
        "subject": finding.subject,
        "summary": finding.summary,
        "since": stamp(finding.since),
        "evidence": list(finding.evidence),
        "next": finding.next_step or None,
    }
