"""What every board holds to: the rules of Grafana's dashboard-linter that fit, and this project's own.

Left out of the former are variables `job` and `instance`: queries choose by metric and tenant.
"""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.installation.monitoring import INTERVAL as SCRAPE_INTERVAL
from actions_gateway.metrics.catalog import CATALOG
from gw_alerts import slos
from gw_alerts.catalog import ALERTS, watching
from gw_alerts.model import TEAM, TENANT_BOARD, Links
from gw_alerts.thresholds import Severity, Threshold
from gw_dashboards.alerting import PAGES, PAGES_FOLDER, RUNBOOK, WATCHDOG
from gw_dashboards.bounds import BAD, GOOD, UNKNOWN, Step, beyond, counted, difference, firing, instances
from gw_dashboards.catalog import BOARDS, short_name
from gw_dashboards.coverage import NOT_SHOWN, shown
from gw_dashboards.grafana import Json, build_board
from gw_dashboards.model import Board, Kind, Panel, Presence, Query, Tag, Variable
from gw_dashboards.promql import INTERVAL
from support.page_commands import inline_commands_in, refusal
from support.promql import known_labels, selections

ROOT = Path(__file__).parents[3]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
PUBLISHED = Links(runbooks="https://runbooks.example.com/gateway")
MODELS = {board.uid: build_board(board) for board in BOARDS}
PUBLISHED_MODELS = {board.uid: build_board(board, PUBLISHED) for board in BOARDS}
WINDOW_WORDS = {
    "1h": "hour",
    "10m": "10 minutes",
    "5m": "5 minutes",
    "2m": "two minutes",
    "15m": "15 minutes",
    "24h": "day",
}
MOST_VISIBLE = 22
"""More than fit a reader's minute belong into a collapsed row."""

each_board = pytest.mark.parametrize("board", BOARDS, ids=short_name)
each_panel = pytest.mark.parametrize(
    ("board", "panel"),
    [
        pytest.param(board, panel, id=f"{short_name(board)} {panel.title}")
        for board in BOARDS
        for panel in board.panels()
    ],
)
each_query = pytest.mark.parametrize(
    ("panel", "query"),
    [
        pytest.param(panel, query, id=f"{short_name(board)} {panel.title} {query.name}".strip())
        for board in BOARDS
        for panel, query in board.queries()
    ],
)


def drawn(model: Json) -> Iterator[Json]:
    """All panels of a board's model but the rows, those in collapsed rows too."""
    for panel in model["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def find(board: Board, panel: Panel) -> Json:
    return next(each for each in drawn(MODELS[board.uid]) if each["title"] == panel.title)


@each_board
def test_its_address_stays_and_nobody_edits_it_by_hand(board: Board) -> None:
    model = MODELS[board.uid]
    assert (model["uid"], model["editable"]) == (board.uid, False)
    assert len(board.uid) <= 40, "Grafana takes no longer uid"
    assert {each.uid for each in BOARDS} == MODELS.keys()
    ids = [panel["id"] for panel in (*drawn(model), *(each for each in model["panels"] if each["type"] == "row"))]
    assert len(set(ids)) == len(ids)


@each_board
def test_a_moved_panel_keeps_its_id(board: Board) -> None:
    turned = Board(board.uid, board.title, board.description, tuple(reversed(board.rows)), board.variables, board.tags)
    before, after = ({panel["title"]: panel["id"] for panel in drawn(build_board(each))} for each in (board, turned))
    assert before == after


@each_board
def test_the_variables_choose_among_what_the_earlier_ones_leave(board: Board) -> None:
    source, *others = MODELS[board.uid]["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert [each["name"] for each in others] == [variable.value for variable in board.variables]
    earlier: list[str] = []
    for variable in others:
        assert variable["datasource"] == DATASOURCE
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".*")
        assert variable["refresh"] == 2, "on a change of the time range"
        query = variable["query"]["query"]
        assert re.search(r"actions_gateway_expected_(agents|sessions):remembered", query)
        assert all(f'{name}=~"${name}"' in query for name in earlier)
        earlier.append(variable["name"])


@each_board
def test_links_lead_to_the_other_boards_with_what_is_chosen(board: Board) -> None:
    for link in MODELS[board.uid]["links"]:
        assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
            "dashboards",
            [Tag.ALL.value],
            True,
            True,
        )
    assert Tag.ALL in board.tags


