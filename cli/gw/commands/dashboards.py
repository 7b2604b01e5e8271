"""`gw dashboards render` and `gw dashboards check`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gw.commands.invocation import Invocation, command
from gw.errors import Refused
from gw.exits import ExitCode

if TYPE_CHECKING:
    from gw.ops.boards.comparison import BoardCheck

_SIDECAR = "grafana_dashboard=1"
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="NAME=VALUE",
        help=f"The label by which Grafana's sidecar finds ConfigMaps.  [default: {_SIDECAR}]",
    ),
]


def _board_names(beginning: str) -> list[str]:
    from gw_dashboards.catalog import BOARDS, short_name

    return [name for board in BOARDS if (name := short_name(board)).startswith(beginning)]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "render", uses_cluster=False)(render)
    command(app, "check")(check)


def render(
    invocation: Invocation,
    boards: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BOARD",
            help="oncall, fleet, tenant, slo or egress. All of them when left out.",
            autocompletion=_board_names,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output-dir", metavar="DIR", help="Write files there, with the one for Grafana's provisioning."),
    ] = None,
    config_maps: Annotated[
        bool, typer.Option("--configmaps", help="As ConfigMaps, which Grafana's sidecar finds by their label.")
    ] = False,
    namespace: Annotated[
        str | None, typer.Option("--namespace", metavar="NS", help="Of the ConfigMaps. Else the manager's.")
    ] = None,
    label: Label = None,
    runbook_url: Annotated[
        str | None,
        typer.Option("--runbook-url", metavar="URL", help="Where the runbooks/ folder is published, without it."),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            "--dashboards-path",
            metavar="PATH",
            help="Where Grafana finds the boards' files, for the provisioning file.  "
            "[default: /var/lib/grafana/dashboards/actions-gateway]",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> ExitCode:
    """Render the dashboards.

    They come with gw: no cluster is asked. One board is printed, as are ConfigMaps; several files need a folder. A file
    that differs is overwritten with --force only, or when you say so; then files are written whole.
    """
    from actions_gateway.api.names import MANAGER_NAMESPACE
    from gw.ops.boards import rendering
    from gw.ops.boards.shipped import find_boards
    from gw.ops.namespaces import check_namespace_name
    from gw.ops.renderedfiles import write_files
    from gw.output.boards import render_advice
    from gw.output.renderedfiles import PrintedFiles, rendered_view
    from gw.sources.places import parse_url
    from gw_alerts.model import Links

    chosen = find_boards(boards or [])
    links = Links(runbooks=parse_url(runbook_url, "--runbook-url") if runbook_url else "")
    where, labels = namespace or MANAGER_NAMESPACE, rendering.parse_label(label or _SIDECAR)
    check_namespace_name(where)
    for option, given in (("--namespace", namespace), ("--label", label)):
        if given is not None and not config_maps:
            raise Refused(f"{option} is of ConfigMaps", f"Add --configmaps, or leave {option} out.")
    if path is not None and (folder is None or config_maps):
        raise Refused("--dashboards-path is of a provisioning file", "Name its folder with --output-dir DIR.")
    if folder is None:
        text = (
            rendering.render_config_maps(chosen, links, where, labels)
            if config_maps
            else rendering.render_text(chosen, links)
        )
        invocation.printer.text(text)
        return ExitCode.OK
    files = (
        rendering.render_config_map_file(chosen, folder, links, where, labels)
        if config_maps
        else rendering.render_provisioning(chosen, folder, links, rendering.parse_path(path))
    )
    write_files(folder, files, force=force, agree=PrintedFiles(invocation.printer).agrees)
    invocation.printer.show(rendered_view("RenderedDashboards", folder, files))
    invocation.printer.notes(render_advice(path, has_config_maps=config_maps, has_links=bool(links.runbooks)))
    return ExitCode.OK


def check(
    invocation: Invocation,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="The files that Grafana's provisioning reads. Else the cluster's."
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", metavar="NS", help="The namespace to look in. Else all.")
    ] = None,
    label: Label = None,
) -> ExitCode:
    """Compare the dashboards that Grafana gets with those that ship.

    Files of a folder, or GrafanaDashboards and ConfigMaps of the cluster; Grafana itself is not asked. Says which were
    changed by hand, and where. Exits with 1 when one differs, is missing or is not shipped, 3 when none is found.
    """
    from gw.ops.boards.checking import check_cluster, check_folder
    from gw.ops.boards.rendering import parse_label
    from gw.output.boards import board_check_view, check_advice

    labels = parse_label(label or _SIDECAR)
    for option, given in (("--namespace", namespace), ("--label", label)):
        if given is not None and folder is not None:
            raise Refused(f"{option} is of the cluster's boards", f"Leave {option} out, or --folder.")
    if folder is not None:
        found = check_folder(folder)
    else:

        async def operation() -> "BoardCheck":
            async with invocation.cluster() as cluster:
                return await check_cluster(cluster, namespace, labels)

        found = asyncio.run(operation())
    invocation.printer.show(board_check_view(found))
    invocation.printer.notes(check_advice(found))
    return found.exit_code
