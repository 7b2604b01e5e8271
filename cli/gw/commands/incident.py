"""`gw incident key-compromise`, `agent-failure` and `manager-failure`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.incident_record import kept_text
from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import Confirm, DryRun, Tenant, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.incidents.engine import Marks
    from gw.ops.incidents.handling import IncidentOrder, MakeSite
    from gw.output.incidents import PrintedIncident
    from gw.sources.incidents import Incident, IncidentKind
    from gw.sources.places import Sources

_ASSUMED_EXPOSURE = timedelta(days=7)

Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="ID", help="Go on with this incident. Else the open one, or a new one."),
]
Done = Annotated[
    list[str] | None,
    typer.Option("--done", metavar="STEP", help="You have done this step's part for people. May be repeated."),
]
Skip = Annotated[
    list[str] | None, typer.Option("--skip", metavar="STEP", help="Leave this step out, in your name. May be repeated.")
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="What the timeline shall say.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Go on although somebody else is at a step: they have stopped.")
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long each step waits.")]
Drill = Annotated[
    bool, typer.Option("--drill", help="Practise: a sandbox of its own, in which gw plays the person, too.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "key-compromise")(key_compromise)
    command(app, "agent-failure")(agent_failure)
    command(app, "manager-failure")(manager_failure)


def key_compromise(
    invocation: Invocation,
    tenant: Tenant = None,
    app_id: Annotated[str | None, typer.Option("--app-id", metavar="N", help="The GitHub App's id.")] = None,
    key_fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            "--key-fingerprint",
            metavar="SHA256:…",
            help="The key in wrong hands, of several. Else the tenant's, or all in use. May be repeated.",
        ),
    ] = None,
    private_key_file: Annotated[
        Path | None, typer.Option("--private-key-file", metavar="FILE", help="The App's new private key, once made.")
    ] = None,
    ca_bundle_file: Annotated[
        Path | None,
        typer.Option("--ca-bundle-file", metavar="FILE", help="Certificate authorities of a private GitHub."),
    ] = None,
    exposed_since: Annotated[
        str | None,
        typer.Option(
            "--exposed-since", metavar="TIME", help="Since when the key may be known (RFC 3339). Else a week."
        ),
    ] = None,
    resume: Resume = None,
    done: Done = None,
    skip: Skip = None,
    note: Note = "",
    take_over: TakeOver = False,
    timeout: Timeout = "2m",
    yes: Yes = False,
    confirm: Confirm = None,
    dry_run: DryRun = False,
    drill: Drill = False,
) -> ExitCode:
    """Answer the compromise of a GitHub App's key, step by step.

    Finds every gateway of the App, contains them, suspends the installations, changes the key and proves that all of
    them work with the new one. Keeps a timeline; whoever runs it again goes on where it stands. Exits with 2 when a
    step waits for a person.
    """
    from gw.ops.incidents.handling import IncidentOrder
    from gw.sources.github import read_key
    from gw.sources.incidents import IncidentKind

    if drill:
        return _drill(invocation, IncidentKind.KEY_COMPROMISE, timeout)
    if sum(each is not None for each in (tenant, app_id, resume)) != 1:
        raise Refused("whose key it is was not said, or said twice", "Name a tenant, --app-id N, or --resume ID.")
    order = IncidentOrder(
        kind=IncidentKind.KEY_COMPROMISE,
        namespace=tenant,
        app_id=app_id,
        keys=tuple(key_fingerprint or ()),
        resume=resume,
        exposed_since=_exposure(exposed_since, invocation.clock.now()),
        note=kept_text(note, "--note"),
        marks=_marks(done, skip),
        take_over=take_over,
        new_key=read_key(private_key_file) if private_key_file is not None else None,
        dry_run=dry_run,
    )
    return _handle(invocation, order, timeout, yes=yes, confirm=confirm, ca_bundle_file=ca_bundle_file)


def agent_failure(
    invocation: Invocation,
    tenant: Tenant = None,
    resume: Resume = None,
    done: Done = None,
    skip: Skip = None,
    note: Note = "",
    take_over: TakeOver = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Have lost jobs rerun that need a person's word.")] = False,
    timeout: Timeout = "2m",
    yes: Yes = False,
    dry_run: DryRun = False,
    drill: Drill = False,
) -> ExitCode:
    """Answer the total failure of a tenant's agent, step by step.

    Diagnoses, restarts it, waits for sessions, and shows which jobs were lost. Exits with 2 when a step waits for a
    person.
    """
    from gw.ops.incidents.handling import IncidentOrder
    from gw.sources.incidents import IncidentKind

    if drill:
        return _drill(invocation, IncidentKind.AGENT_FAILURE, timeout)
    if (tenant is None) == (resume is None):
        raise Refused("which tenant's agent it is was not said, or said twice", "Name a tenant, or --resume ID.")
    order = IncidentOrder(
        kind=IncidentKind.AGENT_FAILURE,
        namespace=tenant,
        resume=resume,
        note=kept_text(note, "--note"),
        marks=_marks(done, skip),
        take_over=take_over,
        dry_run=dry_run,
    )
    return _handle(invocation, order, timeout, yes=yes, rerun=rerun)


def manager_failure(
    invocation: Invocation,
    resume: Resume = None,
    done: Done = None,
    skip: Skip = None,
    note: Note = "",
    take_over: TakeOver = False,
    timeout: Timeout = "2m",
    yes: Yes = False,
    dry_run: DryRun = False,
    drill: Drill = False,
) -> ExitCode:
    """Answer the total failure of the manager, step by step.

    Shows that the tenants went on without it, restarts it, and waits until it has taken up what changed meanwhile.
    """
    from gw.ops.incidents.handling import IncidentOrder
    from gw.sources.incidents import IncidentKind

    if drill:
        return _drill(invocation, IncidentKind.MANAGER_FAILURE, timeout)
    order = IncidentOrder(
        kind=IncidentKind.MANAGER_FAILURE,
        resume=resume,
        note=kept_text(note, "--note"),
        marks=_marks(done, skip),
        take_over=take_over,
        dry_run=dry_run,
    )
    return _handle(invocation, order, timeout, yes=yes)


def _handle(
    invocation: Invocation,
    order: "IncidentOrder",
    timeout: str,
    *,
    yes: bool,
    confirm: str | None = None,
    ca_bundle_file: Path | None = None,
    rerun: bool = False,
) -> ExitCode:
    from gw.ops.incidents.handling import handle
    from gw.output.incidents import PrintedIncident, incident_view

    conversation = PrintedIncident(invocation.printer)
    make_site = _sites(
        invocation,
        conversation,
        parse_seconds(timeout, "--timeout"),
        yes=yes,
        confirm=confirm,
        ca_bundle_file=ca_bundle_file,
        rerun=rerun,
        sources=invocation.sources(),
    )

    async def operation() -> "Incident":
        async with invocation.cluster() as cluster:
            return await handle(cluster, order, make_site(order), clock=invocation.clock, conversation=conversation)

    incident = invocation.run(operation, conversation)
    invocation.printer.show(incident_view(incident, is_dry_run=order.dry_run))
    return ExitCode.OK


def _sites(
    invocation: Invocation,
    conversation: "PrintedIncident",
    timeout_seconds: float,
    *,
    yes: bool,
    confirm: str | None,
    ca_bundle_file: Path | None,
    rerun: bool,
    sources: "Sources",
) -> "Callable[[IncidentOrder], MakeSite]":
    from gw.ops.changes.carrying import Manner
    from gw.ops.incidents.restarting import restart
    from gw.ops.incidents.site import Site
    from gw.output.reruns import PrintedReruns

    def for_order(order: "IncidentOrder") -> "MakeSite":
        return lambda cluster, journal: Site(
            cluster=cluster,
            clock=invocation.clock,
            journal=journal,
            conversation=conversation,
            manner=Manner(dry_run=order.dry_run, yes=yes, confirm=confirm),
            github=invocation.surroundings.app_control(),
            sources=sources,
            restart=restart,
            reruns=PrintedReruns(invocation.printer),
            timeout_seconds=timeout_seconds,
            new_key=order.new_key,
            ca_bundle=ca_bundle_file,
            rerun=rerun,
        )

    return for_order


def _drill(invocation: Invocation, kind: "IncidentKind", timeout: str) -> ExitCode:
    from gw.ops.incident_drill import DrillTools, drill_ground, practise
    from gw.output.incidents import DrilledIncident, incident_view, markdown
    from gw.sources.cluster import ClusterTarget

    conversation = DrilledIncident(invocation.printer)
    timeout_seconds = parse_seconds(timeout, "--timeout")
    invocation.printer.note("Starting a sandbox for the drill …")
    with drill_ground() as sandbox:
        tools = DrillTools(
            open_cluster=lambda: invocation.surroundings.open_cluster(ClusterTarget(sandbox.kubeconfig)),
            look_up=invocation.surroundings.look_up_installation,
            github=invocation.surroundings.app_control(),
            clock=invocation.clock,
            conversation=conversation,
            timeout_seconds=timeout_seconds,
        )
        make_site = _sites(
            invocation,
            conversation,
            timeout_seconds,
            yes=True,
            confirm=str(sandbox.app_id),
            ca_bundle_file=sandbox.ca_path,
            rerun=True,
            sources=invocation.sources(sandbox.prometheus_url, sandbox.alertmanager_url),
        )

        async def operation() -> "Incident":
            return await practise(kind, sandbox, tools, make_site, conversation.play_with)

        incident = invocation.run(operation, conversation)
    if invocation.printer.is_for_people:
        invocation.printer.text(markdown(incident))
    else:
        invocation.printer.show(incident_view(incident))
    return ExitCode.OK


def _marks(done: list[str] | None, skip: list[str] | None) -> "Marks":
    from gw.ops.incidents.engine import Marks

    if both := sorted(set(done or ()) & set(skip or ())):
        raise Refused(f"{both[0]} is both --done and --skip", "Name it once.")
    return Marks(tuple(done or ()), tuple(skip or ()))


def _exposure(text: str | None, now: datetime) -> datetime:
    """Raises Refused."""
    if text is None:
        return now - _ASSUMED_EXPOSURE
    example = f"Write --exposed-since {now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}."
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"--exposed-since: {text!r} is no time", example) from None
    if moment.tzinfo is None:
        raise Refused(f"--exposed-since: {text!r} does not say its zone", example)
    if moment > now:
        raise Refused(f"--exposed-since {text} is in the future", example)
    return moment.astimezone(UTC)
