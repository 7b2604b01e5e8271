"""How boards come into a Grafana: as files, as ConfigMaps for its sidecar, as objects for its operator."""

from collections.abc import Iterable, Mapping
from typing import Any

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.installation.metadata import metadata
from actions_gateway.kube.resources import GRAFANADASHBOARDS
from actions_gateway.manifests.yamltext import render_document
from gw_alerts.model import Links
from gw_dashboards.catalog import BOARDS
from gw_dashboards.grafana import render_board
from gw_dashboards.model import Board

Manifest = dict[str, Any]

FOLDER = "Actions Gateway"
"""Of Grafana's, in which the boards appear."""
PROVIDER = "actions-gateway-provider.yaml"
MOUNTED_AT = "/var/lib/grafana/dashboards/actions-gateway"
"""Where Grafana finds the files, unless its owner says otherwise."""
SIDECAR_LABEL: Mapping[str, str] = {"grafana_dashboard": "1"}
"""By which the sidecar of Grafana's chart finds ConfigMaps, unless its owner chose another."""
NO_LINKS = Links()


def board_file(board: Board) -> str:
    """The name of a board's file."""
    return f"{board.uid}.json"


def render_provider(path: str = MOUNTED_AT) -> str:
    """The provisioning file that has Grafana read boards from `path`; keys: Grafana documentation, "Provision Grafana".

    Nobody may edit them there: an edit would be lost with the next release, and nobody would know of it.
    """
    provider = {
        "name": "actions-gateway",
        "type": "file",
        "folder": FOLDER,
        "disableDeletion": False,
        "allowUiUpdates": False,
        "options": {"path": path},
    }
    return render_document({"apiVersion": 1, "providers": [provider]})


def build_config_maps(
    boards: Iterable[Board] = BOARDS,
    links: Links = NO_LINKS,
    *,
    namespace: str = MANAGER_NAMESPACE,
    label: Mapping[str, str] = SIDECAR_LABEL,
) -> list[Manifest]:
    """One ConfigMap a board, as Grafana's sidecar takes them."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _labelled(board, namespace, label),
            "data": {board_file(board): render_board(board, links)},
        }
        for board in boards
    ]


def build_grafana_dashboards(links: Links = NO_LINKS) -> list[Manifest]:
    """For the Grafana instances that the platform's owners labelled; field names: grafana.integreatly.org/v1beta1."""
    return [
        {
            "apiVersion": GRAFANADASHBOARDS.api_version,
            "kind": GRAFANADASHBOARDS.kind,
            "metadata": metadata(board.uid, namespaced=True),
            "spec": {
                "allowCrossNamespaceImport": True,
                "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
                "json": render_board(board, links),
            },
        }
        for board in BOARDS
    ]


def _labelled(board: Board, namespace: str, label: Mapping[str, str]) -> Manifest:
    built = metadata(board.uid, namespaced=True)
    return {**built, "namespace": namespace, "labels": {**built["labels"], **label}}
