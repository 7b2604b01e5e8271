"""The one printer: data on standard output, progress and advice on standard error.

Colour only on a terminal and never with NO_COLOR; nothing is said by colour alone. Without a terminal nothing moves:
each change is one plain line. Whatever others wrote is cleaned here, so that no text begins a line or moves the cursor.
"""

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gw.errors import GwError, Refused
from gw.options import OutputFormat
from gw.output.layout import CONTROL, cleaned
from gw.output.styles import STYLES
from gw.output.view import View

_ADD_YES = "Add --yes once the plan is right."


class Printer:
    """Prints one invocation's results, progress and questions."""

    def __init__(self, *, stdin: TextIO, stdout: TextIO, stderr: TextIO, output: OutputFormat) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._output = output
        self._data = _console(stdout)
        self._talk = _console(stderr)

    @property
    def is_for_people(self) -> bool:
        """Whether standard output holds text for people."""
        return self._output is OutputFormat.TABLE

    @property
    def is_live(self) -> bool:
        """Whether progress may be redrawn in place."""
        return self._talk.is_terminal and not self._talk.is_dumb_terminal

    @property
    def can_ask(self) -> bool:
        """Whether there is a terminal to ask on."""
        return self._stdin.isatty()

    def show(self, view: View) -> None:
        """The result, in the format that was asked for."""
        match self._output:
            case OutputFormat.TABLE:
                for line in view.lines():
                    self._line(self._data, line)
            case OutputFormat.SHORT:
                self._raw("".join(f"{cleaned(line)}\n" for line in view.short))
            case OutputFormat.JSON:
                self._raw(_json(view.document()))
            case OutputFormat.YAML:
                self._raw(_yaml(view.document()))

    def show_item(self, view: View) -> None:
        """One of many results that come one after the other: a JSON object a line, a YAML document each."""
        match self._output:
            case OutputFormat.JSON:
                self._raw(_json_line(view.document()))
            case OutputFormat.YAML:
                self._raw(f"---\n{_yaml(view.document())}")
            case _:
                self.show(view)

    def text(self, text: str) -> None:
        """Data that has one form only: a log, a manifest."""
        self._raw(text if text.endswith("\n") or not text else text + "\n")

    def note(self, text: str | Text) -> None:
        """Progress or advice."""
        self._line(self._talk, text)

    def notes(self, lines: Sequence[str | Text]) -> None:
        """Several lines of progress or advice."""
        for line in lines:
            self.note(line)

    def error(self, problem: GwError) -> None:
        """What went wrong and what to do."""
        self.note(Text.assemble(("Error: ", STYLES["bad"]), f"{problem.what}."))
        self.notes([f"       {line}" for line in problem.details])
        self.note(Text.assemble(("Next:  ", STYLES["head"]), problem.next_step))

    def confirm(self, question: str, *, what: str = "this writes to the cluster", next_step: str = _ADD_YES) -> bool:
        """The answer of the person at the terminal; raises Refused when there is none to ask.

        `what` says why somebody has to be asked.
        """
        answer = self._ask(f"{question} [y/N]", what, next_step)
        return answer.lower() in ("y", "yes")

    def confirm_by_name(self, question: str, name: str) -> bool:
        """Whether the person at the terminal types `name`; raises Refused when there is none to ask."""
        next_step = f"Add --yes --confirm {name} once the plan is right."
        return self._ask(question, "this writes to the cluster", next_step) == name

    def _ask(self, question: str, what: str, without_terminal: str) -> str:
        if not self.can_ask:
            raise Refused(f"{what} and there is no terminal to ask on", without_terminal)
        with _plain_interrupts():
            self._talk.print(Text(f"{cleaned(question)} "), end="")
            answer = ""
            try:
                answer = self._stdin.readline()
            finally:
                if not answer.endswith("\n"):
                    # Ctrl-C and Ctrl-D leave the cursor behind the question.
                    self._talk.print()
            return answer.strip()

    @contextmanager
    def live(self) -> Iterator["Board"]:
        """A board that is redrawn in place on a terminal, and shows nothing elsewhere."""
        if not self.is_live:
            yield Board(None)
            return
        with Live(console=self._talk, refresh_per_second=8, transient=True) as live:
            yield Board(live)

    def _line(self, console: Console, line: str | Text) -> None:
        console.print(_cleaned(line), soft_wrap=True, highlight=False, markup=False)

    def _raw(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()


class Board:
    """A few lines that change in place."""

    def __init__(self, live: Live | None) -> None:
        self._live = live

    def draw(self, lines: Sequence[Text]) -> None:
        """Replaces what the board shows."""
        if self._live is not None:
            board = Text("\n").join(_cleaned(line) for line in lines)
            # One row stays one row on a narrow terminal, or the board would jump.
            board.no_wrap, board.overflow = True, "ellipsis"
            self._live.update(board)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the process boundary what a reader's leaving means."""
        raise BrokenPipeError


def _console(stream: TextIO) -> Console:
    return _Console(file=stream, highlight=False, emoji=False)


@contextmanager
def _plain_interrupts() -> Iterator[None]:
    """Lets Ctrl-C end a read at once: asyncio's own handler would only note it and let the read go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cleaned(line: str | Text) -> Text:
    text = Text(line) if isinstance(line, str) else line.copy()
    # As long as before, so that each style stays where it is.
    text.plain = cleaned(text.plain)
    return text


def _json(document: dict[str, object]) -> str:
    """Escapes what a terminal obeys, C1 codes for one, which JSON itself does not ask for."""
    lines = json.dumps(document, indent=2, ensure_ascii=False).split("\n")
    return "".join(_escaped(line) + "\n" for line in lines)


def _json_line(document: dict[str, object]) -> str:
    return _escaped(json.dumps(document, ensure_ascii=False)) + "\n"


def _escaped(line: str) -> str:
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _yaml(document: dict[str, object]) -> str:
    """Escapes everything beyond ASCII where there is something that a terminal obeys."""
    import yaml

    text = ""
    for is_safe in (True, False):
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=is_safe, width=120)
        if not any(map(CONTROL.search, text.split("\n"))):
            break
    return text
