"""The health report as text and as a document."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from gw.checks.model import CheckResult, Finding, Outcome
from gw.checks.wording import counted
from gw.ops.health import HealthReport
from gw.output.layout import GAP, age, stamp, styled
from gw.output.view import View

_STYLE = {Outcome.OK: "ok", Outcome.PROBLEM: "bad", Outcome.UNKNOWN: "warn", Outcome.SKIPPED: "dim"}
_WIDTH = max(len(outcome) for outcome in Outcome)


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
        for finding in result.problems:
            yield from _problem_lines(result, finding, report)
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
        severity = f"{result.check.severity}: " + counted(len(result.problems), "problem")
        return severity if len(findings) == 1 else f"{severity} in {len(findings)}"
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


def _unknown_lines(result: CheckResult, told: set[str]) -> Iterator[Text]:
    for finding in result.findings:
        if finding.outcome is not Outcome.UNKNOWN:
            continue
        if finding.subject:
            yield Text(f"  {finding.subject}: {finding.summary}")
        elif finding.next_step:
            yield Text(f"  next: {finding.next_step}")
        told.add(finding.summary)


def _skipped_lines(result: CheckResult) -> Iterator[Text]:
    """Each subject that was left out, unless the headline is about it alone."""
    if len(result.findings) > 1:
        for finding in result.findings:
            if finding.outcome is Outcome.SKIPPED:
                yield Text(f"  {finding.subject}: {finding.summary}")


def waiting(report: HealthReport) -> Text:
    """What keeps a wait from ending, by the checks' names."""
    bad = (Outcome.PROBLEM, Outcome.UNKNOWN)
    return Text(
        "waiting: " + ", ".join(f"{each.check.id} {each.outcome}" for each in report.results if each.outcome in bad)
    )


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
                "severity": result.check.severity.value,
                "outcome": result.outcome.value,
                "page": result.check.page,
                "findings": [_finding(finding) for finding in result.findings],
            }
            for result in report.results
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "outcome": finding.outcome.value,
        "subject": finding.subject,
        "summary": finding.summary,
        "since": stamp(finding.since),
        "evidence": list(finding.evidence),
        "next": finding.next_step or None,
    }
