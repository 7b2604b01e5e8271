"""Incidents: the conversation of a procedure, the list, and one incident as Markdown."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from gw.checks.wording import counted, lasting
from gw.ops.incidents.engine import Step
from gw.output.changes import PrintedChanges
from gw.output.layout import Cell, age, columns, one_line, stamp, styled
from gw.output.markdown import bullet, plain, table
from gw.output.view import View
from gw.sources.gateways import parse_time
from gw.sources.incidents import Incident, IncidentsFact, StepRecord, StepState

_STYLES = {
    StepState.DONE: "ok",
    StepState.SKIPPED: "dim",
    StepState.PENDING: "dim",
    StepState.RUNNING: "warn",
    StepState.WAITING: "warn",
    StepState.FAILED: "bad",
}


class PrintedIncident(PrintedChanges):
    """An `IncidentConversation` on standard error."""

    _incident: Incident | None = None
    _is_open = False

    def outline(self, incident: Incident, steps: Sequence[Step], *, is_new: bool) -> None:
        self._incident, self._is_open = incident, not is_new
        if is_new:
            head = f"Incident {incident.name}, about {incident.subject}, would be opened:"
        else:
            since = f"{incident.opened_at:%Y-%m-%d %H:%M} UTC"
            head = (
                f"Incident {incident.name}, about {incident.subject}, is open since {since}, by {incident.opened_by}:"
            )
        self._printer.note(styled(head, "head"))
        rows: list[list[Cell]] = [
            [str(number), step.id, _state(incident.step(step.id)), step.will] for number, step in enumerate(steps, 1)
        ]
        self._printer.notes(columns(rows, indent="  "))

    def begins(self, number: int, count: int, step: Step) -> None:
        self._is_open = True
        self._printer.note(styled(f"Step {number} of {count}, {step.id}: {step.title}", "head"))
        self._printer.note(f"  {step.will}.")

    def settled(self, step: StepRecord, evidence: Sequence[str]) -> None:
        self._line(step.state.value, _STYLES[step.state], f"{step.id}: {step.result}")
        self._printer.notes([f"  {line}" for line in evidence])

    def instruct(self, lines: Sequence[str]) -> None:
        self._printer.note(styled("This takes a person:", "warn"))
        self._printer.notes([f"  {line}" for line in lines])

    async def is_done(self, step_id: str, question: str) -> bool | None:
        return self._printer.confirm(question) if self._printer.can_ask else None

    def interrupted(self) -> None:
        if self._incident is not None and self._is_open:
            left = "; ".join(filter(None, (f"the incident {self._incident.name} stays open", self._left())))
            self._printer.note(f"Interrupted; {left}.")
            self._printer.note(
                Text.assemble(styled("Next:  ", "head"), f"Go on with `{self._incident.resume_command}`.")
            )


class DrilledIncident(PrintedIncident):
    """The same for a drill: nobody is asked, and `play` does the person's part."""

    _play: Callable[[str], Awaitable[None]] | None = None

    def play_with(self, play: Callable[[str], Awaitable[None]]) -> None:
        """From now on it does the person's part, step by step."""
        self._play = play

    def confirm(self, question: str) -> bool:
        self._line("drill", "dim", f"{question} yes")
        return True

    async def is_done(self, step_id: str, question: str) -> bool | None:
        assert self._play is not None
        await self._play(step_id)
        self._line("drill", "dim", f"{question} yes")
        return True

    def interrupted(self) -> None:
        self._printer.note("Interrupted; the drill's sandbox is ended.")


def incident_view(incident: Incident, *, is_dry_run: bool = False) -> View:
    """One incident: how it stands, for people in a few lines, for programs whole."""
    return View(
        kind="Incident",
        data={"dry_run": is_dry_run, **incident_data(incident)},
        lines=lambda: list(_lines(incident, is_dry_run=is_dry_run)),
        short=[incident.name],
    )


def incident_list_view(found: IncidentsFact, now: datetime) -> View:
    """All that are kept, open ones first."""

    def lines() -> list[Text]:
        rows: list[list[Cell]] = [
            [
                each.name,
                each.kind.value,
                each.subject,
                styled("open", "bad") if each.is_open else styled("closed", "dim"),
                age(each.opened_at, now),
                each.opened_by,
                f"{each.next_step.id}: {each.next_step.state}" if each.is_open and each.next_step else "-",
            ]
            for each in found.incidents
        ]
        header = ("INCIDENT", "KIND", "ABOUT", "STATE", "AGE", "OPENED BY", "NEXT STEP")
        shown = columns(rows, header=header) if rows else [Text("No incident is kept.")]
        return [*shown, *(Text.assemble(styled("Unreadable:", "warn"), f" {each}") for each in found.unreadable)]

    return View(
        kind="IncidentList",
        data={
            "incidents": [incident_data(each, is_whole=False) for each in found.incidents],
            "unreadable": list(found.unreadable),
        },
        lines=lines,
        short=[f"{each.name} {'open' if each.is_open else 'closed'}" for each in found.incidents],
    )


