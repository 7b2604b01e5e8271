"""One command line from its arguments to its exit code; nothing but a code and two sentences when it ends badly."""

import os
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, runtime_checkable

from gw.exits import ExitCode
from gw.surroundings import Surroundings

PROGRAM = "gw"


@runtime_checkable
class _UsageProblem(Protocol):
    """What typer's (and click's) usage errors have in common."""

    exit_code: int

    def format_message(self) -> str: ...


def run(arguments: Sequence[str], *, program: str = PROGRAM, surroundings: Surroundings | None = None) -> int:
    """Runs one command line and returns its exit code; prints to the surroundings' streams."""
    import typer

    surroundings = surroundings or Surroundings()
    name = PROGRAM if program.startswith("__main__") else program
    try:
        code = _command().main(list(arguments), prog_name=name, standalone_mode=False, obj=surroundings)
        surroundings.stdout.flush()
        return int(code or ExitCode.OK)
    except (KeyboardInterrupt, typer.Abort):
        return int(ExitCode.INTERRUPTED)
    except Exception as problem:
        if isinstance(problem, _UsageProblem):
            return _explain_usage(problem, name, surroundings)
        return _explain_bug(problem, arguments, surroundings)


@cache
def _command() -> Any:
    """The tree of all commands, once per process: it is made out of every command's signature."""
    import typer

    from gw.app import app

    return typer.main.get_command(app)


def _explain_usage(problem: _UsageProblem, name: str, surroundings: Surroundings) -> int:
    """Wrong usage: what, and where the right one stands. A group without a command shows its help."""
    message = problem.format_message().replace("Value error, ", "")
    if message.startswith("Usage:"):
        print(message, file=surroundings.stderr)
        return int(ExitCode.REFUSED)
    context = getattr(problem, "ctx", None)
    path = context.command_path if context is not None else name
    sentence = message.strip().rstrip(".")
    print(
        f"Error: {sentence}{'' if sentence.endswith('?') else '.'}\nNext:  See `{path} --help`.",
        file=surroundings.stderr,
    )
    return int(ExitCode.REFUSED)


def _explain_bug(problem: Exception, arguments: Sequence[str], surroundings: Surroundings) -> int:
    from gw.errors import GwError
    from gw.output.layout import cleaned

    if "--debug" in arguments or os.environ.get("GW_DEBUG"):
        traceback.print_exception(problem, file=surroundings.stderr)
        if not isinstance(problem, GwError):
            return int(ExitCode.UNKNOWN)
        print(f"Error: {problem.what}.\nNext:  {problem.next_step}", file=surroundings.stderr)
        return int(problem.code)
    what = f"gw failed in a way that it did not expect ({type(problem).__name__}: {cleaned(str(problem))})"
    print(f"Error: {what}.\nNext:  Run it again with --debug and report the trace.", file=surroundings.stderr)
    return int(ExitCode.UNKNOWN)
