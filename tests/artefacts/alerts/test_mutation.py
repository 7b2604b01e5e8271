"""Somebody notices each change of a number, a comparison, a severity or a duration; `make mutate` tries all of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.components import require_promtool

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "mutation"), "--quick"]


@pytest.mark.parametrize(("part", "every"), [("rules", 47), ("sources", 23), ("seed", 7)])
def test_some_changes_of_each_part_are_noticed(part: str, every: int) -> None:
    """A prime number of changes is passed over each time, so that all kinds come."""
    promtool = require_promtool()
    command = [*COMMAND, "--part", part, "--every", str(every), "--promtool", promtool]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
