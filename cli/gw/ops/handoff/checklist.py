"""The production runbook's "On-Call Handoff Checklist" as data: its eight items, and which checks answer each.

The titles are the runbook's own words. What checks say is taken as they say it; an item adds only what belongs to a
shift and is no state of the cluster: error rates, pages, incidents.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from gw.checks.belonging import own_series
from gw.checks.catalog.observability import firing_problems, why_deaf
from gw.checks.model import CheckResult, Finding, Outcome, ok, problem, unknown
from gw.checks.wording import counted
from gw.ops.handoff.model import Item, Said
from gw.sources.alerting import AlertFact
from gw.sources.facts import Facts, Missing, NotKnown
from gw_alerts.thresholds import Severity

LEDGERS_KEEP = timedelta(days=1)
"""For so long after its last loss or request a run stays in its tenant's ledger (runbooks/procedures/lost-jobs.md)."""
NOBODYS = Missing("without a gateway nobody can tell which series and alerts are this cluster's")
RULES_STEP = "gw health --check monitoring.rules --check monitoring.alertmanager --fail-on ticket"


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """One line of the list."""

    title: str
    """The runbook's line, to the letter."""
    checks: tuple[str, ...]
    """Ids of the catalogue of health."""
    more: Callable[[Facts], Iterable[Finding]] = lambda _: ()
    """What no check looks at."""


def _pages(facts: Facts) -> Iterator[Finding]:
    """Alerts of severity page that have not ended; a silence quiets one and resolves nothing."""
    try:
        alerting, pages = (
            facts.alerting.value,
            [each for each in firing_problems(facts) if each.severity == Severity.PAGE],
        )
    except NotKnown as blind:
        missing = blind.missing
        yield unknown("", f"unresolved pages: {missing.reason}", next_step=missing.next_step)
        return
    silences = {silence.id: silence for silence in alerting.silences}
    for alert in pages:
        by = [silences[name] for name in alert.silenced_by if name in silences]
        words = "silenced, not resolved" if alert.silenced_by else "not resolved"
        yield problem(
            named(alert),
            f"the page is {words}: {alert.summary or 'it fires'}",
            since=alert.started_at,
            evidence=tuple(f"silenced by {each.created_by}: {each.comment}" for each in by),
            next_step=f"see {alert.page}" if alert.page else "",
        )
    if deaf := _deafness(facts):
        yield unknown("", f"whether there are {'other ' * bool(pages)}pages: {deaf.reason}", next_step=deaf.next_step)
    elif not pages:
        yield ok("", f"{alerting.source} has no page of this project")


def _deafness(facts: Facts) -> Missing | None:
    """Why an Alertmanager without pages says nothing; None when Prometheus would tell it."""
    if isinstance(facts.monitoring, Missing):
        return facts.monitoring
    if not own_series(facts).clusters:
        return NOBODYS
    deaf = why_deaf(facts.monitoring.value)
    return Missing(deaf, RULES_STEP) if deaf else None


def named(alert: AlertFact) -> str:
    """An alert and whose it is."""
    place = [alert.labels.get(name, "") for name in ("namespace", "runner_group")]
    return f"{alert.name} {'/'.join(filter(None, place))}".rstrip()


CHECKLIST: tuple[ChecklistItem, ...] = (
    ChecklistItem(
        "All ActionsGateway conditions Ready=True across active tenant namespaces.",
        ("gateway.ready",),
    ),
    ChecklistItem("No sustained RateLimited conditions.", ("gateway.rate-limit",)),
    ChecklistItem("active_sessions > 0 for all active RunnerGroups.", ("session.open",)),
    ChecklistItem("token_refresh_errors_total rate is zero (or below 1/hour).", ("credential.refresh",)),
    ChecklistItem("renewjob_errors_total rate is zero.", ("job.renewal",)),
    ChecklistItem(
        "No pods in CrashLoopBackOff or OOMKilled state.",
        ("manager.stable", "agent.stable", "proxy.stable", "worker.stable"),
    ),
    ChecklistItem(
        "No open incidents or unresolved pages.",
        (),
        more=_pages,
    ),
    ChecklistItem(
        "Any eviction_retries_exhausted_total increments from the shift are documented and re-runs are queued.",
        ("job.lost",),
    ),
)

CHECK_IDS = frozenset(check_id for item in CHECKLIST for check_id in item.checks)
"""Every check that an item asks for."""


def judge_items(results: Iterable[CheckResult], facts: Facts, extra: Mapping[int, "Extra"]) -> tuple[Item, ...]:
    """The items over the results of checks; `extra` is what the shift adds to an item, by its number."""
    by_id = {result.check.id: result for result in results}
    return tuple(
        _item(number, line, by_id, facts, extra.get(number, Extra())) for number, line in enumerate(CHECKLIST, start=1)
    )


@dataclass(frozen=True, slots=True)
class Extra:
    """What the shift adds to an item."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def _item(number: int, line: ChecklistItem, by_id: Mapping[str, CheckResult], facts: Facts, extra: Extra) -> Item:
    said = [
        Said(check_id, finding, by_id[check_id].severity_of(finding))
        for check_id in line.checks
        for finding in by_id[check_id].findings
    ]
    # One reason is told once, such as a Prometheus that nobody finds.
    known = {(each.finding.outcome, each.finding.subject, each.finding.summary) for each in said}
    said += [
        Said("", finding, finding.severity or Severity.PAGE)
        for finding in (*_more(line, facts), *extra.findings)
        if (finding.outcome, finding.subject, finding.summary) not in known
    ]
    return Item(number, line.title, tuple(said), extra.notes)


def _more(line: ChecklistItem, facts: Facts) -> tuple[Finding, ...]:
    try:
        return tuple(line.more(facts))
    except NotKnown as blind:
        return (unknown("", blind.missing.reason, next_step=blind.missing.next_step),)


def headline(item: Item) -> str:
    """How much was looked at, in a few words."""
    counts = {outcome: sum(each.finding.outcome is outcome for each in item.said) for outcome in Outcome}
    words = {
        Outcome.PROBLEM: counted(counts[Outcome.PROBLEM], "problem"),
        Outcome.UNKNOWN: f"{counts[Outcome.UNKNOWN]} unknown",
        Outcome.OK: f"{counts[Outcome.OK]} fine",
        Outcome.SKIPPED: f"{counts[Outcome.SKIPPED]} not judged",
    }
    return ", ".join(text for outcome, text in words.items() if counts[outcome])
