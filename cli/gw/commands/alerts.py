"""`gw alerts render`, `check`, `list` and `test`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode
from gw.options import AlertmanagerUrl, DryRun, Namespace, PrometheusUrl, TenantOrAll, Yes, parse_seconds

if TYPE_CHECKING:
    from gw.ops.alerting.checking import AlertsCheck
    from gw.ops.alerting.delivery import PageResult
    from gw.ops.alerting.listing import AlertList
    from gw_alerts.model import Links

ValuesFile = Annotated[
    Path | None,
    typer.Option(
        "--values",
        metavar="FILE",
        help="What the installation says of itself: cluster, links, receivers; `gw alerts render values` prints one.",
    ),
]


def _artefacts(beginning: str) -> list[str]:
    from gw.ops.alerting.rendering import Artefact

    return [each.value for each in Artefact if each.startswith(beginning)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "render", uses_cluster=False)(render)
    command(app, "check")(check)
    command(app, "list")(list_)
    command(app, "test")(send_test)


def render(
    invocation: Invocation,
    artefact: Annotated[
        str | None,
        typer.Argument(
            metavar="WHAT",
            help="rules, prometheusrule, scrape, monitors, alertmanager, prometheus, cases, or an example of values. "
            "All files of an installation when left out.",
            autocompletion=_artefacts,
        ),
    ] = None,
    values: ValuesFile = None,
    folder: Annotated[
        Path | None, typer.Option("--output-dir", metavar="DIR", help="Write files there. Else one is printed.")
    ] = None,
    runbook_url: Annotated[
        str | None,
        typer.Option("--runbook-url", metavar="URL", help="Where the runbooks/ folder is published, without it."),
    ] = None,
    grafana_url: Annotated[
        str | None, typer.Option("--grafana-url", metavar="URL", help="Grafana, for links to dashboards.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="KEY=VALUE",
            help="By which Prometheus selects monitors and rules. Repeatable; before those of the values.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> ExitCode:
    """Render rules, scrape configuration and routes.

    They come with gw: no cluster is asked. A file that differs is overwritten with --force only, or when you say so;
    then files are written whole. Secrets are never in them: receivers read theirs from files.
    """
    from gw.ops.alerting.rendering import parse_artefact, parse_labels, read_values, render_files, render_text
    from gw.ops.renderedfiles import write_files
    from gw.output.renderedfiles import PrintedFiles, rendered_view

    wanted = parse_artefact(artefact) if artefact is not None else None
    links = _links(runbook_url, grafana_url)
    selected_by = parse_labels(label or (), wanted)
    known = read_values(values, links)
    if folder is None:
        if wanted is None:
            raise Refused("several files cannot be printed", "Name one of them, or a folder with --output-dir DIR.")
        invocation.printer.text(render_text(wanted, known, links, selected_by))
        return ExitCode.OK
    files = render_files(folder, [wanted] if wanted is not None else [], known, links, selected_by)
    write_files(folder, files, force=force, agree=PrintedFiles(invocation.printer).agrees)
    invocation.printer.show(rendered_view("RenderedAlerts", folder, files))
    return ExitCode.OK


def check(
    invocation: Invocation,
    values: ValuesFile = None,
    prometheus_url: PrometheusUrl = None,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """Compare what is loaded with what this release ships.

    Every rule of this cluster's Prometheus, and whether its Alertmanager sends each alert where it should, in time and
    at any hour, and keeps quiet what it should and no page besides. Nothing is written. Exits with 1 when something
    differs, 3 when something could not be found out.
    """
    from gw.ops.alerting.checking import check_alerts
    from gw.ops.alerting.rendering import read_values
    from gw.output.alerting.checking import check_advice, check_view
    from gw_alerts.model import Links

    known = read_values(values, Links())
    sources = invocation.sources(prometheus_url, alertmanager_url)

    async def operation() -> "AlertsCheck":
        async with invocation.cluster() as cluster:
            return await check_alerts(cluster, known, invocation.clock, sources)

    found = asyncio.run(operation())
    invocation.printer.show(check_view(found))
    invocation.printer.notes(check_advice(found))
    return found.exit_code


def list_(
    invocation: Invocation,
    tenant: TenantOrAll = None,
    namespace: Namespace = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the dead-man's switch, and what only keeps others quiet.")
    ] = False,
    prometheus_url: PrometheusUrl = None,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """List the alerts that fire.

    Since when, silenced or inhibited by what, with the runbook's page and the command to begin with. Exits with 3 when
    there may be others.
    """
    from gw.ops.alerting.listing import list_alerts
    from gw.output.alerting.listing import alert_list_view, doubt_lines

    sources = invocation.sources(prometheus_url, alertmanager_url)
    wanted = invocation.namespace(tenant, namespace)

    async def operation() -> "AlertList":
        async with invocation.cluster() as cluster:
            return await list_alerts(cluster, wanted, invocation.clock, sources, everything=everything)

    found = asyncio.run(operation())
    invocation.printer.show(alert_list_view(found))
    invocation.printer.notes(doubt_lines(found))
    return found.exit_code


def send_test(
    invocation: Invocation,
    namespace: Namespace = None,
    cluster_name: Annotated[
        str | None,
        typer.Option("--cluster", metavar="NAME", help="The label by which the receivers tell clusters apart."),
    ] = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="DURATION", help="How long to wait for the notification.")
    ] = "90s",
    yes: Yes = False,
    dry_run: DryRun = False,
    alertmanager_url: AlertmanagerUrl = None,
) -> ExitCode:
    """Send a marked page by the real route and prove that it arrives.

    Whoever is on call gets a page that says it is a test; it is taken back at the end, and no other alert is touched.
    Alertmanager's own counters tell whether the receiver has taken it. Exits with 1 when it does not take it or nobody
    would be told, 3 when no notification was seen.
    """
    from gw.ops.alerting.delivery import PageOrder, prove_delivery
    from gw.output.alerting.delivery import PrintedPage, page_view

    order = PageOrder(
        invocation.namespace(namespace), cluster_name, parse_seconds(timeout, "--timeout"), dry_run=dry_run
    )
    sources = invocation.sources(alertmanager_url=alertmanager_url)
    conversation = PrintedPage(invocation.printer, yes=yes)

    async def operation() -> "PageResult":
        async with invocation.cluster() as cluster:
            return await prove_delivery(cluster, order, invocation.clock, sources, conversation)

    result = asyncio.run(operation())
    invocation.printer.show(page_view(result))
    if result.next_step:
        invocation.printer.note(f"Next:  {result.next_step}")
    return result.exit_code


def _links(runbook_url: str | None, grafana_url: str | None) -> "Links":
    from gw.sources.places import parse_url
    from gw_alerts.model import Links

    return Links(
        runbooks=parse_url(runbook_url, "--runbook-url") if runbook_url else "",
        grafana=parse_url(grafana_url, "--grafana-url") if grafana_url else "",
    )
