"""The conversation about a new tenant, and what came of it."""

from typing import Any

from rich.text import Text

from gw.checks.wording import counted
from gw.ops.onboarding.add import AddedTenant
from gw.ops.onboarding.plan import Action, Plan, Step
from gw.output.layout import Cell, columns, styled, unproven_lines
from gw.output.printer import Printer
from gw.output.progress import PrintedProgress
from gw.output.view import View

_WIDTH = max(len(action) for action in Action)


class PrintedConversation(PrintedProgress):
    """A `Conversation` on standard error."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(printer)
        self._written: list[str] = []

    def checked(self, what: str) -> None:
        self._line("proven", "ok", what)

    def show_plan(self, plan: Plan) -> None:
        if not plan.to_write:
            self._printer.note(f"Everything for {plan.namespace} is there as asked; there is nothing to write.")
            return
        self._printer.note(styled(f"Plan for {plan.namespace}:", "head"))
        rows: list[list[Cell]] = [[_action(step), step.kind, step.name, step.detail] for step in plan.steps]
        self._printer.notes(columns(rows, indent="  "))

    def wrote(self, step: Step) -> None:
        self._written.append(f"{step.kind} {step.name}")
        self._line("created", "ok", f"{step.kind} {step.name}")

    def undid(self, step: Step) -> None:
        self._written.remove(f"{step.kind} {step.name}")
        self._line("undone", "warn", f"{step.kind} {step.name}")

    def interrupted(self) -> None:
        """What an interrupt leaves behind; says nothing when that is nothing."""
        if self._written:
            self._interrupted(f"Interrupted; written so far: {', '.join(self._written)}.")


def added_tenant_view(added: AddedTenant) -> View:
    """One line for people; every object and the tenant's state for programs."""
    tenant = added.tenant
    data: dict[str, Any] = {
        "tenant": added.plan.namespace,
        "dry_run": tenant is None,
        "changed": bool(added.plan.to_write) and tenant is not None,
        "objects": [{"kind": step.kind, "name": step.name, "action": step.action.value} for step in added.plan.steps],
        "unproven": list(added.unproven),
        "ready": tenant is not None and tenant.gateway.is_ready,
        "gateway": tenant.gateway.name if tenant else None,
        "active_sessions": sum(group.active_sessions for group in tenant.groups) if tenant else None,
        "runner_groups": [group.name for group in tenant.groups] if tenant else [],
    }
    return View(
        kind="AddedTenant",
        data=data,
        lines=lambda: [Text(_sentence(added))],
        short=[f"{added.plan.namespace} {'dry-run' if tenant is None else 'Ready'}"],
    )


def advice(added: AddedTenant) -> list[Text]:
    """What is unproven, and what to try next."""
    lines = unproven_lines(added.unproven)
    if added.tenant is not None:
        namespace, groups = added.plan.namespace, added.tenant.groups
        lines.append(styled("Try next:", "head"))
        lines += columns(
            [
                [f"gw tenant show {namespace}", "conditions, groups, workers, credential"],
                [f"gw health {namespace}", "every check"],
                *(
                    [[f"runs-on: [{', '.join(groups[0].runner_labels)}]", "in a workflow gives a job to this tenant"]]
                    if groups
                    else []
                ),
            ],
            indent="  ",
        )
    return lines


def _sentence(added: AddedTenant) -> str:
    if added.tenant is None:
        count = len(added.plan.to_write)
        what = f"{counted(count, 'object')} would be written" if count else "nothing would be written"
        return f"Dry run: {what} for {added.plan.namespace}{', none was' if count else ''}."
    sessions = sum(group.active_sessions for group in added.tenant.groups)
    state = f"{counted(sessions, 'session')} open for {counted(len(added.tenant.groups), 'runner group')}"
    verb = "is Ready" if added.plan.to_write else "was there already and is Ready"
    return f"Tenant {added.plan.namespace} {verb}: {state}."


def _action(step: Step) -> Text:
    return styled(step.action.value.ljust(_WIDTH), "ok" if step.action is Action.CREATE else "dim")
