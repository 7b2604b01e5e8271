"""`gw completion`."""

from enum import StrEnum
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode


class Shell(StrEnum):
    """The shells that have a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "completion", uses_cluster=False)(completion)


def completion(
    invocation: Invocation, shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")]
) -> ExitCode:
    """Print the script that completes gw in a shell.

    It completes commands, options, and names where the cluster tells them.
    For bash put it where bash-completion looks: `gw completion bash > ~/.local/share/bash-completion/completions/gw`.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    # The variable is what typer looks at when the shell asks: named after the program.
    script: str = get_completion_script(prog_name="gw", complete_var="_GW_COMPLETE", shell=shell.value)
    invocation.printer.text(script)
    return ExitCode.OK
