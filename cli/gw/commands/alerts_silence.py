"""`gw alerts silence add`, `list` and `expire`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import AlertmanagerUrl, AllNamespaces, DryRun, Namespace, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.alerting.silences import PlacedSilence
    from gw.sources.alerting import SilenceFact


def _alert_names(beginning: str) -> list[str]:
    from gw_alerts.catalog import BY_NAME

    return [name for name in BY_NAME if name.lower().startswith(beginning.lower())]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "add")(add)
    command(app, "list")(list_)
    command(app, "expire")(expire)


def add(
    invocation: Invocation,
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="The alert's name.", autocompletion=_alert_names)],
    lasting: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, such as 2h, at most 7d.")],
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why, for whoever sees the silence.")],
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    author: Annotated[
        str | None,
        typer.Option("--author", metavar="NAME", help="Who silences it. Else whom the API server takes you for."),
    ] = None,
    cluster_name: Annotated[
        str | None,
        typer.Option("--cluster", metavar="NAME", help="Your cluster's label, where alerts have one."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Silence an alert about abuse, or the dead-man's switch, too.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """Silence an alert of a tenant for a while.

    A silence that is in force already is made as long as asked.
    """
    from gw.ops.alerting.silences import SilenceOrder, find_alert, silence_alert
    from gw.output.alerting.silences import PrintedSilence, placed_view
    from gw_alerts.model import Scope

    is_tenants = find_alert(alert).scope is Scope.TENANT
    wanted = invocation.namespace(namespace, everywhere=everywhere) if is_tenants else namespace
    order = SilenceOrder(
        alert=alert,
        namespace=wanted,
        seconds=parse_seconds(lasting, "--for"),
        comment=comment,
        author=author,
        cluster_name=cluster_name,
        everywhere=everywhere,
        force=force,
        dry_run=dry_run,
    )
    sources = invocation.sources(alertmanager_url=alertmanager_url)
    agrees = PrintedSilence(invocation.printer, yes=yes).agrees

    async def operation() -> "PlacedSilence":
        async with invocation.cluster() as cluster:
            return await silence_alert(cluster, order, invocation.clock, sources, agrees)

    placed = asyncio.run(operation())
    invocation.printer.show(placed_view(placed))
    return ExitCode.OK


def list_(
    invocation: Invocation,
    with_past: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """List silences: of what, by whom, why, until when."""
    from gw.ops.alerting.silences import list_silences
    from gw.output.alerting.silences import silence_list_view

    sources = invocation.sources(alertmanager_url=alertmanager_url)

    async def operation() -> tuple["SilenceFact", ...]:
        async with invocation.cluster() as cluster:
            return await list_silences(cluster, sources, with_past=with_past)

    invocation.printer.show(silence_list_view(asyncio.run(operation()), invocation.clock.now()))
    return ExitCode.OK


def expire(
    invocation: Invocation,
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="The silence's id, or its beginning.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """End a silence now."""
    from gw.ops.alerting.silences import expire_silence
    from gw.output.alerting.silences import PrintedSilence, expired_view

    sources = invocation.sources(alertmanager_url=alertmanager_url)
    agrees = PrintedSilence(invocation.printer, yes=yes).agrees_to_end

    async def operation() -> tuple["SilenceFact", bool]:
        async with invocation.cluster() as cluster:
            return await expire_silence(cluster, silence_id, sources, agrees, dry_run=dry_run)

    silence, is_ended = asyncio.run(operation())
    invocation.printer.show(expired_view(silence, is_ended=is_ended, is_dry_run=dry_run))
    return ExitCode.OK
