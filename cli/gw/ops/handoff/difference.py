"""What is different from the last hand-over: problems that are new, that stayed, that are gone."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from gw.checks.model import CheckResult, Outcome
from gw.checks.wording import lasting
from gw.ops.handoff.model import Difference, Gap
from gw.sources.facts import Fact, Missing
from gw.sources.records import HandoverRecord, RecordedProblem, RecordsFact


def problems_of(results: Iterable[CheckResult]) -> tuple[RecordedProblem, ...]:
    """Each problem once by check and subject, with its worst severity."""
    worst: dict[tuple[str, str], RecordedProblem] = {}
    for result in results:
        for finding in sorted(result.problems, key=lambda each: result.severity_of(each).rank):
            key = result.check.id, finding.subject
            worst.setdefault(key, RecordedProblem(*key, result.severity_of(finding).value))
    return tuple(sorted(worst.values()))


def unknown_of(results: Iterable[CheckResult]) -> tuple[RecordedProblem, ...]:
    """What could not be judged; a subject that is empty stands for all that the check looks at."""
    return tuple(
        sorted(
            {
                RecordedProblem(result.check.id, finding.subject, "")
                for result in results
                for finding in result.findings
                if finding.outcome is Outcome.UNKNOWN
            }
        )
    )


def compare(
    records: Fact[RecordsFact], results: Sequence[CheckResult], *, namespace: str | None, since: datetime, now: datetime
) -> Difference:
    """Beside the last hand-over about the same tenants."""
    if isinstance(records, Missing):
        return Difference(gaps=(Gap(records.reason, records.next_step),))
    unreadable = tuple(f"the record {words}; it is left alone" for words in records.value.unreadable)
    last = records.value.latest(namespace)
    if last is None:
        gaps = (Gap("whether there was a hand-over before is unknown: no record can be read"),) if unreadable else ()
        return Difference(gaps=gaps, notes=unreadable)
    now_bad = {(each.check, each.subject): each for each in problems_of(results)}
    then_bad = {(each.check, each.subject): each for each in last.problems}
    missing = [each for key, each in then_bad.items() if key not in now_bad]
    unseen = tuple(each for each in missing if _is_unseen(each, results))
    return Difference(
        last=last,
        new=tuple(each for key, each in now_bad.items() if key not in then_bad),
        unchanged=tuple(each for key, each in now_bad.items() if key in then_bad),
        gone=tuple(each for each in missing if each not in unseen),
        unseen=unseen,
        notes=(*_notes(last, since, now), *unreadable),
    )


def _is_unseen(problem: RecordedProblem, results: Iterable[CheckResult]) -> bool:
    """Whether nothing can be said of it now: the check is blind, or there is no such check any more."""
    for result in results:
        if result.check.id == problem.check:
            blind = {each.subject for each in result.findings if each.outcome is Outcome.UNKNOWN}
            return bool(blind & {"", problem.subject})
    return True


def _notes(last: HandoverRecord, since: datetime, now: datetime) -> Iterable[str]:
    if last.at > now:
        yield f"it is dated {lasting((last.at - now).total_seconds())} ahead of this machine's clock"
    elif last.at < since:
        yield (
            f"{lasting((since - last.at).total_seconds())} lie between it and the beginning of this shift, and are in "
            f"no hand-over; --since {last.at:%Y-%m-%dT%H:%M:%SZ} looks at them, too"
        )
    if last.is_cut:
        yield "it had more problems than a record keeps, so some that seem new may be old"
    if last.unknown:
        yield f"it could not judge {len(last.unknown)} of what it looked at, so what is new may be older"
