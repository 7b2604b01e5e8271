"""What a shift's series add to the checklist: errors of tokens and lock renewals, pages, exhausted budgets of reruns.

An item is about now, so that a shift whose trouble is over can be handed over: the shift's worst hour is a note. Checks
bear errors that are over, and a few of renewals; the checklist bears none of the last hour, so they count here.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from actions_gateway.api.ledger import Cause, RerunState
from actions_gateway.api.names import RERUN_LEDGER
from actions_gateway.metrics.catalog import Component
from gw.checks.catalog.observability import firing_problems
from gw.checks.model import Finding, problem, unknown
from gw.checks.wording import counted
from gw.ops.handoff.checklist import LEDGERS_KEEP, Extra, named
from gw.ops.handoff.coverage import holes_of
from gw.ops.handoff.incidents import open_incidents
from gw.sources.facts import Facts, Known, Missing, NotKnown
from gw.sources.lostjobs import LostJobFact
from gw.sources.shift import ShiftFacts
from gw.sources.shiftseries import ErrorsFact, FiredFact
from gw_alerts.thresholds import SCRAPE_DUE_SECONDS, Severity

TOKENS, RENEWALS, PAGES, EXHAUSTED = 4, 5, 7, 8
"""Numbers of the checklist's items."""
_HOUR = timedelta(hours=1)
_COUNTED_WITHIN = timedelta(seconds=SCRAPE_DUE_SECONDS.value)
"""From an entry of the ledger, which comes first, to the scrape that counts it."""


def extras_of(facts: Facts, shift: ShiftFacts) -> Mapping[int, Extra]:
    """By the item's number."""
    series = shift.series
    incidents = tuple(open_incidents(shift.incidents, facts.namespace))
    if isinstance(series, Missing):
        blind = Extra((unknown("", series.reason, next_step=series.next_step),))
        return {
            TOKENS: blind,
            RENEWALS: blind,
            PAGES: Extra(incidents),
            EXHAUSTED: Extra(
                tuple(_before_ledgers(facts, shift)),
                # An agent writes its ledger before it counts, so the ledger alone is believed while it keeps the shift.
                (f"the ledger is not compared with Prometheus: {series.reason}",),
            ),
        }
    told, cut = series.value, tuple(_cut_hour(facts, shift))
    return {
        TOKENS: Extra((*_failed(told.token_errors, "token refreshes", "token"), *cut), _worst_hours(told.token_errors)),
        RENEWALS: Extra((*_failed(told.renew_errors, "lock renewals", "renew"), *cut), _worst_hours(told.renew_errors)),
        PAGES: Extra((*incidents, *_untold(facts, told.fired))),
        EXHAUSTED: Extra((*_undocumented(facts, shift), *_before_ledgers(facts, shift))),
    }


def _failed(by_namespace: Mapping[str, ErrorsFact], what: str, word: str) -> Iterator[Finding]:
    """Whole errors are counted, so below one within the hour is none."""
    for namespace, errors in sorted(by_namespace.items()):
        if errors.last_hour >= 1:
            yield problem(
                namespace,
                f"{_count(errors.last_hour)} of {what} in the last hour",
                next_step=f"gw logs agent -n {namespace} --grep {word}",
                severity=Severity.INFO,
            )


def _cut_hour(facts: Facts, shift: ShiftFacts) -> Iterator[Finding]:
    """A counter tells of the hour what it has risen by since the hour's first sample."""
    begin = max(facts.now - _HOUR, shift.since)
    for hole in holes_of(facts, shift, Component.AGENT):
        if isinstance(shift.series, Known) and hole.begins_at <= begin < hole.ends_at:
            until = f"until {hole.ends_at:%Y-%m-%d %H:%M} UTC"
            yield unknown("", f"all of the last hour: {shift.series.value.source} has nothing of agents {until}")


def _worst_hours(by_namespace: Mapping[str, ErrorsFact]) -> tuple[str, ...]:
    return tuple(
        f"{namespace}: {_count(errors.peak)} in the shift's worst hour, until {errors.peak_at:%Y-%m-%d %H:%M} UTC"
        for namespace, errors in sorted(by_namespace.items())
        if errors.peak > errors.last_hour
    )


def _count(count: float) -> str:
    return counted(round(count), "error")


def _untold(facts: Facts, fired: Iterable[FiredFact]) -> Iterator[Finding]:
    """Pages that Prometheus fires and Alertmanager is not seen to have."""
    try:
        told = {named(alert) for alert in firing_problems(facts)}
    except NotKnown:
        told = set()
    for alert in fired:
        if alert.is_firing and alert.severity == Severity.PAGE and alert.title not in told:
            yield problem(
                alert.title,
                "the page is not resolved: Prometheus fires it",
                since=alert.first_at if alert.times == 1 else None,
                next_step="gw health --check monitoring.alertmanager --fail-on ticket",
            )


def _before_ledgers(facts: Facts, shift: ShiftFacts) -> Iterator[Finding]:
    """What the ledger has forgotten, Prometheus alone tells of, if it was there."""
    kept_since = facts.now - LEDGERS_KEEP
    is_blind = isinstance(shift.series, Missing) or any(
        hole.begins_at < kept_since for hole in holes_of(facts, shift, Component.AGENT)
    )
    if is_blind and shift.since < kept_since:
        yield unknown("", f"which jobs were lost before {kept_since:%Y-%m-%d %H:%M} UTC: ledgers keep a job for a day")


def _undocumented(facts: Facts, shift: ShiftFacts) -> Iterator[Finding]:
    """Increments that no entry of a ledger tells of: nobody could rerun those jobs from this document."""
    if not isinstance(shift.series, Known) or isinstance(facts.lost_jobs, Missing):
        return
    entries = [job for job in facts.lost_jobs.value if _is_increment(job, shift.since - _COUNTED_WITHIN)]
    for (namespace, group), count in sorted(shift.series.value.exhausted.items()):
        told = sum((job.namespace, job.group) == (namespace, group) for job in entries)
        if round(count) > told:
            yield unknown(
                f"{namespace}/{group}",
                f"eviction_retries_exhausted_total has risen by {round(count)} in the shift, and the ledger tells of "
                f"{counted(told, 'such job')}",
                next_step=f"kubectl get cm -n {namespace} {RERUN_LEDGER} -o yaml",
            )


def _is_increment(job: LostJobFact, since: datetime) -> bool:
    """Whether the metric counted it: its run had no rerun left, whatever a person has asked for since."""
    is_exhausted = job.state == RerunState.EXHAUSTED or (bool(job.request) and job.cause != Cause.LOCK_LOST)
    return is_exhausted and job.lost_at is not None and job.lost_at >= since
