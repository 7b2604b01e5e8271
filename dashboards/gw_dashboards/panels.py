"""The only module that knows grafanalib: panels, targets and the board around them, in the shape of Grafana 11.

grafanalib 0.7.1 writes some parts in shapes that Grafana has left behind; they are replaced here, so that nothing else
has to know. Panel ids come from a digest of board and title, so that a moved panel keeps its links.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafanalib import core
from grafanalib._gen import DashboardEncoder

Json = dict[str, Any]

SCHEMA_VERSION = 39
"""Of Grafana 11; older ones would be migrated on load, and what grafanalib leaves out with them."""
DATASOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${datasource}"}
_DEAD_KEYS = ("rows", "style", "hideControls", "sharedCrosshair", "__inputs")
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it asks, what bad looks like, and where it goes on."""

    title: str
    description: str
    expression: str
    unit: str = "short"
    legend: str = ""
    is_graph: bool = False
    """A graph over time; else the last value."""
    bad_from: float | None = None
    """The value from which it is red; None for what is never bad."""
    bad_below: float | None = None
    page: str = ""
    """The runbook page, from the project's root."""
    width: int = 6


def build_board(*, uid: str, title: str, panels: Sequence[Panel]) -> Json:
    """The dashboard's JSON model, its panels from left to right in rows."""
    board = core.Dashboard(
        title=title,
        uid=uid,
        tags=["actions-gateway"],
        editable=False,
        schemaVersion=SCHEMA_VERSION,
        refresh="1m",
        time=core.Time("now-6h", "now"),
        timezone="browser",
        templating=core.Templating([core.Template(name="datasource", query="prometheus", type="datasource")]),
        panels=[_build(uid, panel) for panel in panels],
    )
    model: Json = json.loads(json.dumps(board.to_json_data(), cls=DashboardEncoder))
    for key in _DEAD_KEYS:
        model.pop(key, None)
    for panel, position in zip(model["panels"], _positions(panels), strict=True):
        panel["gridPos"] = position
    return model


def render_board(board: Json) -> str:
    """Byte-stable text."""
    return json.dumps(board, indent=2, sort_keys=True) + "\n"


def _build(uid: str, panel: Panel) -> core.Panel:
    kind, options = (core.TimeSeries, {}) if panel.is_graph else (core.Stat, {"reduceCalc": "lastNotNull"})
    target = core.Target(
        expr=panel.expression,
        legendFormat=panel.legend or None,
        datasource=dict(DATASOURCE),
        refId="A",
        intervalFactor=1,
        instant=not panel.is_graph,
    )
    return kind(
        title=panel.title,
        description=f"{panel.description} Page: {panel.page}" if panel.page else panel.description,
        dataSource=dict(DATASOURCE),
        id=_panel_id(uid, panel.title),
        maxDataPoints=None,
        targets=[target],
        extraJson={"fieldConfig": {"defaults": _field_defaults(panel), "overrides": []}},
        **options,
    )


def _field_defaults(panel: Panel) -> Json:
    return {
        "unit": panel.unit,
        "noValue": "no data",
        "thresholds": {"mode": "absolute", "steps": _steps(panel)},
        "color": {"mode": "palette-classic" if panel.is_graph else "thresholds"},
    }


def _steps(panel: Panel) -> list[Json]:
    if panel.bad_from is not None:
        return [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_from}]
    if panel.bad_below is not None:
        return [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_below}]
    return [{"color": "blue", "value": None}]


def _panel_id(uid: str, title: str) -> int:
    return int(hashlib.sha256(f"{uid}/{title}".encode()).hexdigest()[:6], 16)


def _positions(panels: Sequence[Panel]) -> list[Json]:
    found: list[Json] = []
    x = y = 0
    height = 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y, height = 0, y + height, 0
        own = 8 if panel.is_graph else 4
        found.append({"x": x, "y": y, "w": panel.width, "h": own})
        x, height = x + panel.width, max(height, own)
    return found
