"""`gw sandbox notifications`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.commands.sandbox import Dir
from gw.errors import Refused
from gw.exits import ExitCode


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "notifications", uses_cluster=False)(notifications)


def notifications(
    invocation: Invocation,
    receiver: Annotated[
        str | None, typer.Option("--receiver", metavar="NAME", help="Only what this receiver was told.")
    ] = None,
    folder: Dir = None,
) -> ExitCode:
    """Show whom Alertmanager told what, as the pagers would hear it.

    The oldest comes first. A dead-man's switch, which is told again and again, takes one line for people and all of its
    notifications in documents.
    """
    from gw.ops.sandbox import find_sandbox, folder_of
    from gw.output.sandbox_notifications import notifications_view
    from gw.sources.sandbox import gather_notifications

    sandbox = find_sandbox(folder_of(folder))
    if sandbox.inbox_url is None:
        raise Refused(
            "the sandbox has no Alertmanager",
            "Debian's package prometheus-alertmanager brings it; start anew with it.",
        )
    told = asyncio.run(gather_notifications(sandbox))
    wanted = tuple(each for each in told if receiver in (None, each.receiver))
    invocation.printer.show(notifications_view(wanted))
    return ExitCode.OK
