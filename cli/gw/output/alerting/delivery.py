"""The test page: whom it will reach, the question, and what came of it."""

from rich.text import Text

from gw.ops.alerting.delivery import Outcome, PagePlan, PageResult
from gw.output.layout import columns, stamp, styled
from gw.output.printer import Printer
from gw.output.progress import PrintedProgress
from gw.output.view import View

_WORDS = {
    Outcome.PLANNED: ("Dry run", "dim"),
    Outcome.DELIVERED: ("Delivered", "ok"),
    Outcome.REFUSED: ("Refused", "bad"),
    Outcome.SILENT: ("Silent", "bad"),
    Outcome.UNKNOWN: ("Unknown", "warn"),
}


class PrintedPage(PrintedProgress):
    """A `PageConversation` on standard error."""

    def __init__(self, printer: Printer, *, yes: bool) -> None:
        super().__init__(printer)
        self._yes = yes

    def agrees(self, plan: PagePlan) -> bool:
        self._printer.notes([styled("A test page:", "head"), *_plan_lines(plan)])
        return self._yes or self._printer.confirm(
            "Send it to whoever is on call?", what="this pages whoever is on call", next_step="Add --yes to send it."
        )


def page_view(result: PageResult) -> View:
    """The outcome, and how it is known."""
    plan = result.plan
    word, style = _WORDS[result.outcome]
    after = f" ({result.seconds:.0f} s after the page)" if result.outcome is Outcome.DELIVERED else ""
    lines = [Text.assemble(styled(f"{word}:", style), f" {result.detail}{after}.")]
    if result.outcome is Outcome.PLANNED:
        lines = [*_plan_lines(plan), *lines]
    return View(
        kind="TestPage",
        data={
            "at": stamp(result.at),
            "outcome": result.outcome.value,
            "detail": result.detail,
            "seconds": round(result.seconds, 1),
            "labels": dict(plan.labels),
            "receivers": list(plan.receivers),
            "integrations": list(plan.integrations),
            "told_in_the_same_way": list(plan.others),
        },
        lines=lambda: lines,
        short=[result.outcome.value],
    )


def _plan_lines(plan: PagePlan) -> list[Text]:
    return columns(
        [
            ["of", ", ".join(f'{name}="{value}"' for name, value in plan.labels.items())],
            ["through", f"{plan.source}, version {plan.version}"],
            ["to", f"{', '.join(plan.receivers)} by {', '.join(plan.integrations) or 'nothing'}"],
            ["after", f"{plan.wait_seconds:g} s, which the route waits"],
        ],
        indent="  ",
    )
