"""`gw events`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.exits import ExitCode
from gw.options import AllNamespaces, Namespace, TenantOrAll, parse_seconds


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "events")(events)


def _types(beginning: str) -> list[str]:
    return [name for name in ("normal", "warning") if name.startswith(beginning.lower())]


def events(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everywhere: AllNamespaces = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Only what happened no longer ago, such as 30m.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="normal|warning", help="Only events of this type.", autocompletion=_types),
    ] = None,
    about: Annotated[
        str | None,
        typer.Option("--for", metavar="OBJECT", help="Only what happened to this object: NAME, or KIND/NAME."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with new events, a line each, until interrupted.")
    ] = False,
) -> ExitCode:
    """Show what happened to a tenant's objects, the newest last.

    Without a tenant those of all tenants and of the manager. Events that repeat are counted. A cluster keeps them for
    an hour, unless it is told otherwise.
    """
    from gw.ops.events import EventReport, EventRequest, list_events, parse_object, parse_type, watch_events
    from gw.output.events import event_view, events_view

    of_kind, name = parse_object(about) if about is not None else ("", "")
    request = EventRequest(
        namespace=invocation.namespace(tenant, namespace, everywhere=everywhere),
        since_seconds=parse_seconds(since, "--since") if since is not None else None,
        is_warning=parse_type(kind) if kind is not None else None,
        kind=of_kind,
        name=name,
    )
    printer = invocation.printer

    async def operation() -> EventReport:
        async with invocation.cluster() as cluster:
            if watch:
                await watch_events(
                    cluster,
                    request,
                    invocation.clock,
                    on_event=lambda event: printer.show_item(event_view(event, with_tenant=request.namespace is None)),
                    on_note=lambda text: printer.note(f"Note:  {text}."),
                )
            return await list_events(cluster, request, invocation.clock.now())

    printer.show(events_view(asyncio.run(operation())))
    return ExitCode.OK
