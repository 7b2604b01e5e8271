"""A whole board: its variables, annotations, links, and its panels on the grid of 24 columns."""

import json
from collections.abc import Iterator
from typing import Any

from grafanalib import core
from grafanalib._gen import DashboardEncoder

from actions_gateway.metrics import catalog as m
from gw_alerts.model import Links, Recording
from gw_alerts.recordings import EXPECTED_AGENTS, EXPECTED_SESSIONS
from gw_dashboards.alerting import firing_series
from gw_dashboards.grafana.panels import DATASOURCE, build_panel, height_of, panel_id
from gw_dashboards.model import Board, Panel, Row, Variable
from gw_dashboards.promql import OF_CLUSTER, OF_TENANT, select

Json = dict[str, Any]

SCHEMA_VERSION = 42
"""The last of this model of dashboards, so Grafana migrates nothing on load (its `DashboardMigrator`)."""
COLUMNS = 24
_DEAD_KEYS = ("__inputs", "gnetId", "hideControls", "id", "rows", "sharedCrosshair", "style", "timepicker")
_ALL = ".*"
"""Not `.+`: a single cluster's Prometheus has no label `cluster`."""
_LABEL_VALUES = 1
_ON_TIME_RANGE = 2
_ALPHABETICAL = 1
_SHARED_CROSSHAIR = 1
_VARIABLES: dict[Variable, tuple[str, Recording, str]] = {
    Variable.CLUSTER: ("Cluster", EXPECTED_AGENTS, ""),
    Variable.NAMESPACE: ("Tenant", EXPECTED_AGENTS, OF_CLUSTER),
    Variable.RUNNER_GROUP: ("Runner group", EXPECTED_SESSIONS, OF_TENANT),
}
"""What it is called for people, what it is read from, and what was chosen before it.

Expectations outlive what is expected: a tenant whose agent died can still be chosen, as one without a runner group.
"""


def build_board(board: Board, links: Links = Links()) -> Json:  # noqa: B008  # it is frozen
    """The dashboard's JSON model; `links` says where the runbook's pages are published."""
    dashboard = core.Dashboard(
        title=board.title,
        uid=board.uid,
        description=board.description,
        tags=[tag.value for tag in board.tags],
        editable=False,
        schemaVersion=SCHEMA_VERSION,
        graphTooltip=_SHARED_CROSSHAIR,
        refresh=board.refresh,
        time=core.Time(board.since, "now"),
        timezone="browser",
        templating=core.Templating(list(_variables(board))),
        annotations=core.Annotations(list(_annotations(board))),
        links=[_menu(tag) for tag in board.links],
        panels=list(_placed(board, links)),
    )
    model: Json = json.loads(json.dumps(dashboard.to_json_data(), cls=DashboardEncoder))
    return {key: value for key, value in model.items() if key not in _DEAD_KEYS}


def render_board(board: Board, links: Links = Links()) -> str:  # noqa: B008  # it is frozen
    """Byte-stable text."""
    return json.dumps(build_board(board, links), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def choices(variable: Variable) -> str:
    """The series whose labels are the values of a variable."""
    _, series, scope = _VARIABLES[variable]
    return f"{series.name}{{{scope}}}" if scope else series.name


def _placed(board: Board, links: Links) -> Iterator[Any]:
    top = 0
    for row in board.rows:
        heading: Json = {
            "type": "row",
            "id": panel_id(board.uid, f"row {row.title}"),
            "title": row.title,
            "collapsed": row.is_collapsed,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        places, bottom = _places(row, top + 1)
        panels = [build_panel(board.uid, panel, place, links) for panel, place in places]
        if row.is_collapsed:
            yield heading | {"panels": panels}
            top += 1
        else:
            yield heading
            yield from panels
            top = bottom


def _places(row: Row, top: int) -> tuple[list[tuple[Panel, Json]], int]:
    """From left to right, each line as high as its highest panel; and where the next row begins."""
    found: list[tuple[Panel, Json]] = []
    left, height = 0, 0
    for panel in row.panels:
        if left + panel.width > COLUMNS:
            left, top, height = 0, top + height, 0
        own = height_of(panel)
        found.append((panel, {"x": left, "y": top, "w": panel.width, "h": own}))
        left, height = left + panel.width, max(height, own)
    return found, top + height


def _variables(board: Board) -> Iterator[Json]:
    yield {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "options": [],
        "regex": "",
    }
    for variable in board.variables:
        title, _, _ = _VARIABLES[variable]
        query = f"label_values({choices(variable)}, {variable.value})"
        yield {
            "type": "query",
            "name": variable.value,
            "label": title,
            "datasource": dict(DATASOURCE),
            "definition": query,
            "query": {"query": query, "qryType": _LABEL_VALUES, "refId": f"Variable-{variable.value}"},
            "refresh": _ON_TIME_RANGE,
            "sort": _ALPHABETICAL,
            "multi": True,
            "includeAll": True,
            "allValue": _ALL,
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
            "regex": "",
        }


def _annotations(board: Board) -> Iterator[Json]:
    scope = OF_TENANT if Variable.NAMESPACE in board.variables else OF_CLUSTER
    yield _annotation(
        "Alerts", firing_series("page|ticket", scope), "red", "{{alertname}}", "{{namespace}} {{runner_group}}"
    )
    processes = f"count by (component, version) ({select(m.BUILD_INFO, OF_CLUSTER)}"
    yield _annotation(
        "New versions",
        # A version that was not there five minutes before.
        f"{processes}) unless {processes} offset 5m)",
        "blue",
        "{{component}} {{version}}",
        "The first process of this version",
    )


def _annotation(name: str, expression: str, color: str, title: str, text: str) -> Json:
    return {
        "name": name,
        "datasource": dict(DATASOURCE),
        "enable": True,
        "hide": False,
        "iconColor": color,
        "target": {"expr": expression, "refId": "Anno", "interval": "60s", "datasource": dict(DATASOURCE)},
        "titleFormat": title,
        "textFormat": text,
    }


def _menu(tag: str) -> Json:
    return {
        "title": "Boards",
        "type": "dashboards",
        "icon": "external link",
        "tooltip": "The other boards of Actions Gateway, with what is chosen here",
        "url": "",
        "tags": [tag],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