@each_board
def test_annotations_tell_of_alerts_and_of_new_versions(board: Board) -> None:
    annotations = MODELS[board.uid]["annotations"]["list"]
    assert [each["name"] for each in annotations] == ["Alerts", "New versions"]
    assert all(each["datasource"] == each["target"]["datasource"] == DATASOURCE for each in annotations)
    for each in annotations:
        check_series(each["target"]["expr"])


@each_board
def test_no_panel_covers_another_one(board: Board) -> None:
    model = MODELS[board.uid]
    rows = [panel for panel in model["panels"] if panel["type"] == "row"]
    # Open, a collapsed row moves what is below it: it is looked at by itself.
    for panels in (model["panels"], *(row["panels"] for row in rows if row["collapsed"])):
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x, y in itertools.product(
                range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
            )
        ]
        assert len(set(cells)) == len(cells)
        assert all(0 <= x < 24 for x, _ in cells)


@each_board
def test_what_is_open_fits_a_readers_minute(board: Board) -> None:
    assert sum(len(row.panels) for row in board.rows if not row.is_collapsed) <= MOST_VISIBLE


@each_panel
def test_a_panel_says_what_it_shows_and_what_nothing_means(board: Board, panel: Panel) -> None:
    model = find(board, panel)
    assert model["datasource"] == DATASOURCE
    assert all(target["datasource"] == DATASOURCE for target in model.get("targets", ()))
    assert model["fieldConfig"]["defaults"]["unit"]
    assert model["fieldConfig"]["defaults"]["noValue"] == panel.no_value
    assert len(panel.no_value) > len("No data")
    assert panel.description.endswith(".")
    assert len(panel.description) > 20
    assert all(alert.name in model["description"] for alert in panel.alerts)
    assert len(panel.queries) <= 4 or panel.kind is Kind.TABLE


@each_panel
def test_a_panels_colours_are_its_alerts_thresholds(board: Board, panel: Panel) -> None:
    watched = {threshold for alert in panel.alerts for threshold in alert.thresholds} | {slos.SPENT}
    assert set(panel.thresholds()) <= watched
    for bounds in filter(None, [panel.bounds, *(query.bounds for query in panel.queries)]):
        assert (
            bounds.unit == "short"
            or bounds.unit == panel.unit_of()
            or any(panel.unit_of(query) == bounds.unit for query in panel.queries)
        )
        for step in bounds.steps()[1:]:
            assert step.value in ({0, 1} if bounds.is_exact else {1}) | {
                each.value + whole for each in bounds.thresholds for whole in (0, 1)
            }
        if bounds.severity:
            assert bounds.thresholds == ()


@each_panel
def test_a_panels_link_leads_to_its_first_alerts_place_on_its_page(board: Board, panel: Panel) -> None:
    published = next(each for each in drawn(PUBLISHED_MODELS[board.uid]) if each["title"] == panel.title)
    links = published.get("links", [])
    assert len(links) == (1 if panel.alerts else 0)
    for link in links:
        path, _, anchor = link["url"].removeprefix(f"{PUBLISHED.runbooks}/").partition("#")
        assert (ROOT / path).is_file()
        assert anchor == panel.alerts[0].anchor


@each_panel
def test_where_no_page_is_published_a_command_stands_in_for_the_link(board: Board, panel: Panel) -> None:
    model = find(board, panel)
    assert "links" not in model
    assert PAGES_FOLDER not in str(model)
    if panel.alerts:
        assert f"`gw runbook show {panel.alerts[0].name}`" in model["description"]
    assert ("gw runbook show $1" in str(model["fieldConfig"])) == (RUNBOOK in panel.columns)


