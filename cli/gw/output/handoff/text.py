"""The hand-over as Markdown for people, and its signature below it."""

from collections.abc import Iterator, Sequence

from gw.checks.model import CheckResult, Finding, Outcome
from gw.checks.wording import counted, lasting
from gw.ops.handoff.checklist import headline
from gw.ops.handoff.model import Difference, Gap, Handoff, Item, Said, Section, Signature, State
from gw.output.layout import stamp
from gw.output.markdown import bullet, plain, step, table
from gw.sources.records import RecordedProblem

SIGNATURE = "## Signature"
"""The checksum is that of everything above this line."""

_SHOWN = 20
"""Findings and entries that are told in full; further ones are counted or named."""


def markdown(handoff: Handoff) -> str:
    """All but the signature; the same text whoever signs it."""
    return "\n".join(_lines(handoff)) + "\n"


def signature_text(signature: Signature | None) -> str:
    """The last lines."""
    if signature is None:
        return f"{SIGNATURE}\n\nNone: this is a draft. `gw handoff --sign` stores it and signs.\n"
    to = f" to {plain(signature.to)}" if signature.to else ""
    lines = (
        f"Handed over by {plain(signature.by)}{to} at {stamp(signature.at)}.",
        f"Record: {signature.record}",
        f"Checksum: {signature.markdown_checksum}",
    )
    return "\n".join([SIGNATURE, "", *(f"- {line}" for line in lines)]) + "\n"


def _lines(handoff: Handoff) -> Iterator[str]:
    yield f"# Hand-over of {handoff.since:%Y-%m-%d %H:%M} to {handoff.at:%Y-%m-%d %H:%M} UTC"
    yield ""
    yield bullet(f"Cluster: {plain(handoff.cluster)}")
    yield bullet(f"About: {f'tenant {plain(handoff.namespace)}' if handoff.namespace else 'all tenants'}")
    if handoff.to:
        yield bullet(f"To: {plain(handoff.to)}")
    if handoff.note:
        yield bullet(f"Note: {plain(handoff.note)}")
    counts = {state: sum(item.state is state for item in handoff.items) for state in State}
    words = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    yield bullet(f"Checklist: {words}")
    yield ""
    yield "## Checklist"
    yield ""
    for item in handoff.items:
        yield from _item(item, handoff)
    yield ""
    yield "## Lost jobs"
    yield ""
    yield from _lost_jobs(handoff)
    yield ""
    yield "## What changed"
    for section in handoff.sections:
        yield from _section(section)
    yield ""
    yield "## Beside the checklist"
    yield ""
    yield from _others(handoff)
    yield ""
    yield "## Since the last hand-over"
    yield ""
    yield from _difference(handoff.difference, handoff.items)
    yield ""


def _item(item: Item, handoff: Handoff) -> Iterator[str]:
    mark = "x" if item.state is State.DONE else " "
    yield f"- [{mark}] {item.number}. {item.title} **{item.state}** ({headline(item) or 'nothing here to look at'})"
    bad = [each for each in item.said if each.finding.outcome is Outcome.PROBLEM]
    for each in bad[:_SHOWN]:
        yield from _problem(each, handoff)
    if len(bad) > _SHOWN:
        yield bullet(
            f"and {len(bad) - _SHOWN} more: {plain(', '.join(each.finding.subject for each in bad[_SHOWN:]))}", 1
        )
    for outcome in (Outcome.UNKNOWN, Outcome.SKIPPED):
        yield from _by_reason([each for each in item.said if each.finding.outcome is outcome], outcome)
    for note in item.notes:
        yield bullet(plain(note), 1)


def _problem(said: Said, handoff: Handoff) -> Iterator[str]:
    finding = said.finding
    since = f" (for {lasting((handoff.at - finding.since).total_seconds())})" if finding.since else ""
    yield bullet(f"{said.severity}: {_of(finding)}{since}", 1)
    for line in finding.evidence:
        yield bullet(plain(line), 2)
    if finding.next_step:
        yield bullet(f"next: {step(finding.next_step)}", 2)
    if said.check:
        yield bullet(f"page: runbooks/checks/{said.check}.md", 2)


def _by_reason(said: Sequence[Said], outcome: Outcome) -> Iterator[str]:
    """One line for all subjects of which the same is said; a check that was left out as a whole is named."""
    word = "unknown" if outcome is Outcome.UNKNOWN else "not judged"
    for summary in dict.fromkeys(each.finding.summary for each in said):
        told = [each for each in said if each.finding.summary == summary]
        names = [each.finding.subject or (each.check if outcome is Outcome.SKIPPED else "") for each in told]
        subjects = ", ".join(filter(None, names))
        yield bullet(f"{word}: {plain(f'{subjects}: {summary}' if subjects else summary)}", 1)
        if next_step := next((each.finding.next_step for each in told if each.finding.next_step), ""):
            yield bullet(f"next: {step(next_step)}", 2)


