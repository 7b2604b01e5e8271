"""`gw tenant remove`."""

from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import Confirm, DryRun, Namespace, Tenant, Yes, parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "remove")(remove)


def remove(
    invocation: Invocation,
    tenant: Tenant = None,
    namespace: Namespace = None,
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for running jobs; the plan says what is lost and left.")
    ] = False,
    keep_namespace: Annotated[
        bool, typer.Option("--keep-namespace", help="Leave the namespace, though gw made it.")
    ] = False,
    ignore_not_found: Annotated[
        bool, typer.Option("--ignore-not-found", help="A tenant that is not there is fine, as after an earlier run.")
    ] = False,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout", metavar="DURATION", help="How long to wait for running jobs, and again for each deletion."
        ),
    ] = "30m",
    yes: Yes = False,
    confirm: Confirm = None,
    dry_run: DryRun = False,
) -> ExitCode:
    """Remove a tenant.

    Shows a plan and asks for the tenant's name. Pauses it, waits until no job runs any more, deletes its gateway, waits
    until that is gone, and says what holds it up; then the namespace, if gw made it. Run again, it goes on where it
    was. Exits with 5 when jobs still run, or something still is there, after --timeout.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.tenancy.remove import RemovedTenant, RemoveTenant, remove_tenant
    from gw.output.changes import PrintedChanges
    from gw.output.tenancy import removed_tenant_view

    order = RemoveTenant(
        invocation.one_tenant("gw tenant remove NAME", tenant, namespace),
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        is_forced=force,
        keeps_namespace=keep_namespace,
        ignores_absent=ignore_not_found,
        manner=Manner(dry_run=dry_run, yes=yes, confirm=confirm),
    )
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> RemovedTenant:
        async with invocation.cluster() as cluster:
            return await remove_tenant(cluster, order, clock=invocation.clock, conversation=conversation)

    removed = invocation.run(operation, conversation)
    return invocation.show_carried(removed.carried, removed_tenant_view(removed))