def incident_data(incident: Incident, *, is_whole: bool = True) -> dict[str, Any]:
    """One incident as programs read it."""
    whole = {
        "targets": [
            {
                "tenant": each.namespace,
                "gateway": each.gateway,
                "app_id": each.app_id,
                "installation_id": each.installation_id,
                "secret": each.secret,
                "key_fingerprint": each.key_fingerprint,
                "sessions": each.sessions,
            }
            for each in incident.targets
        ],
        "timeline": [
            {"at": stamp(each.at), "by": each.by, "what": each.what, "evidence": list(each.evidence)}
            for each in incident.timeline
        ],
        "timeline_cut": incident.is_cut,
        "facts": dict(incident.facts),
    }
    seconds = containment_seconds(incident)
    return {
        "name": incident.name,
        "incident": incident.kind.value,
        "subject": incident.subject,
        "open": incident.is_open,
        "opened_at": stamp(incident.opened_at),
        "opened_by": incident.opened_by,
        "closed_at": stamp(incident.closed_at),
        "closed_by": incident.closed_by or None,
        "contained_after_seconds": seconds,
        "resume": incident.resume_command if incident.is_open else None,
        "steps": [
            {
                "id": each.id,
                "title": each.title,
                "state": each.state.value,
                "result": each.result,
                "at": stamp(each.at),
                "by": each.by or None,
            }
            for each in incident.steps
        ],
        **(whole if is_whole else {}),
    }


def containment_seconds(incident: Incident) -> float | None:
    """From the opening to the moment when the containment stood; None while it does not."""
    moment = parse_time(incident.facts.get("containedAt"))
    return None if moment is None else (moment - incident.opened_at).total_seconds()


def markdown(incident: Incident) -> str:
    """The incident as people file it."""
    return "\n".join(_markdown(incident)) + "\n"


def _markdown(incident: Incident) -> Iterator[str]:
    yield f"# {plain(incident.name)}"
    yield ""
    yield bullet(f"About: {plain(incident.subject)} ({incident.kind})")
    yield bullet(f"Opened: {stamp(incident.opened_at)} by {plain(incident.opened_by)}")
    if incident.is_open:
        yield bullet(f"Open; go on with `{incident.resume_command}`")
    else:
        yield bullet(f"Closed: {stamp(incident.closed_at)} by {plain(incident.closed_by)}")
    if (seconds := containment_seconds(incident)) is not None:
        yield bullet(f"Contained after: {lasting(seconds)}")
    yield ""
    yield "## Steps"
    yield ""
    yield from table(
        ("Step", "State", "Result", "At", "By"),
        ((each.title, each.state, each.result, stamp(each.at) or "", each.by) for each in incident.steps),
    )
    if incident.targets:
        yield ""
        yield "## Gateways"
        yield ""
        yield from table(
            ("Gateway", "Installation", "Secret", "Key", "Sessions"),
            (
                (str(each), each.installation_id, each.secret, each.key_fingerprint, str(each.sessions))
                for each in incident.targets
            ),
        )
    yield ""
    yield "## Timeline"
    yield ""
    for entry in incident.timeline:
        yield bullet(f"{stamp(entry.at)} {plain(entry.by)}: {plain(entry.what)}")
        for line in entry.evidence:
            yield bullet(plain(line), 1)
    if incident.is_cut:
        yield bullet("entries in the middle were left out: a record holds so many")


def _lines(incident: Incident, *, is_dry_run: bool) -> Iterator[Text]:
    if is_dry_run:
        yield Text(f"Dry run: {incident.name} would go on about {incident.subject}; nothing was written.")
        return
    rows: list[list[Cell]] = [[_state(each), each.id, one_line(each.result)] for each in incident.steps]
    yield from columns(rows)
    if (seconds := containment_seconds(incident)) is not None:
        yield Text(f"Contained {lasting(seconds)} after it was opened.")
    settled = sum(each.state.is_settled for each in incident.steps)
    if incident.is_open:
        yield Text(f"{incident.name} is open: {settled} of {counted(len(incident.steps), 'step')} settled.")
    else:
        yield Text(f"{incident.name} is closed. Its timeline: gw incident show {incident.name}")


def _state(step: StepRecord) -> Text:
    return styled(step.state.value, _STYLES[step.state])
