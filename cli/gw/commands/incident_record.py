"""`gw incident list`, `show`, `note` and `close`: the records of incidents."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode

if TYPE_CHECKING:
    from gw.sources.incidents import Incident, IncidentsFact

_MOST_BYTES = 900
Name = Annotated[str, typer.Argument(metavar="ID", help="The incident, as `gw incident list` names it.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "list")(list_)
    command(app, "show")(show)
    command(app, "note")(note_)
    command(app, "close")(close)


def list_(invocation: Invocation) -> ExitCode:
    """List the incidents that are kept, open ones first.

    Exits with 3 when a record cannot be read.
    """
    from gw.output.incidents import incident_list_view
    from gw.sources.cluster import asking
    from gw.sources.incidents import gather_incidents

    async def operation() -> "IncidentsFact":
        async with invocation.cluster() as cluster:
            with asking("read the incidents"):
                return await gather_incidents(cluster)

    found = asyncio.run(operation())
    invocation.printer.show(incident_list_view(found, invocation.clock.now()))
    return ExitCode.UNKNOWN if found.unreadable else ExitCode.OK


def show(invocation: Invocation, name: Name) -> ExitCode:
    """Show one incident: steps and timeline, as Markdown."""
    from gw.ops.incidents.handling import read_incident
    from gw.output.incidents import incident_view, markdown

    async def operation() -> "Incident":
        async with invocation.cluster() as cluster:
            return await read_incident(cluster, name)

    incident = asyncio.run(operation())
    if invocation.printer.is_for_people:
        invocation.printer.text(markdown(incident))
    else:
        invocation.printer.show(incident_view(incident))
    return ExitCode.OK


def note_(
    invocation: Invocation,
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the timeline shall say.")],
) -> ExitCode:
    """Add to an incident's timeline, in your name."""
    from gw.ops.incidents.handling import note_incident
    from gw.output.incidents import incident_view

    words = kept_text(text, "TEXT")
    if not words:
        raise Refused("the note is empty", "Say what happened.")

    async def operation() -> "Incident":
        async with invocation.cluster() as cluster:
            return await note_incident(cluster, name, clock=invocation.clock, note=words)

    invocation.printer.show(incident_view(asyncio.run(operation())))
    return ExitCode.OK


def close(
    invocation: Invocation,
    name: Name,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What the timeline shall say.")] = "",
    abandon: Annotated[
        str, typer.Option("--abandon", metavar="REASON", help="Close it although steps are left, for this reason.")
    ] = "",
) -> ExitCode:
    """Close an incident whose steps are all settled."""
    from gw.ops.incidents.handling import close_incident
    from gw.output.incidents import incident_view

    async def operation() -> "Incident":
        async with invocation.cluster() as cluster:
            return await close_incident(
                cluster,
                name,
                clock=invocation.clock,
                note=kept_text(note, "--note"),
                abandon=kept_text(abandon, "--abandon"),
            )

    invocation.printer.show(incident_view(asyncio.run(operation())))
    return ExitCode.OK


def kept_text(text: str, option: str) -> str:
    """The text without spaces around it; raises Refused for one that no record keeps."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused(f"{option} is no UTF-8", "Write it again, in a terminal whose encoding is UTF-8.")
    if len(text.encode()) > _MOST_BYTES:
        raise Refused(
            f"{option} is too long for the record, which keeps {_MOST_BYTES} bytes of it", "Write it shorter."
        )
    return text.strip()
