"""Goes through a procedure step by step: says what a step will do, does it or has a person do it, keeps the result.

A step is settled once and never done again; whatever interrupts one, the next run begins with it anew. So every step
has to come to the same end when it is done twice.
"""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gw.errors import GwError, Refused
from gw.ops.changes.conversation import Conversation
from gw.ops.incidents.journal import Journal
from gw.sources.incidents import Incident, StepRecord, StepState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step."""

    words: str
    """One sentence without a full stop."""
    evidence: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    """What later steps need; never secret."""


class Truth(StrEnum):
    """Whether what a person was asked for is so."""

    PROVEN = "proven"
    DISPROVEN = "disproven"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look said."""

    truth: Truth
    words: str


async def _nobody_can_tell() -> Proof:
    return Proof(Truth.UNPROVEN, "nothing here can see it")


@dataclass(frozen=True, slots=True)
class Task:
    """What a person has to do, where gw cannot."""

    instructions: tuple[str, ...]
    proof: Callable[[], Awaitable[Proof]] = _nobody_can_tell
    option: str = ""
    """The option that the step waits for; no plain "done" settles it then."""
    facts: dict[str, str] = field(default_factory=dict)
    """What later steps need once it is done; never secret."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it does is done by itself, or handed to a person as a Task."""

    id: str
    title: str
    will: str
    """What it will do, as a sentence without a full stop."""
    act: Callable[[], Awaitable[Outcome | Task]]


class IncidentConversation(Conversation, Protocol):
    """How a procedure speaks with whoever carries it out."""

    def outline(self, incident: Incident, steps: Sequence[Step], *, is_new: bool) -> None:
        """The whole procedure, before anybody says yes."""

    def begins(self, number: int, count: int, step: Step) -> None:
        """A step is next."""

    def settled(self, step: StepRecord, evidence: Sequence[str]) -> None:
        """What came of it, and what was seen or could not be seen of it."""

    def instruct(self, lines: Sequence[str]) -> None:
        """What a person has to do now."""

    async def is_done(self, step_id: str, question: str) -> bool | None:
        """Whether the person has done it; None when there is nobody to ask."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Steps that the caller speaks for."""

    done: Collection[str] = ()
    skipped: Collection[str] = ()

    def refuse_unknown(self, incident: Incident) -> None:
        """Raises Refused for a step that the incident does not have."""
        known = [step.id for step in incident.steps]
        for step_id in (*self.done, *self.skipped):
            if step_id not in known:
                raise Refused(f"{incident.name} has no step {step_id!r}", f"Its steps are: {', '.join(known)}.")


async def carry_on(
    journal: Journal, steps: Sequence[Step], conversation: IncidentConversation, marks: Marks
) -> Incident:
    """The closed incident; raises GwError from the step that did not end well, which the record keeps."""
    marks.refuse_unknown(journal.incident)
    for number, step in enumerate(steps, start=1):
        if journal.incident.step(step.id).state.is_settled:
            continue
        if step.id in marks.skipped:
            await journal.begin(step.id)
            await journal.settle(step.id, StepState.SKIPPED, f"left out by {journal.actor}")
            conversation.settled(journal.incident.step(step.id), ())
            continue
        conversation.begins(number, len(steps), step)
        await journal.begin(step.id)
        try:
            outcome = await _perform(journal, step, conversation, is_marked=step.id in marks.done)
        except GwError as problem:
            await _keep_failure(journal, step, problem)
            raise
        conversation.settled(journal.incident.step(step.id), outcome.evidence)
    if journal.incident.is_open:
        await journal.close("closed: every step is settled")
    return journal.incident


async def _perform(journal: Journal, step: Step, conversation: IncidentConversation, *, is_marked: bool) -> Outcome:
    result = await step.act()
    if isinstance(result, Task):
        result = await _by_person(journal, step, result, conversation, is_marked=is_marked)
    await journal.settle(step.id, StepState.DONE, result.words, result.evidence, result.facts)
    return result


async def _by_person(
    journal: Journal, step: Step, task: Task, conversation: IncidentConversation, *, is_marked: bool
) -> Outcome:
    await journal.settle(step.id, StepState.WAITING, "a person has to do it", task.instructions)
    conversation.instruct(task.instructions)
    command = f"{journal.incident.resume_command} {task.option or f'--done {step.id}'}"
    if task.option:
        raise Refused(f"the step {step.id} waits for a person", f"Do the above, then: `{command}`.")
    if not is_marked:
        answer = await conversation.is_done(step.id, f"Is this done ({step.id})?")
        if not answer:
            what = "waits for a person" if answer is None else "is not done yet"
            raise Refused(f"the step {step.id} {what}", f"Do the above, then: `{command}`.")
    proof = await task.proof()
    match proof.truth:
        case Truth.DISPROVEN:
            raise Refused(f"the step {step.id} is not done: {proof.words}", f"Do the above, then: `{command}`.")
        case Truth.UNPROVEN:
            return Outcome(f"confirmed by {journal.actor}, not verified: {proof.words}", facts=task.facts)
        case Truth.PROVEN:
            return Outcome(f"done by {journal.actor}: {proof.words}", facts=task.facts)


async def _keep_failure(journal: Journal, step: Step, problem: GwError) -> None:
    """Notes what went wrong, as far as the cluster still takes a note, and says how to go on."""
    if journal.incident.step(step.id).state is not StepState.WAITING:
        with contextlib.suppress(GwError):
            await journal.settle(step.id, StepState.FAILED, problem.what, problem.details)
        problem.next_step = f"{problem.next_step} Then go on: `{journal.incident.resume_command}`."
    problem.details = (*problem.details, f"The incident {journal.incident.name} stays open, at the step {step.id}.")
