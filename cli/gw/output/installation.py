"""The conversation about an installation or a removal, and what came of it."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.installation.install import Installed
from gw.ops.installation.plan import Action, Plan, Step
from gw.ops.installation.request import EGRESS_PAGE
from gw.ops.installation.snapshot import Identity
from gw.ops.installation.uninstall import Uninstalled
from gw.output.changes import field_lines
from gw.output.layout import Cell, columns, styled, unproven_lines
from gw.output.printer import Printer
from gw.output.progress import PrintedProgress
from gw.output.view import View

_STYLES = {
    Action.CREATE: "ok",
    Action.CHANGE: "warn",
    Action.TAKE_OVER: "warn",
    Action.REMOVE: "bad",
    Action.UNCHANGED: "dim",
}
_DONE = {Action.CREATE: "created", Action.CHANGE: "changed", Action.TAKE_OVER: "taken", Action.REMOVE: "removed"}
_WIDTH = max(len(action) for action in Action)


class PrintedConversation(PrintedProgress):
    """A `Conversation` on standard error."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(printer)
        self._done: list[str] = []

    def show_plan(self, plan: Plan) -> None:
        if not plan.to_write:
            self._printer.note("Everything is there as asked; there is nothing to write.")
            return
        self._printer.note(styled("Plan:", "head"))
        steps = plan.to_write
        rows: list[list[Cell]] = [[_word(step.action), step.identity.kind, step.identity.name] for step in steps]
        for step, line in zip(steps, columns(rows, indent="  "), strict=True):
            self._printer.note(line)
            self._printer.notes(field_lines(step.changes))
        if unchanged := len(plan.steps) - len(steps):
            self._printer.note(Text.assemble("  ", _word(Action.UNCHANGED), f"   {counted(unchanged, 'object')}"))

    def show_removal(self, host: str, removed: Sequence[str], kept: Sequence[str]) -> None:
        self._printer.note(styled(f"To be removed from {host}, in this order:", "head"))
        self._printer.notes([f"  {line}" for line in removed])
        if kept:
            self._printer.note(styled("What stays:", "head"))
            self._printer.notes([f"  {line}" for line in kept])

    def confirm_by_name(self, question: str, name: str) -> bool:
        return self._printer.confirm_by_name(question, name)

    def did(self, action: Action, identity: Identity) -> None:
        self._done.append(str(identity))
        self._line(_DONE[action], _STYLES[action], str(identity))

    def released(self, identity: Identity) -> None:
        self._line(
            "released",
            "warn",
            f"{identity} ({identity.namespace}): no manager takes it down, so the garbage collector does; "
            "runners that its agent does not sign off go from GitHub by themselves within a day",
        )

    def interrupted(self) -> None:
        """What an interrupt leaves behind; says nothing when that is nothing."""
        if self._done:
            self._interrupted(f"Interrupted after {counted(len(self._done), 'object')}, the last {self._done[-1]}.")


def installed_view(result: Installed) -> View:
    """One line for people; every object and field for programs."""
    data: dict[str, Any] = {
        "host": result.host,
        "server_version": result.server_version,
        "dry_run": result.is_dry_run,
        "changed": bool(result.plan.to_write) and not result.is_dry_run and not result.kept_by,
        "objects": [_object(step) for step in result.plan.steps],
        "unproven": list(result.plan.unproven),
        "leader": result.leader,
        "kept_by": list(result.kept_by),
    }
    return View(
        kind="Installation",
        data=data,
        lines=lambda: [Text(_sentence(result))],
        short=[f"{step.identity} {step.action}" for step in result.plan.steps],
    )


def uninstalled_view(result: Uninstalled) -> View:
    """One line for people; what went and what stays for programs."""
    return View(
        kind="Uninstallation",
        data={
            "host": result.host,
            "dry_run": result.is_dry_run,
            "changed": bool(result.removed) and not result.is_dry_run,
            "removed": list(result.removed),
            "kept": list(result.kept),
            "unproven": list(result.unproven),
        },
        lines=lambda: [Text(_removal_sentence(result))],
        short=list(result.removed),
    )


def install_advice(result: Installed) -> list[Text]:
    """What is unproven, and what to try next."""
    lines = unproven_lines(result.plan.unproven)
    if result.unnamed_addresses:
        options = " ".join(f"--api-server-cidr {cidr}" for cidr in result.unnamed_addresses)
        what = f" agents reach any address on 443 and 6443; this leaves them the API server's of today: {options}"
        lines.append(Text.assemble(styled("Open:", "warn"), f"{what} ({EGRESS_PAGE})."))
    if result.is_dry_run or result.kept_by:
        return lines
    lines.append(styled("Try next:", "head"))
    lines += columns(
        [
            ["gw check", "whether the cluster enforces what an installation relies on"],
            ["gw tenant add NAME …", "the first tenant"],
        ],
        indent="  ",
    )
    return lines


def _sentence(result: Installed) -> str:
    count = counted(len(result.plan.to_write), "object")
    if result.is_dry_run:
        return f"Dry run: {count if result.plan.to_write else 'nothing'} would be written to {result.host}; none was."
    state = f"{result.leader} leads" if result.leader else "it was not waited for the manager"
    if not result.plan.to_write:
        return f"Nothing changed: {result.host} has all {len(result.plan.steps)} objects as asked, and {state}."
    return f"Installed on {result.host}: {count} written, and {state}."


def _removal_sentence(result: Uninstalled) -> str:
    if not result.removed and result.kept:
        return f"Nothing is left to remove on {result.host}. What was kept: {'; '.join(result.kept)}."
    if not result.removed:
        return f"Nothing of Actions Gateway is installed on {result.host}."
    count = counted(len(result.removed), "object")
    if result.is_dry_run:
        return f"Dry run: {count} would be removed from {result.host}; none was."
    return f"Removed from {result.host}: {count}."


def _object(step: Step) -> dict[str, Any]:
    return {
        "kind": step.identity.kind,
        "namespace": step.identity.namespace or None,
        "name": step.identity.name,
        "action": step.action.value,
        "changes": [{"field": each.path, "before": each.before, "after": each.after} for each in step.changes],
    }


def _word(action: Action) -> Text:
    return styled(action.value.ljust(_WIDTH), _STYLES[action])
