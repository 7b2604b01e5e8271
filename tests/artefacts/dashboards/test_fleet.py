"""The fleet board: generated, on metrics that exist, in the shape that Grafana takes."""

import itertools
import json
import re
from pathlib import Path

import pytest

from actions_gateway.metrics.catalog import CATALOG, Kind
from gw_alerts.rules import ALERTS
from gw_dashboards import generate
from gw_dashboards.fleet import PANELS, UID, fleet_board
from gw_dashboards.panels import DATASOURCE, Json, Panel

ROOT = Path(__file__).parents[3]
NAMES = re.compile(r"\bactions_gateway_[a-z0-9_]+")


def board_panels() -> list[Json]:
    panels: list[Json] = fleet_board()["panels"]
    return panels


def test_the_committed_board_is_what_the_code_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_fails_on_drift_and_names_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leftover.json").touch()
    assert generate.main(["--folder", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "fleet.json, leftover.json" in said
    assert generate.COMMAND in said


def test_its_address_stays_and_nobody_edits_it_by_hand() -> None:
    board = fleet_board()
    assert (board["uid"], board["editable"]) == (UID, False)
    assert json.dumps(board, sort_keys=True) == json.dumps(fleet_board(), sort_keys=True)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_asks_for_metrics_that_are_exported_and_says_what_bad_looks_like(panel: Panel) -> None:
    parts = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
    exported = {metric.name + part for metric in CATALOG for part in parts.get(metric.kind, ("",))}
    named = set(NAMES.findall(panel.expression))
    assert named
    assert named <= exported
    assert panel.description
    assert not panel.page or (ROOT / panel.page).is_file()
    alerts = {alert.name for alert in ALERTS}
    assert set(re.findall(r"Alert: (\w+)", panel.description)) <= alerts


@pytest.mark.parametrize("panel", board_panels(), ids=lambda panel: panel["title"])
def test_a_panel_names_its_datasource_and_a_unit(panel: Json) -> None:
    assert panel["datasource"] == DATASOURCE
    assert [target["datasource"] for target in panel["targets"]] == [DATASOURCE]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


def test_no_panel_covers_another_one() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board_panels())
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
