"""Runs the steps of a page: what has to hold before, the step, what has to hold after; the first failure ends it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.runbook.model import Block, Changes
from gw.ops.runbook.plan import Condition, PlannedStep, RunOrder, RunPlan, decide_run
from gw.ops.runbook.shell import Shell


class State(StrEnum):
    """What became of a step."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Whether a condition holds could not be found out."""
    REFUSED = "refused"
    """It was not begun: a condition does not hold, or somebody said no."""
    WAITING = "waiting"
    """For a person."""
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step and what became of it."""

    planned: PlannedStep
    state: State
    what: str = ""
    """Of one that did not end well: a sentence without a full stop."""
    evidence: str = ""
    """The output of the command that says so."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run, as far as it came."""

    plan: RunPlan
    steps: tuple[StepResult, ...]
    is_dry_run: bool = False

    @property
    def stopped(self) -> StepResult | None:
        """The step that ended the run; None when all are done."""
        return next((each for each in self.steps if each.state not in (State.DONE, State.PENDING)), None)

    @property
    def exit_code(self) -> ExitCode:
        stopped = self.stopped
        return ExitCode.OK if stopped is None else _CODES[stopped.state]


_CODES = {
    State.FAILED: ExitCode.PROBLEM,
    State.UNKNOWN: ExitCode.UNKNOWN,
    State.REFUSED: ExitCode.REFUSED,
    State.WAITING: ExitCode.REFUSED,
}


class RunConversation(Protocol):
    """Progress and questions."""

    def show_plan(self, plan: RunPlan) -> None:
        """Every step with what it runs, needs and checks."""

    def confirm(self, question: str) -> bool:
        """Whether to go on; raises Refused when there is nobody to ask."""

    def begins(self, planned: PlannedStep) -> None:
        """A step is next."""

    def holds(self, condition: Condition) -> None:
        """A condition was looked at and holds."""

    def ask_person(self, planned: PlannedStep) -> bool | None:
        """Whether the person has done it; None when there is nobody to ask."""

    def interrupted(self, planned: PlannedStep) -> None:
        """The run ends here since somebody ended it."""


def run_page(order: RunOrder, shell: Shell, conversation: RunConversation) -> RunResult:
    """What came of it; raises Refused before the first step when the page cannot be run so."""
    plan = decide_run(order, shell.has)
    conversation.show_plan(plan)
    pending = tuple(StepResult(planned, State.PENDING) for planned in plan.steps)
    if order.dry_run:
        return RunResult(plan, pending, is_dry_run=True)
    if (
        plan.asks
        and not order.yes
        and not _all_done(plan, order)
        and not conversation.confirm("Go through these steps?")
    ):
        raise Refused("the plan was not confirmed, and nothing was run", "Run it again once the plan is right.")
    runner = _Runner(order, shell, conversation)
    results: list[StepResult] = []
    for planned in plan.steps:
        results.append(runner.take(planned))
        if results[-1].state is not State.DONE:
            break
    return RunResult(plan, (*results, *pending[len(results) :]))


def _all_done(plan: RunPlan, order: RunOrder) -> bool:
    """Whether nothing is left to ask: what changes is a person's, and done."""
    return all(each.number in order.done for each in plan.steps if each.changes is not Changes.NO)


class _Runner:
    """Takes one step after the other; a condition that holds is not looked at again until something was changed."""

    def __init__(self, order: RunOrder, shell: Shell, conversation: RunConversation) -> None:
        self._order = order
        self._shell = shell
        self._conversation = conversation
        self._known: set[str] = set()

    def take(self, planned: PlannedStep) -> StepResult:
        self._conversation.begins(planned)
        try:
            return (
                self._look(planned, planned.before, State.REFUSED, "does not hold, so it was not begun")
                or self._do(planned)
                or self._look(planned, planned.after, State.FAILED, "does not hold after it")
                or StepResult(planned, State.DONE)
            )
        except KeyboardInterrupt:
            self._conversation.interrupted(planned)
            raise

    def _look(
        self, planned: PlannedStep, conditions: tuple[Condition, ...], state: State, words: str
    ) -> StepResult | None:
        """The end of the step when a condition does not hold; None when all do."""
        for condition in conditions:
            if condition.command in self._known:
                continue
            probe = self._shell.probe(condition.command)
            if probe.code:
                is_blind = probe.code == ExitCode.UNKNOWN
                what = f"{condition.name} {'could not be looked at' if is_blind else words}: {condition.command}"
                return StepResult(planned, State.UNKNOWN if is_blind else state, what, probe.output)
            self._known.add(condition.command)
            self._conversation.holds(condition)
        return None

    def _do(self, planned: PlannedStep) -> StepResult | None:
        if planned.changes is not Changes.NO:
            self._known.clear()
        step = planned.step
        return self._run(planned, step) if isinstance(step, Block) else self._ask(planned)

    def _run(self, planned: PlannedStep, step: Block) -> StepResult | None:
        if step.changes is Changes.YES and not self._order.yes and not self._conversation.confirm("Run this step?"):
            return StepResult(planned, State.REFUSED, "it was not confirmed")
        code = self._shell.run(planned.text, answers=self._answers(planned, step))
        if code in step.exits:
            return None
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        return StepResult(planned, State.FAILED, f"it ended with exit code {code}")

    def _answers(self, planned: PlannedStep, step: Block) -> tuple[str, ...]:
        if step.changes is not Changes.ASKED or not self._order.yes:
            return ()
        return ("--yes", "--confirm", planned.destroys) if planned.destroys else ("--yes",)

    def _ask(self, planned: PlannedStep) -> StepResult | None:
        if planned.number in self._order.done:
            return None
        answer = self._conversation.ask_person(planned)
        if answer is None:
            return StepResult(planned, State.WAITING, "it is a person's, and there is no terminal to ask on")
        return None if answer else StepResult(planned, State.WAITING, "it is a person's, and is not done")
