"""`gw logs`."""

import asyncio
from typing import Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import Namespace, parse_seconds

_COMPONENTS = ("agent", "manager", "proxy", "worker")
_LEVELS = ("debug", "info", "warning", "error")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "logs")(logs)


def _components(beginning: str) -> list[str]:
    return [name for name in _COMPONENTS if name.startswith(beginning)]


def _levels(beginning: str) -> list[str]:
    return [name for name in _LEVELS if name.startswith(beginning)]


def logs(
    invocation: Invocation,
    target: Annotated[
        str,
        typer.Argument(
            metavar="agent|manager|proxy|worker|RUN",
            help="A component; or a run's id, its address at GitHub, or a pod.",
            autocompletion=_components,
        ),
    ],
    namespace: Namespace = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Only what is no older, such as 1h.")
    ] = None,
    tail: Annotated[
        int | None,
        typer.Option("--tail", metavar="N", help="Of each container the last so many lines. Else 200 without --since."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines, of new pods too, until interrupted.")
    ] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="What restarted containers wrote before their last start.")
    ] = False,
    level: Annotated[
        str | None,
        typer.Option(
            "--level",
            metavar="LEVEL",
            help="Only lines at least so bad: debug, info, warning, error. Lines without a level stay.",
            autocompletion=_levels,
        ),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option("--job", metavar="RUN", help="Only what is about this run: its workers, or lines that name them."),
    ] = None,
    grep: Annotated[
        str, typer.Option("--grep", metavar="TEXT", help="Only lines with this text, whatever the case of letters.")
    ] = "",
) -> ExitCode:
    """Show what manager, agent, proxies or workers wrote.

    Several pods' lines come by time, each after its pod's name. What looks like a key or a token is left out. Exits
    with 2 when nothing of that name is there, 3 when a log could not be read.
    """
    from gw.ops.logs.following import Following
    from gw.ops.logs.reading import LogReport, read_logs
    from gw.ops.logs.request import LogRequest, parse_level, parse_tail, parse_target
    from gw.output.logs import LogPrinting
    from gw.sources.jobs import parse_job_reference
    from gw.sources.logs import LogLine
    from gw.sources.pods import PodRole

    wanted, where = parse_target(target), invocation.namespace(namespace)
    if isinstance(wanted, PodRole) and wanted is not PodRole.MANAGER and where is None:
        raise Refused("no tenant was named", f"Name one: `gw logs {target} -n NAME`; `gw tenant list` shows them.")
    if follow and previous:
        raise Refused("--previous reads what has ended, --follow what goes on", "Leave out one of them.")
    request = LogRequest(
        namespace=where,
        target=wanted,
        since_seconds=parse_seconds(since, "--since") if since is not None else None,
        tail=parse_tail(tail),
        previous=previous,
        level=parse_level(level) if level is not None else None,
        job=parse_job_reference(job) if job is not None else None,
        text=grep,
    )
    printer = invocation.printer

    def on_report(report: LogReport) -> None:
        # The containers of a following change: its lines always name theirs.
        printing = LogPrinting([] if follow else report.sources)
        for line in report.lines:
            printer.show_item(printing.view(line))
        printer.notes([f"Note:  {note}." for note in report.notes])
        printer.notes([f"Unread: {reason}." for reason in report.unread])

    def on_line(line: LogLine) -> None:
        printer.show_item(LogPrinting([]).view(line))

    async def operation() -> LogReport:
        async with invocation.cluster() as cluster:
            if follow:
                following = Following(
                    cluster,
                    request,
                    invocation.clock,
                    on_report,
                    on_line,
                    on_note=lambda text: printer.note(f"Note:  {text}."),
                )
                await following.follow()
            return await read_logs(cluster, request)

    report = asyncio.run(operation())
    on_report(report)
    if not report.lines:
        printer.note("No line fits." if request.is_filtered or since else "Nothing was written yet.")
    return report.exit_code
