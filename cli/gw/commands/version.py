"""`gw version`."""

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "version", uses_cluster=False)(version)


def version(invocation: Invocation) -> ExitCode:
    """Show the versions of gw, API and runner."""
    from gw.ops.versions import read_versions
    from gw.output.versions import versions_view

    invocation.printer.show(versions_view(read_versions()))
    return ExitCode.OK