@each_board
def test_gw_knows_every_command_that_a_board_names(board: Board) -> None:
    commands = inline_commands_in(json.dumps(MODELS[board.uid], ensure_ascii=False).replace("$1", "ALERT"))
    assert commands
    assert [problem for text in commands if (problem := refusal(shlex.split(text)[1:], may_lack=True))] == []


def shown_without(model: Json) -> dict[str, tuple[str, str]]:
    """Text and colour in place of what is not there, by what Grafana matches."""
    special = [each["options"] for each in model["fieldConfig"]["defaults"]["mappings"] if each["type"] == "special"]
    return {each["match"]: (each["result"]["text"], each["result"]["color"]) for each in special}


@each_panel
def test_what_nobody_knows_is_not_coloured_as_fine_or_as_broken(board: Board, panel: Panel) -> None:
    shown = shown_without(find(board, panel))
    if panel.kind in {Kind.STAT, Kind.GAUGE, Kind.BAR_GAUGE}:
        is_fault = all(query.presence is Presence.FAULT for query in panel.queries)
        color = BAD[Severity.PAGE] if WATCHDOG in panel.alerts else GOOD if is_fault else UNKNOWN
        assert shown == {"null+nan": (panel.no_value, color)}
    elif panel.kind is Kind.TABLE:
        assert shown == {"null": ("-", "transparent"), "empty": ("-", "transparent")}
    else:
        assert shown == {}


def test_nothing_is_fine_on_panels_of_faults_only() -> None:
    fine = {
        panel.title for board in BOARDS for panel in board.panels() if (GOOD in str(shown_without(find(board, panel))))
    }
    assert fine == {"Limited by GitHub for"}


@each_panel
def test_a_tables_labels_are_text_however_they_look(board: Board, panel: Panel) -> None:
    fields = find(board, panel)["fieldConfig"]
    if panel.kind is Kind.TABLE:
        assert fields["defaults"]["unit"] == "string"
        units = {
            each["matcher"]["options"]: each["properties"][0]["value"]
            for each in fields["overrides"]
            if each["properties"][0]["id"] == "unit"
        }
        assert units == {query.name: panel.unit_of(query) for query in panel.queries}


@each_panel
def test_a_rates_window_is_made_of_our_scrapes(board: Board, panel: Panel) -> None:
    assert {target["interval"] for target in find(board, panel).get("targets", ())} <= {SCRAPE_INTERVAL}


@each_query
def test_an_alert_is_ours_and_not_another_projects_of_that_name(panel: Panel, query: Query) -> None:
    for matchers in re.findall(r"\bALERTS(?:_FOR_STATE)?{([^}]*)}", query.expression):
        assert f'team="{TEAM}"' in matchers or 'alertname="ActionsGateway' in matchers, panel.title


@each_panel
def test_what_is_of_a_tenant_leads_to_its_board_with_what_is_chosen(board: Board, panel: Panel) -> None:
    text = str(find(board, panel)["fieldConfig"])
    assert (f"/d/{TENANT_BOARD}?" in text) == panel.leads_to_tenant
    if panel.leads_to_tenant:
        assert all("namespace" in query.labels for query in panel.queries)
        for kept in ("${datasource:queryparam}", "${cluster:queryparam}", "${__url_time_range}", "var-namespace=$"):
            assert kept in text


def test_every_alerts_page_is_found_from_the_tables_of_alerts() -> None:
    assert {word.value for word in PAGES} == {alert.name for alert in ALERTS}
    for word in PAGES:
        assert (ROOT / PAGES_FOLDER / word.text.partition("#")[0]).is_file()


def test_every_alert_is_watched_by_a_panel() -> None:
    watched = {alert.name for board in BOARDS for panel in board.panels() for alert in panel.alerts}
    assert watched == {alert.name for alert in ALERTS}


def test_every_metric_is_shown_or_left_out_for_a_reason() -> None:
    assert {metric.name for metric in CATALOG} - shown() == NOT_SHOWN.keys()
    assert all(NOT_SHOWN.values())


