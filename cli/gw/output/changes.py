"""The conversation about a plan, and what came of it: the same for every command that writes."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text

from actions_gateway.kube.resources import SECRETS
from gw.checks.wording import counted
from gw.ops.changes.carrying import Carried
from gw.ops.changes.fields import FieldChange
from gw.ops.changes.plan import Action, Plan, Step
from gw.output.layout import Cell, columns, styled
from gw.output.printer import Printer
from gw.output.progress import PrintedProgress
from gw.output.view import View

_STYLES = {Action.CREATE: "ok", Action.CHANGE: "warn", Action.DELETE: "bad", Action.UNCHANGED: "dim"}
_DONE = {Action.CREATE: "created", Action.CHANGE: "changed", Action.DELETE: "deleted"}
_WIDTH = max(len(action) for action in Action)
_SHOWN_FIELDS = 8


class PrintedChanges(PrintedProgress):
    """A `Conversation` on standard error."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(printer)
        self._written: list[str] = []
        self._open: Step | None = None

    def checked(self, what: str) -> None:
        self._line("proven", "ok", what)

    def show_plan(self, plan: Plan) -> None:
        if not plan.to_write:
            self._printer.note(f"Everything for {plan.subject} is there as asked; there is nothing to write.")
            return
        self._printer.note(styled(f"Plan for {plan.subject}:", "head"))
        rows: list[list[Cell]] = [[_word(step.action), step.kind, step.name, step.detail] for step in plan.steps]
        for step, line in zip(plan.steps, columns(rows, indent="  "), strict=True):
            self._printer.note(line)
            self._printer.notes(field_lines(step.fields))
        if plan.consequences:
            self._printer.note(styled("What it means:", "head"))
            self._printer.notes([f"  {each}." for each in plan.consequences])

    def confirm_by_name(self, question: str, name: str) -> bool:
        return self._printer.confirm_by_name(question, name)

    def wrote(self, step: Step) -> None:
        self._written.append(str(step))
        self._line(_DONE[step.action], _STYLES[step.action], str(step))

    def left_open(self, step: Step) -> None:
        self._open = step

    def undid(self, step: Step) -> None:
        self._written.remove(str(step))
        self._line("undone", "warn", str(step))

    def interrupted(self) -> None:
        """What an interrupt leaves behind; says nothing when that is nothing."""
        if self._written or self._open:
            self._interrupted(f"Interrupted; {self._left()}.")

    def _left(self) -> str:
        """What stands, and what may stand."""
        words = [f"written so far: {', '.join(self._written)}"] if self._written else []
        if self._open is not None:
            words.append(f"the {self._open} may be {_DONE[self._open.action]} or not, see `{_look_at(self._open)}`")
        return "; ".join(words)


def field_lines(fields: Sequence[FieldChange]) -> list[str]:
    """The first fields that change, a line each."""
    lines = [f"      {each}" for each in fields[:_SHOWN_FIELDS]]
    more = len(fields) - _SHOWN_FIELDS
    return [*lines, f"      and {counted(more, 'field')} more"] if more > 0 else lines


def carried_view(
    kind: str,
    carried: Carried,
    sentence: str | Callable[[], Sequence[Text]],
    *,
    short: Sequence[str],
    **data: Any,
) -> View:
    """What a command that writes answers with: what every one of them says, and its own `data`."""
    lines = (lambda: [Text(sentence)]) if isinstance(sentence, str) else sentence
    document = {
        "dry_run": carried.is_dry_run,
        "changed": carried.is_written,
        "objects": [object_data(step) for step in carried.plan.steps],
        "kept_by": list(carried.kept_by),
        "for_git": carried.for_git if carried.kept_by else [],
        "unproven": list(carried.plan.unproven),
    }
    return View(kind=kind, data={**document, **data}, lines=lines, short=short)


def object_data(step: Step) -> dict[str, Any]:
    """One step as programs read it."""
    return {
        "kind": step.kind,
        "namespace": step.namespace,
        "name": step.name,
        "action": step.action.value,
        "changes": [{"field": each.path, "before": each.before, "after": each.after} for each in step.fields],
    }


def dry_run_sentence(carried: Carried) -> str:
    """What a dry run found."""
    count = counted(len(carried.plan.to_write), "object")
    what = f"{count} would be written" if carried.plan.to_write else "nothing would be written"
    return f"Dry run: {what} for {carried.plan.subject}{', none was' if carried.plan.to_write else ''}."


def _look_at(step: Step) -> str:
    """The command that shows whether the object is there; of one that stays, what it holds, unless that is secret."""
    kind = f"{step.resource.plural}.{step.resource.group}" if step.resource.group else step.resource.plural
    place = f" -n {step.namespace}" if step.namespace else ""
    whole = " -o yaml" if step.action is Action.CHANGE and step.resource != SECRETS else ""
    return f"kubectl get {kind} {step.name}{place}{whole}"


def _word(action: Action) -> Text:
    return styled(action.value.ljust(_WIDTH), _STYLES[action])