def _of(finding: Finding) -> str:
    return plain(f"{finding.subject}: {finding.summary}" if finding.subject else finding.summary)


def _lost_jobs(handoff: Handoff) -> Iterator[str]:
    unknown = [each for item in handoff.items for each in item.said if each.check == "job.lost"]
    if not handoff.lost_jobs:
        is_blind = any(each.finding.outcome is Outcome.UNKNOWN for each in unknown)
        yield bullet("Unknown: see item 8." if is_blind else "None.")
        return
    yield from table(
        ("Tenant", "Run", "Job", "Group", "Lost (UTC)", "Cause", "Rerun", "Budget used", "Next"),
        (
            (
                job.namespace,
                job.run,
                job.name,
                job.group,
                f"{job.lost_at:%Y-%m-%d %H:%M}" if job.lost_at else "-",
                job.cause,
                job.state,
                str(job.retries),
                f"gw job rerun {job.run_id} -n {job.namespace}" if job.needs_person else "-",
            )
            for job in handoff.lost_jobs
        ),
    )


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield f"### {section.title}"
    yield ""
    for entry in section.entries:
        at = f"{entry.at:%Y-%m-%d %H:%M} UTC " if entry.at else ""
        by = f" (by {plain(entry.by)})" if entry.by else ""
        yield bullet(f"{at}{plain(entry.subject)}: {plain(entry.what)}{by}")
    if not section.entries and not any(gap.is_looked_for for gap in section.gaps):
        yield bullet("None found." if section.gaps else "None.")
    yield from _gaps(section.gaps)


def _gaps(gaps: Sequence[Gap]) -> Iterator[str]:
    for gap in gaps:
        yield bullet(f"unknown: {plain(gap.reason)}" + (f"; next: {step(gap.next_step)}" if gap.next_step else ""))


def _others(handoff: Handoff) -> Iterator[str]:
    is_quiet = True
    for result in handoff.others:
        for finding in result.problems[:_SHOWN]:
            is_quiet = False
            yield bullet(f"{result.severity_of(finding)}: {result.check.id}: {_of(finding)}")
        if len(result.problems) > _SHOWN:
            yield bullet(f"and {len(result.problems) - _SHOWN} more: gw health --check {result.check.id}", 1)
    blind = [result for result in handoff.others if _first_unknown(result)]
    for reason in dict.fromkeys(_first_unknown(result) for result in blind):
        is_quiet = False
        ids = ", ".join(result.check.id for result in blind if _first_unknown(result) == reason)
        yield bullet(f"unknown: {ids}: {plain(reason)}")
    if is_quiet:
        yield bullet("The other checks of `gw health` found nothing.")


def _first_unknown(result: CheckResult) -> str:
    return next((_words(each) for each in result.findings if each.outcome is Outcome.UNKNOWN), "")


def _words(finding: Finding) -> str:
    return f"{finding.subject}: {finding.summary}" if finding.subject else finding.summary


def _difference(difference: Difference, items: Sequence[Item]) -> Iterator[str]:
    last = difference.last
    if last is None and not difference.gaps:
        yield bullet("There is no earlier hand-over of this.")
    if last is not None:
        to = f" to {plain(last.to)}" if last.to else ""
        yield bullet(f"The last: {plain(last.by)}{to} at {stamp(last.at)}, record {plain(last.name)}")
        if last.note:
            yield bullet(f"Its note: {plain(last.note)}")
        pairs = zip(items, last.states, strict=False)
        moved = [f"{item.number} was {plain(then)} and is {item.state}" for item, then in pairs if then != item.state]
        yield bullet(f"Items: {', '.join(moved) or 'all as they were'}")
        for word, problems in (
            ("New", difference.new),
            ("Unchanged", difference.unchanged),
            ("Gone", difference.gone),
            ("Not to be told now", difference.unseen),
        ):
            yield bullet(f"{word}: {counted(len(problems), 'problem')}")
            for each in problems[:_SHOWN]:
                yield bullet(_recorded(each), 1)
            if len(problems) > _SHOWN:
                yield bullet(f"and {len(problems) - _SHOWN} more", 1)
    for note in difference.notes:
        yield bullet(plain(note))
    yield from _gaps(difference.gaps)


def _recorded(problem: RecordedProblem) -> str:
    return plain(f"{problem.severity}: {problem.check}" + (f": {problem.subject}" if problem.subject else ""))
