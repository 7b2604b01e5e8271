"""Runs the steps of a page: what has to hold before, the step, what has to hold after; the first failure ends it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.runbook.judging import Judgement, judge
from gw.ops.runbook.model import Block, Changes
from gw.ops.runbook.plan import Condition, PlannedStep, RunOrder, RunPlan, decide_run
from gw.ops.runbook.shell import Probe, Shell


class State(StrEnum):
    """What became of a step."""

    DONE = "done"
    UNTOLD = "untold"
    """It was run to its end, and could not find out what it looked for; the run goes on."""
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
    exit_code: ExitCode | None = None
    """Of the run that it ends, where its state alone does not say it."""
    is_open: bool = False
    """Whether a command waits that has done its own part, so that only a look tells how far it came."""

    @property
    def is_passed(self) -> bool:
        """Whether the run goes on after it."""
        return self.state in (State.DONE, State.UNTOLD)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run, as far as it came."""

    plan: RunPlan
    steps: tuple[StepResult, ...]
    is_dry_run: bool = False

    @property
    def stopped(self) -> StepResult | None:
        """The step that ended the run; None when it came to its end."""
        return next((each for each in self.steps if not each.is_passed and each.state is not State.PENDING), None)

    @property
    def untold(self) -> tuple[StepResult, ...]:
        """The steps that could not find out what they looked for."""
        return tuple(each for each in self.steps if each.state is State.UNTOLD)

    @property
    def waiting(self) -> tuple[StepResult, ...]:
        """The steps that are done as far as can be seen, and whose command waits for a person all the same."""
        return tuple(each for each in self.steps if each.state is State.DONE and each.what)

    @property
    def exit_code(self) -> ExitCode:
        """Of the step that ended the run; what nobody could tell is not fine, whatever else was done."""
        if (stopped := self.stopped) is not None:
            return stopped.exit_code or _CODES[stopped.state]
        return ExitCode.UNKNOWN if self.untold else ExitCode.OK


_CODES = {
    State.FAILED: ExitCode.PROBLEM,
    State.UNKNOWN: ExitCode.UNKNOWN,
    State.REFUSED: ExitCode.REFUSED,
    State.WAITING: ExitCode.REFUSED,
}
_UNASKED = {Judgement.UNASKED: ExitCode.UNKNOWN, Judgement.REJECTED: ExitCode.CREDENTIALS}


class RunConversation(Protocol):
    """Progress and questions."""

    def show_plan(self, plan: RunPlan) -> None:
        """Every step with what it runs, needs and checks."""

    def confirm(self, question: str) -> bool:
        """Whether to go on; raises Refused when there is nobody to ask."""

    def confirm_by_name(self, question: str, name: str) -> bool:
        """Whether the person types that name; raises Refused when there is nobody to ask."""

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
        if not results[-1].is_passed:
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
            return self._lacking(planned) or self._look_before(planned) or self._carry_out(planned)
        except KeyboardInterrupt:
            self._conversation.interrupted(planned)
            raise

    def _carry_out(self, planned: PlannedStep) -> StepResult:
        result = self._do(planned)
        if result.is_passed:
            return self._look_after(planned) or result
        if result.is_open:
            return self._look_after_waiting(planned, result)
        return result

    def _look_after_waiting(self, planned: PlannedStep, waiting: StepResult) -> StepResult:
        """What it still waits for may come later, where all that the step is for is there already."""
        unmet = self._look_after(planned)
        if unmet is None:
            return StepResult(planned, State.DONE, f"{waiting.what}; what has to hold after it does")
        return waiting if unmet.state is State.FAILED else unmet

    def _lacking(self, planned: PlannedStep) -> StepResult | None:
        """The end of the run where it takes what only the person's step before has brought about."""
        if not planned.lacks:
            return None
        places = self._order.page.places
        words = "\n".join(f"{place} is {places[place]}" for place in planned.lacks)
        return StepResult(planned, State.WAITING, f"it takes {', '.join(planned.lacks)}, which was not said yet", words)

    def _look_before(self, planned: PlannedStep) -> StepResult | None:
        return self._look(planned, planned.before, State.REFUSED, ", so it was not begun")

    def _look_after(self, planned: PlannedStep) -> StepResult | None:
        return self._look(planned, planned.after, State.FAILED, " after it")

    def _look(
        self, planned: PlannedStep, conditions: tuple[Condition, ...], state: State, words: str
    ) -> StepResult | None:
        """The end of the step at the first condition that is not known to hold; None when all are."""
        for condition in conditions:
            if condition.command in self._known:
                continue
            probe = self._shell.probe(condition.command)
            if probe.code == ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
            judgement = judge(condition.command, probe)
            if judgement is not Judgement.HOLDS:
                return _unmet(planned, condition, judgement, state, words, probe)
            self._known.add(condition.command)
            self._conversation.holds(condition)
        return None

    def _do(self, planned: PlannedStep) -> StepResult:
        if planned.changes is not Changes.NO:
            self._known.clear()
        step = planned.step
        return self._run(planned, step) if isinstance(step, Block) else self._ask(planned)

    def _run(self, planned: PlannedStep, step: Block) -> StepResult:
        if step.changes is Changes.YES and not self._agrees(planned):
            return StepResult(planned, State.REFUSED, "it was not confirmed")
        code = self._shell.run(planned.text, answers=self._answers(planned, step), exits=step.exits)
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if code in step.waits:
            what = "it waits for a person: its own words say for what, or why it was refused"
            return StepResult(planned, State.WAITING, what, is_open=True)
        if code not in step.exits:
            return StepResult(planned, State.FAILED, f"it ended with exit code {code}")
        if code == ExitCode.UNKNOWN:
            return StepResult(planned, State.UNTOLD, "it could not find out all that it looked for")
        return StepResult(planned, State.DONE)

    def _agrees(self, planned: PlannedStep) -> bool:
        """Whether to run a block that does not ask by itself; --yes is taken, since the plan has compared the name."""
        if self._order.yes:
            return True
        if not planned.destroys:
            return self._conversation.confirm("Run this step?")
        question = f"This cannot be undone. Type {planned.destroys} to run this step:"
        return self._conversation.confirm_by_name(question, planned.destroys)

    def _answers(self, planned: PlannedStep, step: Block) -> tuple[str, ...]:
        if step.changes is not Changes.ASKED or not self._order.yes:
            return ()
        return ("--yes", "--confirm", planned.destroys) if planned.destroys else ("--yes",)

    def _ask(self, planned: PlannedStep) -> StepResult:
        if planned.number in self._order.done:
            return StepResult(planned, State.DONE)
        answer = self._conversation.ask_person(planned)
        if answer:
            return StepResult(planned, State.DONE)
        lacking = "and there is no terminal to ask on" if answer is None else "and is not done"
        return StepResult(planned, State.WAITING, f"it is a person's, {lacking}")


def _unmet(
    planned: PlannedStep, condition: Condition, judgement: Judgement, state: State, words: str, probe: Probe
) -> StepResult:
    """A step that ends at a condition: it does not hold, or what would know it could not be asked."""
    if (code := _UNASKED.get(judgement)) is not None:
        what = f"{condition.name} could not be looked at: {condition.command}"
        return StepResult(planned, State.UNKNOWN, what, probe.output, code)
    is_late = judgement is Judgement.LATE
    how = "did not come to hold in time" if is_late else "does not hold"
    what = f"{condition.name} {how}{words}: {condition.command}"
    return StepResult(planned, state, what, probe.output, ExitCode.TIMED_OUT if is_late else None)
