"""What every operation that writes says on the way: what was reached, what is waited for, what an interrupt left."""

from rich.text import Text

from gw.output.layout import styled
from gw.output.printer import Printer

_WIDTH = len("unchanged")


class PrintedProgress:
    """The part of a conversation that all operations share, on standard error."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._awaited = ""
        self._again = "Run the same command again: it goes on there."

    def goes_on_with(self, command: str) -> None:
        self._again = f"Run `{command}`: it goes on there."

    def confirm(self, question: str) -> bool:
        return self._printer.confirm(question)

    def reached(self, what: str) -> None:
        self._line("ready", "ok", what)

    def waiting(self, what: str) -> None:
        if what != self._awaited:
            self._awaited = what
            self._line("waiting", "dim", what)

    def _line(self, word: str, style: str, text: str) -> None:
        self._printer.note(Text.assemble(styled(word.ljust(_WIDTH), style), " ", text))

    def _interrupted(self, left: str) -> None:
        self._printer.note(left)
        self._printer.note(Text.assemble(styled("Next:  ", "head"), self._again))
