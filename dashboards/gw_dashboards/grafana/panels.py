"""A panel as grafanalib carries it, in the shape that Grafana 12 reads."""

import hashlib
from collections.abc import Mapping
from typing import Any

from grafanalib import core

from actions_gateway.installation.monitoring import INTERVAL as SCRAPE_INTERVAL
from gw_alerts.model import Links
from gw_dashboards.grafana.fields import field_config, ref_id
from gw_dashboards.grafana.options import options_of, transformations_of
from gw_dashboards.model import Kind, Panel, Query

Json = dict[str, Any]

DATASOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHTS: Mapping[Kind, int] = {Kind.STAT: 4, Kind.GAUGE: 5, Kind.BAR_GAUGE: 6}
_USUAL_HEIGHT = 8
_READ = (
    "type", "id", "title", "description", "datasource", "gridPos", "links", "targets", "fieldConfig", "options",
    "transformations",
)  # fmt: skip
"""What Grafana still reads of the keys that grafanalib gives every panel."""


class Visualization(core.Panel):  # type: ignore[misc]
    """Any kind of panel: grafanalib's own classes write several of them as Grafana 7 did."""

    def __init__(self, kind: Kind, options: Json, fields: Json, **common: Any) -> None:
        super().__init__(**common)
        self._own = {"type": kind.value, "options": options, "fieldConfig": fields}

    def to_json_data(self) -> Json:
        written = self.panel_json({}) | self._own
        return {key: written[key] for key in _READ if written[key] not in (None, [])}


def build_panel(uid: str, panel: Panel, position: Json, links: Links) -> Visualization:
    """A panel of the board `uid`."""
    return Visualization(
        panel.kind,
        options_of(panel),
        field_config(panel, links),
        id=panel_id(uid, panel.title),
        title=panel.title,
        description=describe(panel, links),
        dataSource=dict(DATASOURCE),
        gridPos=position,
        links=[_page_link(panel, links)] if panel.alerts and links.runbooks else [],
        targets=[_target(panel, query, ref_id(at)) for at, query in enumerate(panel.queries)],
        transformations=transformations_of(panel),
    )


def panel_id(uid: str, title: str) -> int:
    """From a digest of board and title, so that a panel that moves keeps its links."""
    return int(hashlib.sha256(f"{uid}/{title}".encode()).hexdigest()[:6], 16)


def height_of(panel: Panel) -> int:
    """In rows of the grid."""
    return panel.height or _HEIGHTS.get(panel.kind, _USUAL_HEIGHT)


def describe(panel: Panel, links: Links) -> str:
    """What it shows, which alerts watch that, and how to read the page where no link leads to it."""
    names = ", ".join(alert.name for alert in panel.alerts)
    if not names:
        return panel.description
    page = "" if links.runbooks else f"\n\nPage: `gw runbook show {panel.alerts[0].name}`"
    return f"{panel.description}\n\n{'Alerts' if len(panel.alerts) > 1 else 'Alert'}: {names}{page}"


def _page_link(panel: Panel, links: Links) -> Json:
    first = panel.alerts[0]
    return {"title": f"Page: {first.name}", "url": links.page(first.page, first.anchor), "targetBlank": True}


def _target(panel: Panel, query: Query, ref: str) -> Json:
    formats = {Kind.TABLE: "table", Kind.HEATMAP: "heatmap"}
    return {
        "datasource": dict(DATASOURCE),
        "editorMode": "code",
        "expr": query.expression,
        "format": formats.get(panel.kind, "time_series"),
        # Grafana would take that of its data source, which is shorter unless somebody sets it.
        "interval": SCRAPE_INTERVAL,
        "instant": not panel.kind.is_over_time,
        "range": panel.kind.is_over_time,
        "legendFormat": _legend(panel, query),
        "refId": ref,
    }


def _legend(panel: Panel, query: Query) -> str:
    words = [query.name, *(f"{{{{{label}}}}}" for label in query.labels)]
    return " ".join(word for word in words if word) or panel.title
