"""`gw runner-group list`."""

import asyncio

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import AllNamespaces, Namespace


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list")(list_)


def list_(invocation: Invocation, namespace: Namespace = None, everywhere: AllNamespaces = False) -> ExitCode:
    """List runner groups with labels, sessions and jobs.

    Those of all tenants unless one is named.
    """
    from gw.ops.tenants import GroupList, list_groups
    from gw.output.tenants import group_list_view

    wanted = invocation.namespace(namespace, everywhere=everywhere)

    async def operation() -> GroupList:
        async with invocation.cluster() as cluster:
            return await list_groups(cluster, wanted, invocation.clock.now())

    invocation.printer.show(group_list_view(asyncio.run(operation())))
    return ExitCode.OK
