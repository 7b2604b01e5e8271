"""The committed boards and their table: what the code builds, byte for byte."""

from pathlib import Path

import pytest

from gw_alerts.model import FLEET_BOARD, TENANT_BOARD
from gw_dashboards import generate
from gw_dashboards.catalog import BOARDS, BY_UID
from gw_dashboards.grafana import render_board


def test_the_committed_files_are_what_the_code_builds(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_fails_on_drift_and_names_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--folder", str(tmp_path)]) == 0
    assert generate.main(["--folder", str(tmp_path), "--check"]) == 0
    (tmp_path / "generated" / "leftover.json").touch()
    (tmp_path / "generated" / "slo.json").write_text("{}")
    (tmp_path / "README.md").unlink()
    assert generate.main(["--folder", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    assert "README.md, generated/leftover.json, generated/slo.json" in said
    assert generate.COMMAND in said
    assert generate.main(["--folder", str(tmp_path)]) == 0
    assert not (tmp_path / "generated" / "leftover.json").exists()


def test_the_boards_that_notifications_lead_to_are_there() -> None:
    assert {TENANT_BOARD, FLEET_BOARD} <= BY_UID.keys()


def test_a_board_is_rendered_the_same_twice() -> None:
    assert [render_board(board) for board in BOARDS] == [render_board(board) for board in BOARDS]
