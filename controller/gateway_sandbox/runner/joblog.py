"""The job's log: masks each line, acts on the workflow commands in it, and gathers annotations and outputs.

What each command prints: actions/runner `src/Runner.Worker/ActionCommandManager.cs`, `ExecutionContext.cs`.
"""

from __future__ import annotations

from .commands import ANNOTATION_LEVELS, IGNORED, KNOWN, REFUSED, Command, annotation, parse_command
from .diagnostics import print_lines
from .masking import Masker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAXIMUM_ANNOTATIONS = 10
"""Per step and level, as in actions/runner `src/Runner.Worker/ExecutionContext.cs`."""


class JobLog:
    """`write` takes lines of the runner, `output` lines of a step."""

    def __init__(self, masker: Masker, send: Callable[[str], None]) -> None:
        self.masker = masker
        self.annotations: list[dict[str, Any]] = []
        self.command_outputs: dict[str, str] = {}
        """Set by the old `::set-output::` during the current step."""
        self.has_refused_command = False
        self._send = send
        self._step_number = 0
        self._stop_token = ""

    def begin_step(self, number: int) -> None:
        self._step_number = number
        self._stop_token = ""
        self.command_outputs = {}
        self.has_refused_command = False

    def write(self, text: str) -> None:
        for line in self.masker.mask(text).split("\n"):
            print_lines([line])
            self._send(line)

    def output(self, line: str) -> None:
        """One line of a step's output."""
        command = parse_command(line) if "::" in line or "##[" in line else None
        if self._stop_token:
            if command is not None and command.name == self._stop_token.lower():
                self._stop_token = ""
            self.write(line)
        elif command is None or command.name not in (*KNOWN, *REFUSED, *IGNORED):
            self.write(line)
        else:
            self._act(command)

    def error(self, message: str, **properties: str) -> None:
        """An error of the runner itself: one line and one annotation."""
        self._annotate(Command("error", properties, message))

    def warning(self, message: str) -> None:
        self._annotate(Command("warning", {}, message))

    def _act(self, command: Command) -> None:
        if command.name in ANNOTATION_LEVELS:
            self._annotate(command)
        elif command.name in ("group", "endgroup"):
            self.write(f"##[{command.name}]{command.text if command.name == 'group' else ''}")
        elif command.name == "add-mask":
            self.masker.add(command.text)
            self.write("::add-mask::***")
        elif command.name == "stop-commands":
            self._stop_token = command.text.strip()
        elif command.name == "set-output":
            self.command_outputs[command.properties.get("name", "")] = command.text
            self.warning("The `set-output` command is deprecated: write to the file $GITHUB_OUTPUT instead.")
        elif command.name in REFUSED:
            self.has_refused_command = True
            self.error(f"The `{command.name}` command is disabled: write to the file ${REFUSED[command.name]} instead.")

    def _annotate(self, command: Command) -> None:
        self.write(f"##[{command.name}]{command.text}")
        command = Command(command.name, command.properties, self.masker.mask(command.text))
        found = annotation(command, step_number=self._step_number)
        same = [
            item
            for item in self.annotations
            if (item["stepNumber"], item["level"]) == (found["stepNumber"], found["level"])
        ]
        if len(same) < MAXIMUM_ANNOTATIONS:
            self.annotations.append(found)
