"""A hundred short worlds, some of every profile; `make soak` plays thousands of long ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.profiles import PROFILES, profile_of
from simulation.world import simulate

_PER_PROFILE, _OF_EVERYTHING = 5, 10
"""The one in which all actors play finds what none finds alone."""


_SEEDS = [
    (seed, name)
    for name in PROFILES
    for seed in range(1, (_OF_EVERYTHING if name == "everything" else _PER_PROFILE) + 1)
]


@pytest.mark.parametrize(("seed", "name"), _SEEDS)
def test_every_invariant_holds(seed: int, name: str) -> None:
    report = simulate(seed, profile_of(seed, [name]), is_short=True)
    assert not report.violations, "\n".join([*map(str, report.violations[:10]), report.replay])


def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    report = simulate(3, PROFILES["everything"], is_short=True)
    command = [sys.executable, str(Path(__file__).parent), "--seed", "3", "--profile", "everything", "--short"]
    played = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    assert report.digest in played.stdout, played.stdout + played.stderr
