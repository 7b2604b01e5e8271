"""`gw tenant list` and `gw tenant show`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import Namespace


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list")(list_)
    command(app, "show")(show)


def list_(invocation: Invocation) -> ExitCode:
    """List all tenants.

    With readiness, sessions, jobs, and what went wrong last.
    """
    from gw.ops.tenants import TenantList, list_tenants
    from gw.output.tenants import tenant_list_view

    async def operation() -> TenantList:
        async with invocation.cluster() as cluster:
            return await list_tenants(cluster, invocation.clock.now())

    invocation.printer.show(tenant_list_view(asyncio.run(operation())))
    return ExitCode.OK


def show(
    invocation: Invocation,
    tenant: Annotated[str | None, typer.Argument(metavar="TENANT", help="The tenant.")] = None,
    namespace: Namespace = None,
) -> ExitCode:
    """Show one tenant.

    Its conditions, runner groups and workers, and what is public of its credential.
    """
    from gw.errors import Refused
    from gw.ops.tenants import TenantDetail, show_tenant
    from gw.output.tenants import tenant_detail_view

    wanted = invocation.namespace(tenant, namespace)
    if wanted is None:
        raise Refused("no tenant was named", "Name one: `gw tenant show NAME`; `gw tenant list` shows them.")

    async def operation() -> TenantDetail:
        async with invocation.cluster() as cluster:
            return await show_tenant(cluster, wanted, invocation.clock.now())

    invocation.printer.show(tenant_detail_view(asyncio.run(operation())))
    return ExitCode.OK
