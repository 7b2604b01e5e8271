"""What the example of a values file tells to type is taken by gw's parser, and by the command itself."""

import re
import shlex
from pathlib import Path

import pytest

from gw_alerts.values import EXAMPLE_FILE
from support.page_commands import gw_commands_in, refusal

from .rig import Gw

_TYPED = re.compile(r"^#   (gw .+)$", re.MULTILINE)
SCRIPT = "\n".join(_TYPED.findall(EXAMPLE_FILE.read_text()))


@pytest.mark.parametrize("words", gw_commands_in(SCRIPT), ids=" ".join)
def test_its_commands_are_taken_and_do_what_it_says(
    gw: Gw, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(words) == ""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "values.yaml").write_text(EXAMPLE_FILE.read_text())
    answer = gw(*words)
    assert answer.code == 0, answer
    assert (tmp_path / "DIR" / "alertmanager.yaml").exists()


def test_it_names_a_command() -> None:
    assert [shlex.split(line)[:3] for line in SCRIPT.splitlines()] == [["gw", "alerts", "render"]]
