"""Boards as files for provisioning and as ConfigMaps."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from actions_gateway.installation.selection import check_label
from actions_gateway.manifests.yamltext import render_documents
from gw.errors import Refused
from gw.ops.boards.shipped import boards_needed
from gw.ops.renderedfiles import RenderedFile, beside
from gw_alerts.model import Links

if TYPE_CHECKING:
    from gw_dashboards.model import Board

CONFIG_MAPS = "actions-gateway-dashboards.yaml"


def parse_label(text: str) -> dict[str, str]:
    """A label as `name=value`, by which a sidecar finds boards; raises Refused."""
    name, equals, value = text.partition("=")
    try:
        if not equals:
            raise ValueError("it is not KEY=VALUE")
        check_label(name, value)
    except ValueError as problem:
        raise Refused(
            f"--label: {text!r} is no label: {problem}", "Write --label grafana_dashboard=1, for example."
        ) from None
    return {name: value}


def parse_path(text: str | None) -> str | None:
    """A folder of the machine that Grafana runs on; raises Refused."""
    if text is not None and not PurePosixPath(text).is_absolute():
        raise Refused(
            f"--dashboards-path: {text!r} is no absolute path", "Write it from / on, as Grafana's machine has it."
        )
    return text


def render_text(boards: "Sequence[Board]", links: Links) -> str:
    """The JSON of a single board; raises Refused for several."""
    with boards_needed():
        from gw_dashboards.grafana import render_board
    if len(boards) > 1:
        raise Refused(
            "several boards cannot be printed",
            "Name one of them, a folder with --output-dir DIR, or --configmaps.",
        )
    return render_board(boards[0], links)


def render_config_maps(boards: "Sequence[Board]", links: Links, namespace: str, label: Mapping[str, str]) -> str:
    """The ConfigMaps as YAML documents."""
    with boards_needed():
        from gw_dashboards.provisioning import build_config_maps
    return render_documents(build_config_maps(boards, links, namespace=namespace, label=label))


def render_provisioning(
    boards: "Sequence[Board]", folder: Path, links: Links, path: str | None
) -> tuple[RenderedFile, ...]:
    """A file for each board and the one that has Grafana read them, beside what stands there; raises Refused.

    `path` is where Grafana finds the boards, None for the usual place.
    """
    with boards_needed():
        from gw_dashboards.catalog import short_name
        from gw_dashboards.grafana import render_board
        from gw_dashboards.provisioning import MOUNTED_AT, PROVIDER, board_file, render_provider
    return (
        *(beside(short_name(board), folder / board_file(board), render_board(board, links)) for board in boards),
        beside("provider", folder / PROVIDER, render_provider(path or MOUNTED_AT)),
    )


def render_config_map_file(
    boards: "Sequence[Board]", folder: Path, links: Links, namespace: str, label: Mapping[str, str]
) -> tuple[RenderedFile, ...]:
    """The ConfigMaps as one file, beside what stands in the folder; raises Refused."""
    text = render_config_maps(boards, links, namespace, label)
    return (beside("configmaps", folder / CONFIG_MAPS, text),)
