"""`gw quota show` and `gw quota adjust`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.completion import complete_tenant
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import DryRun, Export, Namespace, Tenant, Yes, parse_seconds

_NAME_ONE = "Name one: `gw quota {verb} NAME`; `gw tenant list` shows them."


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "show")(show)
    command(app, "adjust")(adjust)


def show(
    invocation: Invocation,
    tenant: Tenant = None,
    namespace: Namespace = None,
) -> ExitCode:
    """Show a tenant's quotas.

    Used and hard by key, what all jobs that its runner groups' ceilings allow would take, and which key binds first,
    for how many more jobs. Exits with 3 when it cannot be told what a worker takes.
    """
    from gw.ops.quota.usage import QuotaReport, show_quotas
    from gw.output.quota import quota_report_view

    wanted = invocation.namespace(tenant, namespace)
    if wanted is None:
        raise Refused("no tenant was named", _NAME_ONE.format(verb="show"))

    async def operation() -> QuotaReport:
        async with invocation.cluster() as cluster:
            return await show_quotas(cluster, wanted, invocation.clock.now())

    report = asyncio.run(operation())
    invocation.printer.show(quota_report_view(report))
    return report.exit_code


def adjust(
    invocation: Invocation,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant.", autocompletion=complete_tenant)],
    amounts: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=AMOUNT",
            help="The new amount of a key, such as pods=50, or a change of it: requests.memory=+64Gi, limits.cpu=+25%.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="QUOTA", help="The ResourceQuota, where several have the key.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Go under what is used now.")] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to wait until the cluster counts with it.")
    ] = "60s",
    yes: Yes = False,
    dry_run: DryRun = False,
    export: Export = False,
) -> ExitCode:
    """Adjust a tenant's quota and prove that it counts.

    Finds the ResourceQuota, shows a plan, lets the API server check it, asks, writes, waits until the quota controller
    has taken it over, and tries the next worker of each runner group as a server-side dry run. Running pods stay as
    they are. An amount can be given again without effect; a change such as +10 is made once more each time. Exits with
    1 when jobs still wait for quota.
    """
    from gw.ops.changes.carrying import Manner
    from gw.ops.quota.adjust import AdjustedQuota, AdjustQuota, adjust_quota
    from gw.ops.quota.amounts import parse_wishes
    from gw.output.changes import PrintedChanges
    from gw.output.quota import adjusted_quota_view

    order = AdjustQuota(
        namespace=tenant,
        wishes=parse_wishes(amounts),
        timeout_seconds=parse_seconds(timeout, "--timeout"),
        manner=Manner(dry_run=dry_run, yes=yes, export=export),
        name=name,
        force=force,
    )
    conversation = PrintedChanges(invocation.printer)

    async def operation() -> AdjustedQuota:
        async with invocation.cluster() as cluster:
            return await adjust_quota(cluster, order, clock=invocation.clock, conversation=conversation)

    adjusted = invocation.run(operation, conversation)
    code = invocation.show_carried(adjusted.carried, adjusted_quota_view(adjusted), export=export)
    return code or adjusted.exit_code