def check_series(expression: str) -> None:
    """Raises AssertionError for a series or a label that nobody exports."""
    known = known_labels()
    for name, labels in selections(expression.replace(f"[{INTERVAL}]", "[5m]")):
        assert name in known, name
        assert labels <= known[name], (name, sorted(labels - known[name]))


@each_query
def test_a_query_reads_series_and_labels_that_are_exported(panel: Panel, query: Query) -> None:
    check_series(query.expression)


@each_query
def test_a_window_is_the_graphs_or_an_alerts(panel: Panel, query: Query) -> None:
    said = f"{panel.title} {panel.description} {query.name}"
    rules = " ".join(arm.expression for alert in panel.alerts for arm in alert.arms)
    for window in re.findall(r"\[([^]]+)\]", query.expression):
        assert (
            window == INTERVAL
            or f"[{window}]" in rules
            or WINDOW_WORDS[window] in said
            or window.replace("1h", "1 h") in said
        ), window
        assert window != INTERVAL or panel.kind.is_over_time, "the present has no interval"


@each_query
def test_counters_are_added_up(panel: Panel, query: Query) -> None:
    rates = len(re.findall(r"\b(?:rate|increase)\(", query.expression))
    # Of each process the most that anybody tells of it.
    summed = re.findall(r"\bsum by \([^)]*\) \(max by \([^)]*\) \((?:rate|increase)\(", query.expression)
    assert len(summed) == rates or query.expression.startswith(watching.NOTIFICATIONS_FAILED)


@each_query
def test_a_query_promises_the_labels_that_it_groups_by(panel: Panel, query: Query) -> None:
    assert all(label in query.expression for label in query.labels)
    if panel.kind is Kind.HEATMAP:
        assert query.labels == ("le",)
    if panel.kind is Kind.TABLE:
        assert query.labels == panel.columns
        assert query.name
    if query.presence is Presence.FAULT and panel.kind is not Kind.TABLE:
        assert re.match(r"(?:No|GitHub does not)\b", panel.no_value), "it says that nothing is fine"


def _bound(comparison: str, value: float, severity: Severity = Severity.PAGE) -> Threshold:
    return Threshold("x", comparison, value, "things", severity, "ours: x")


def test_colours_change_where_the_alert_begins() -> None:
    page, ticket = BAD[Severity.PAGE], BAD[Severity.TICKET]
    assert beyond(_bound(">", 15)).steps() == (Step(None, GOOD), Step(15, page))
    assert counted(_bound(">", 5)).steps() == (Step(None, GOOD), Step(6, page))
    assert counted(_bound(">=", 5)).steps() == (Step(None, GOOD), Step(5, page))
    assert beyond(_bound(">", 60), _bound(">", 15, Severity.TICKET)).steps() == (
        Step(None, GOOD),
        Step(15, ticket),
        Step(60, page),
    )
    assert beyond(_bound("<", 300)).steps() == (Step(None, page), Step(300, GOOD))
    assert counted(_bound("=", 0)).steps() == (Step(None, page), Step(1, GOOD))
    assert beyond(_bound("<", 1), _bound("<", 5, Severity.TICKET)).steps() == (
        Step(None, page),
        Step(1, ticket),
        Step(5, GOOD),
    )
    assert instances(_bound("=", 0)).steps() == (Step(None, GOOD), Step(1, page))
    assert difference(_bound("=", 0)).steps() == (Step(None, page), Step(0, GOOD), Step(1, page))
    assert firing(Severity.TICKET).steps() == (Step(None, GOOD), Step(1, ticket))


def test_a_value_has_the_colour_of_its_step() -> None:
    bounds: Any = beyond(_bound("<", 300))
    assert [bounds.color_of(value) for value in (-1, 299, 300, float("inf"))] == ["red", "red", GOOD, GOOD]


def test_a_reader_chooses_in_one_order() -> None:
    for board in BOARDS:
        assert list(board.variables) == list(Variable)[: len(board.variables)]
