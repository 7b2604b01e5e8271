"""`gw runner-group list`, `gw runner-group show` and `gw runner-group scale`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import AllNamespaces, DryRun, Export, Namespace, RunnerGroup, Timeout, Yes, parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list")(list_)
    command(app, "show")(show)
    command(app, "scale")(scale)


def list_(invocation: Invocation, namespace: Namespace = None, everywhere: AllNamespaces = False) -> ExitCode:
    """List runner groups with labels, sessions and jobs.

    Those of all tenants unless one is named.
    """
    from gw.ops.tenants import GroupList, list_groups
    from gw.output.runner_groups import group_list_view

    wanted = invocation.namespace(namespace, everywhere=everywhere)

    async def operation() -> GroupList:
        async with invocation.cluster() as cluster:
            return await list_groups(cluster, wanted, invocation.clock.now())

    invocation.printer.show(group_list_view(asyncio.run(operation())))
    return ExitCode.OK


def show(invocation: Invocation, group: RunnerGroup, namespace: Namespace = None) -> ExitCode:
    """Show one runner group.

    Its bounds and tiers, sessions, jobs with what they wait for, workers and conditions.
    """
    from gw.ops.tenants import GroupDetail, show_group
    from gw.output.runner_groups import group_detail_view

    wanted = invocation.one_tenant("gw runner-group show GROUP -n NAME", namespace)

    async def operation() -> GroupDetail:
        async with invocation.cluster() as cluster:
            return await show_group(cluster, wanted, group, invocation.clock.now())

    invocation.printer.show(group_detail_view(asyncio.run(operation())))
    return ExitCode.OK


def scale(
    invocation: Invocation,
    group: RunnerGroup,
    namespace: Namespace = None,
    max_listeners: Annotated[
        int | None, typer.Option("--max-listeners", metavar="N", help="How many sessions wait for jobs at most.")
    ] = None,
    max_workers: Annotated[
        int | None, typer.Option("--max-workers", metavar="N", help="How many jobs run at most.")
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(
            "--tier",
            metavar="CLASS:N",
            help="Up to N running workers have that priority class. All tiers in ascending order; may be repeated.",
        ),
    ] = None,
    timeout: Timeout = "60s",
    yes: Yes = False,
    dry_run: DryRun = False,
    export: Export = False,
) -> ExitCode:
    """Scale a runner group.

    Shows a plan, which says when the tenant's quotas cannot hold it, lets the API server check it, asks, writes the
    tenant's gateway, and waits until the agent works by the new bounds. Nothing restarts.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.tenancy.scale import ScaledGroup, ScaleGroup, scale_group
    from gw.output.changes import PrintedChanges
    from gw.output.tenancy import scaled_group_view

    order = ScaleGroup(
        invocation.one_tenant("gw runner-group scale GROUP -n NAME …", namespace),
        group,
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        max_listeners=max_listeners,
        max_workers=max_workers,
        tiers=tuple(tier or ()),
        manner=Manner(dry_run=dry_run, yes=yes, export=export),
    )
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> ScaledGroup:
        async with invocation.cluster() as cluster:
            return await scale_group(cluster, order, clock=invocation.clock, conversation=conversation)

    scaled = invocation.run(operation, conversation)
    return invocation.show_carried(scaled.carried, scaled_group_view(scaled), export=export)
