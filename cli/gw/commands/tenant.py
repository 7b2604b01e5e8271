"""`gw tenant list`, `gw tenant show`, `gw tenant pause` and `gw tenant resume`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.completion import complete_runner_group
from gw.exits import ExitCode
from gw.options import DryRun, Export, Namespace, Tenant, Timeout, Yes, parse_seconds

OneGroup = Annotated[
    str | None,
    typer.Option(
        "--runner-group",
        metavar="GROUP",
        help="One runner group alone; the others go on.",
        autocompletion=complete_runner_group,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list")(list_)
    command(app, "show")(show)
    command(app, "pause")(pause)
    command(app, "resume")(resume)


def list_(invocation: Invocation) -> ExitCode:
    """List all tenants.

    With readiness, sessions, jobs that run and wait, the quota that is nearest to its limit, and what went wrong last.
    Exits with 3 when the quotas could not be read.
    """
    from gw.ops.tenants import TenantList, list_tenants
    from gw.output.tenants import tenant_list_view, unseen_lines

    async def operation() -> TenantList:
        async with invocation.cluster() as cluster:
            return await list_tenants(cluster, invocation.clock.now())

    found = asyncio.run(operation())
    invocation.printer.show(tenant_list_view(found))
    invocation.printer.notes(unseen_lines(found.unseen))
    return found.exit_code


def show(invocation: Invocation, tenant: Tenant = None, namespace: Namespace = None) -> ExitCode:
    """Show one tenant.

    What somebody asked for (paused, suspended, contained), its conditions, runner groups, waiting jobs, workers and
    quotas, and what is public of its credential. Exits with 3 when its quotas could not be read.
    """
    from gw.ops.tenants import TenantDetail, show_tenant
    from gw.output.tenants import tenant_detail_view, unseen_lines

    wanted = invocation.one_tenant("gw tenant show NAME", tenant, namespace)

    async def operation() -> TenantDetail:
        async with invocation.cluster() as cluster:
            return await show_tenant(cluster, wanted, invocation.clock.now())

    found = asyncio.run(operation())
    invocation.printer.show(tenant_detail_view(found))
    invocation.printer.notes(unseen_lines(found.unseen))
    return found.exit_code


def pause(
    invocation: Invocation,
    tenant: Tenant = None,
    namespace: Namespace = None,
    runner_group: OneGroup = None,
    timeout: Timeout = "60s",
    yes: Yes = False,
    dry_run: DryRun = False,
    export: Export = False,
) -> ExitCode:
    """Pause a tenant, or one of its runner groups.

    No new job is claimed; running jobs go on to their end. Shows a plan, lets the API server check it, asks, writes,
    and waits until no session is open.
    """
    return _change(invocation, True, tenant, namespace, runner_group, timeout, (yes, dry_run, export))


def resume(
    invocation: Invocation,
    tenant: Tenant = None,
    namespace: Namespace = None,
    runner_group: OneGroup = None,
    timeout: Timeout = "60s",
    yes: Yes = False,
    dry_run: DryRun = False,
    export: Export = False,
) -> ExitCode:
    """Resume a paused tenant, or a suspended runner group of it.

    Shows a plan, lets the API server check it, asks, writes, and waits until every group has an open session.
    """
    return _change(invocation, False, tenant, namespace, runner_group, timeout, (yes, dry_run, export))


def _change(
    invocation: Invocation,
    is_pause: bool,
    tenant: str | None,
    namespace: str | None,
    runner_group: str | None,
    timeout: str,
    manner: tuple[bool, bool, bool],
) -> ExitCode:
    from gw.ops.changes.carrying import Manner
    from gw.ops.tenancy.pause import PausedTenant, PauseTenant, pause_tenant
    from gw.output.changes import PrintedChanges
    from gw.output.tenancy import paused_tenant_view

    yes, dry_run, export = manner
    verb = "pause" if is_pause else "resume"
    order = PauseTenant(
        invocation.one_tenant(f"gw tenant {verb} NAME", tenant, namespace),
        is_pause=is_pause,
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        group=runner_group,
        manner=Manner(dry_run=dry_run, yes=yes, export=export),
    )
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> PausedTenant:
        async with invocation.cluster() as cluster:
            return await pause_tenant(cluster, order, clock=invocation.clock, conversation=conversation)

    paused = invocation.run(operation, conversation)
    return invocation.show_carried(paused.carried, paused_tenant_view(paused), export=export)
