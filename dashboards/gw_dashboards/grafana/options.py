"""How each kind of panel is laid out: its `options`, by Grafana 12's own panel schemas."""

from typing import Any

from gw_alerts.model import TEAM
from gw_dashboards.alerting import WATCHDOG
from gw_dashboards.grafana.fields import column_title, ref_id
from gw_dashboards.model import Kind, Panel

Json = dict[str, Any]

_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_TOOLTIP = {"mode": "multi", "sort": "desc"}
_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}


def options_of(panel: Panel) -> Json:
    """The panel's `options`."""
    match panel.kind:
        case Kind.TIME_SERIES:
            return {"legend": _LEGEND, "tooltip": _TOOLTIP}
        case Kind.STAT:
            return _stat(panel)
        case Kind.GAUGE:
            return {"reduceOptions": _REDUCED, "showThresholdLabels": False, "showThresholdMarkers": True}
        case Kind.BAR_GAUGE:
            return {
                "reduceOptions": _REDUCED,
                "displayMode": "basic",
                "valueMode": "color",
                "showUnfilled": True,
                "orientation": "horizontal",
                "namePlacement": "auto",
                "sizing": "auto",
            }
        case Kind.HEATMAP:
            return _heatmap(panel)
        case Kind.STATE_TIMELINE:
            return {
                "showValue": "auto",
                "mergeValues": True,
                "alignValue": "left",
                "rowHeight": 0.9,
                "legend": {**_LEGEND, "showLegend": False},
                "tooltip": {"mode": "single", "sort": "none"},
            }
        case Kind.TABLE:
            return _table(panel)
        case Kind.ALERT_LIST:
            return _alert_list()


def _stat(panel: Panel) -> Json:
    return {
        "reduceOptions": _REDUCED,
        "colorMode": "background" if panel.bounds or panel.words else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "value_and_name" if any(query.labels for query in panel.queries) else "value",
        "wideLayout": True,
    }


def _heatmap(panel: Panel) -> Json:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "fill": "dark-orange",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        # Cells without an observation stay empty.
        "filterValues": {"le": 1e-9},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": panel.unit_of()},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
    }


def _table(panel: Panel) -> Json:
    first = panel.queries[0].name
    return {
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": first, "desc": panel.is_worst_first}],
    }


def _alert_list() -> Json:
    return {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 50,
        "sortOrder": 3,
        "alertName": "",
        "alertInstanceLabelFilter": f'{{team="{TEAM}",alertname!="{WATCHDOG.name}"}}',
        "dashboardAlerts": False,
        "showInstances": True,
        "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False, "error": True},
    }


def transformations_of(panel: Panel) -> list[Json]:
    """How a table's answers become one table: side by side, without the time, with titles for people."""
    if panel.kind is not Kind.TABLE:
        return []
    is_alone = len(panel.queries) == 1
    values = {"Value" if is_alone else f"Value #{ref_id(at)}": query.name for at, query in enumerate(panel.queries)}
    # Where a Prometheus knows several clusters, a row is of one of them; elsewhere there is no such column.
    labels = [*panel.columns, "cluster"]
    order = [*labels, *values]
    titles = {label: column_title(label) for label in labels} | values
    organized = {
        "excludeByName": {"Time": True},
        "indexByName": {name: position for position, name in enumerate(order)},
        "renameByName": titles,
    }
    merged: list[Json] = [] if is_alone else [{"id": "merge", "options": {}}]
    return [*merged, {"id": "organize", "options": organized}]
