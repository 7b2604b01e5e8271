"""`gw uninstall`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import DryRun, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.installation.uninstall import Uninstalled


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "uninstall")(uninstall)


def uninstall(
    invocation: Invocation,
    remove_tenants: Annotated[
        bool, typer.Option("--remove-tenants", help="Remove every tenant's gateway first, and wait for its end.")
    ] = False,
    keep_crds: Annotated[
        bool, typer.Option("--keep-crds", help="Leave the custom resource definitions in place.")
    ] = False,
    yes: Yes = False,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="NAME", help="The cluster's address, so that --yes means that one."),
    ] = None,
    dry_run: DryRun = False,
    timeout: Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait at most.")] = "15m",
) -> ExitCode:
    """Remove Actions Gateway from a cluster.

    Refuses while tenants are served. Shows what goes and what stays, asks for the cluster's name, and removes the
    manager before its rights, and the definitions last. It ends once the check install.place finds nothing that hangs.
    Doing it again is fine.
    """
    from gw.ops.installation.uninstall import Uninstall
    from gw.ops.installation.uninstall import uninstall as carry_out
    from gw.output.installation import PrintedConversation, uninstalled_view
    from gw.output.layout import unproven_lines

    order = Uninstall(
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        remove_tenants=remove_tenants,
        keep_crds=keep_crds,
        dry_run=dry_run,
        yes=yes,
        confirm=confirm,
    )
    conversation = PrintedConversation(invocation.printer)

    async def operation() -> "Uninstalled":
        try:
            return await carry_out(
                order, open_cluster=invocation.cluster, clock=invocation.clock, conversation=conversation
            )
        except (asyncio.CancelledError, KeyboardInterrupt):
            conversation.interrupted()
            raise

    result = asyncio.run(operation())
    invocation.printer.show(uninstalled_view(result))
    invocation.printer.notes(unproven_lines(result.unproven))
    return ExitCode.OK
