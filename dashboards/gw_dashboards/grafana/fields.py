"""What a panel says about its values: unit, colours, words, links, and what nothing means."""

from typing import Any

from gw_alerts.model import TENANT_BOARD, Links
from gw_dashboards.alerting import PAGES, PAGES_FOLDER, RUNBOOK
from gw_dashboards.bounds import GOOD, PLAIN, UNKNOWN, Bounds
from gw_dashboards.model import Kind, Panel, Query, Word

Json = dict[str, Any]

_BAD_WORD = "red"
_NO_COLOR = "transparent"
_TEXT = "string"
"""The unit of what is no number, however it looks."""
_TILES = frozenset({Kind.STAT, Kind.GAUGE, Kind.BAR_GAUGE})
"""They show something, in some colour, where nothing is."""
_COLUMN_TITLES = {
    "alertname": "Alert",
    "severity": "Severity",
    "cluster": "Cluster",
    "namespace": "Tenant",
    "runner_group": "Runner group",
    "component": "Component",
    "version": "Version",
    "name": "Gateway",
    RUNBOOK: "Page",
}
_KEPT = "${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}"
"""The choices that a link to another board takes along."""
_LAID_OUT: dict[Kind, Json] = {
    Kind.HEATMAP: {"scaleDistribution": {"type": "linear"}},
    Kind.STATE_TIMELINE: {"lineWidth": 0, "fillOpacity": 70},
    Kind.TABLE: {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
}


def ref_id(position: int) -> str:
    """What Grafana calls the n-th query of a panel."""
    return chr(ord("A") + position)


def column_title(label: str) -> str:
    """What a label is called for people."""
    return _COLUMN_TITLES[label]


def field_config(panel: Panel, links: Links) -> Json:
    """The panel's `fieldConfig`."""
    overrides = _columns(panel, links) if panel.kind is Kind.TABLE else _queries(panel)
    return {"defaults": _defaults(panel), "overrides": overrides}


def _defaults(panel: Panel) -> Json:
    defaults: Json = {
        # A table's columns of values have units of their own.
        "unit": _TEXT if panel.kind is Kind.TABLE else panel.unit_of(),
        "noValue": panel.no_value,
        "thresholds": _thresholds(panel.bounds),
        "color": {"mode": "palette-classic-by-name" if panel.kind is Kind.TIME_SERIES else "thresholds"},
        "mappings": [*_mappings(panel.words), *_nothing(panel)],
        "custom": _custom(panel),
    }
    if panel.lowest is not None:
        defaults["min"] = panel.lowest
    if panel.highest is not None:
        defaults["max"] = panel.highest
    if panel.leads_to_tenant and panel.kind is not Kind.TABLE:
        defaults["links"] = [_tenant_link("${__field.labels.namespace}")]
    return defaults


def _custom(panel: Panel) -> Json:
    if panel.kind is not Kind.TIME_SERIES:
        return _LAID_OUT.get(panel.kind, {})
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.is_stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if panel.bounds else "off"},
    }


def _thresholds(bounds: Bounds | None) -> Json:
    steps = [{"color": step.color, "value": step.value} for step in bounds.steps()] if bounds else []
    return {"mode": "absolute", "steps": steps or [{"color": PLAIN, "value": None}]}


def _mappings(words: tuple[Word, ...]) -> list[Json]:
    if not words:
        return []
    options = {word.value: _meaning(word, index) for index, word in enumerate(words)}
    return [{"type": "value", "options": options}]


def _nothing(panel: Panel) -> list[Json]:
    """What is shown where there is no value: Grafana takes the colour of the lowest one."""
    if panel.kind is Kind.TABLE:
        # Of a cell. The panel's own words are for the whole table.
        return [_special(match, "-", _NO_COLOR) for match in ("null", "empty")]
    if panel.kind not in _TILES:
        return []
    color = _BAD_WORD if panel.is_bad_without else GOOD if panel.is_good_without else UNKNOWN
    return [_special("null+nan", panel.no_value, color)]


def _special(match: str, text: str, color: str) -> Json:
    return {"type": "special", "options": {"match": match, "result": {"text": text, "color": color, "index": 0}}}


def _meaning(word: Word, index: int) -> Json:
    color = PLAIN if word.is_plain else _BAD_WORD if word.is_bad else GOOD
    return {"text": word.text, "color": color, "index": index}


def _queries(panel: Panel) -> list[Json]:
    """What single queries have in place of their panel's."""
    found = []
    for position, query in enumerate(panel.queries):
        if properties := _own(query, panel):
            matcher = {"id": "byFrameRefID", "options": ref_id(position)}
            found.append({"matcher": matcher, "properties": properties})
    return found


def _own(query: Query, panel: Panel) -> list[Json]:
    properties: list[Json] = []
    if panel.unit_of(query) != panel.unit_of():
        properties.append({"id": "unit", "value": panel.unit_of(query)})
    if query.bounds:
        properties.append({"id": "thresholds", "value": _thresholds(query.bounds)})
    if query.words:
        properties.append({"id": "mappings", "value": _mappings(query.words)})
    if query.is_dashed:
        properties.append({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}})
        properties.append({"id": "custom.fillOpacity", "value": 0})
        properties.append({"id": "custom.stacking", "value": {"mode": "none", "group": "A"}})
    return properties


def _columns(panel: Panel, links: Links) -> list[Json]:
    """A table's columns: those of values by their query, those of labels by what they lead to."""
    found = [
        _column(query.name, [{"id": "unit", "value": panel.unit_of(query)}, *_coloured(panel.bounds_of(query))])
        for query in panel.queries
    ]
    if panel.leads_to_tenant:
        link = _tenant_link("${__data.fields.namespace}")
        found.append(_column(column_title("namespace"), [{"id": "links", "value": [link]}]))
    if RUNBOOK in panel.columns:
        found.append(_column(column_title(RUNBOOK), _page(links)))
    return found


def _page(links: Links) -> list[Json]:
    """A link where pages are published, and the command that shows one where they are not."""
    if not links.runbooks:
        command = {"pattern": "(.+)", "result": {"text": "gw runbook show $1", "index": 0}}
        return [{"id": "mappings", "value": [{"type": "regex", "options": command}]}]
    url = f"{links.runbooks.rstrip('/')}/{PAGES_FOLDER}/${{__value.text:raw}}"
    link = {"title": "Open the page", "url": url, "targetBlank": True}
    return [{"id": "mappings", "value": _mappings(PAGES)}, {"id": "links", "value": [link]}]


def _column(title: str, properties: list[Json]) -> Json:
    return {"matcher": {"id": "byName", "options": title}, "properties": properties}


def _coloured(bounds: Bounds | None) -> list[Json]:
    if bounds is None:
        return []
    cell = {"type": "color-background", "mode": "basic"}
    return [{"id": "thresholds", "value": _thresholds(bounds)}, {"id": "custom.cellOptions", "value": cell}]


def _tenant_link(namespace: str) -> Json:
    url = f"/d/{TENANT_BOARD}?var-namespace={namespace}&{_KEPT}"
    return {"title": "Open the tenant's board", "url": url, "targetBlank": False}
