"""Decides which steps of a page are run, with what in place of the places."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gw.errors import Refused
from gw.ops.runbook.library import find_section
from gw.ops.runbook.model import Block, Changes, Deed, Page, Section, Step
from gw.ops.runbook.places import fill, places_in


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What was asked for."""

    page: Page
    values: Mapping[str, str] = field(default_factory=dict)
    section: str | None = None
    from_step: int = 1
    done: frozenset[int] = frozenset()
    """A person's steps that are done already."""
    yes: bool = False
    dry_run: bool = False
    confirm: str | None = None
    """The name that a step which destroys something wants typed, given beforehand."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to hold, and the command that exits with 0 while it does."""

    name: str
    command: str


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step, filled in."""

    step: Step
    text: str
    """The script of a block, or what a person has to do."""
    before: tuple[Condition, ...]
    after: tuple[Condition, ...]
    destroys: str = ""
    """The name that is typed before it is run; empty where it destroys nothing."""
    lacks: tuple[str, ...] = ()
    """The places that only an earlier step of a person tells, and that were not said yet."""

    @property
    def number(self) -> int:
        return self.step.number

    @property
    def is_deed(self) -> bool:
        return isinstance(self.step, Deed)

    @property
    def changes(self) -> Changes:
        """Of a person's deed nobody knows, so it counts as a change."""
        return self.step.changes if isinstance(self.step, Block) else Changes.YES


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The steps in their order."""

    page: Page
    steps: tuple[PlannedStep, ...]
    left_out: tuple[Step, ...]
    """Steps that are done only when their section is named."""

    @property
    def asks(self) -> bool:
        """Whether it changes anything, or needs a person."""
        return any(planned.changes is not Changes.NO for planned in self.steps)


def decide_run(order: RunOrder, has_program: Callable[[str], object]) -> RunPlan:
    """The plan; raises Refused for what cannot be run, before anything is."""
    page = order.page
    if not page.steps:
        raise Refused(f"{page.name} has no steps to run", f"Read it with `gw runbook show {page.name}`.")
    chosen = _chosen(order)
    _refuse_unfilled(order, chosen)
    if missing := sorted({need for step in chosen for need in step.needs if need.is_program and not has_program(need)}):
        raise Refused(f"{page.name} needs {', '.join(missing)}, which this machine lacks", "Install it first.")
    planned = tuple(_planned(order, step) for step in chosen)
    unconfirmed = [each.destroys for each in planned if each.destroys and each.destroys != order.confirm]
    if unconfirmed and order.yes:
        raise Refused(
            "this destroys something and was not confirmed by name, and nothing was run",
            f"Add --yes --confirm {unconfirmed[0]} once the plan is right.",
        )
    left_out = tuple(step for step in page.steps if step.is_aside and step not in chosen)
    return RunPlan(page, planned, left_out)


def _chosen(order: RunOrder) -> tuple[Step, ...]:
    page = order.page
    if order.section is None:
        steps = tuple(step for step in page.steps if not step.is_aside)
    else:
        steps = steps_below(page, find_section(page, order.section))
    if not steps:
        sections = list(dict.fromkeys(step.section for step in page.steps))
        raise Refused("there is no step to run there", f"Name a section that has some: {', '.join(sections)}.")
    numbers = [step.number for step in steps]
    for option, number in [("--from", order.from_step)] if order.from_step != 1 else []:
        if number not in numbers:
            raise Refused(f"{option} {number} is none of the steps", f"Steps: {', '.join(map(str, numbers))}.")
    if wrong := sorted(order.done - {step.number for step in steps if isinstance(step, Deed)}):
        raise Refused(f"--done {wrong[0]} is no step of a person", "Leave it out; gw sees by itself what it ran.")
    return tuple(step for step in steps if step.number >= order.from_step)


def steps_below(page: Page, section: Section) -> tuple[Step, ...]:
    """Every step right below the heading; of the sections within it the way alone, since asides are other ways."""
    below = [each for each in page.sections if each.line > section.line]
    last = max(step.line for step in page.steps) + 1
    end = min((each.line for each in below if each.level <= section.level), default=last)
    own_end = min((each.line for each in below), default=last)
    return tuple(step for step in page.steps if section.line < step.line < (own_end if step.is_aside else end))


def _refuse_unfilled(order: RunOrder, steps: tuple[Step, ...]) -> None:
    declared = order.page.places
    for place in order.values:
        if place not in declared:
            near = difflib.get_close_matches(place, declared, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise Refused(
                f"{order.page.name} has no place {place}", f"{hint}Its places: {', '.join(declared) or 'none'}."
            )
    needed = {place for step, given in _with_given(order, steps) for place in _places_of(order.page, step) - given}
    if missing := [place for place in declared if place in needed and place not in order.values]:
        options = " ".join(f"--set {place}=…" for place in missing)
        raise Refused(f"nothing was said in place of {_explained(order.page, missing)}", f"Add {options}.")


def _with_given(order: RunOrder, steps: tuple[Step, ...]) -> Iterator[tuple[Step, frozenset[str]]]:
    """Each step with the places that are told by a person's step which comes before it and is not done."""
    given = frozenset[str]()
    for step in steps:
        yield step, given
        if isinstance(step, Deed) and step.number not in order.done:
            given |= set(step.gives)


def _explained(page: Page, places: Sequence[str]) -> str:
    words = "; ".join(f"{place} is {page.places[place]}" for place in places)
    return f"{', '.join(places)} ({words})"


def _places_of(page: Page, step: Step) -> set[str]:
    texts = [page.conditions[name] for name in (*step.before, *step.after)]
    if isinstance(step, Block):
        texts += [step.script, step.confirm]
    return {place for text in texts for place in places_in(text)}


def _planned(order: RunOrder, step: Step) -> PlannedStep:
    def conditions(names: tuple[str, ...]) -> tuple[Condition, ...]:
        return tuple(Condition(name, fill(order.page.conditions[name], order.values)) for name in names)

    return PlannedStep(
        step=step,
        text=fill(step.script, order.values) if isinstance(step, Block) else getattr(step, "text", ""),
        before=conditions(step.before),
        after=conditions(step.after),
        destroys=order.values.get(step.confirm, "") if isinstance(step, Block) else "",
        lacks=tuple(sorted(_places_of(order.page, step) - set(order.values))),
    )
