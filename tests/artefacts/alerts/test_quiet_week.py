"""A healthy tenant raises the dead-man's switch and nothing else, whatever happens to it on a busy day.

`make week` plays the whole week; here it is the working day on which everything happens.
"""

from pathlib import Path

import pytest

from gw_alerts.catalog import ALERTS
from simulation.week import HOUR, SCRAPE_SECONDS, Fault, play_week
from support.components import require_promtool
from support.promtool import count_firing

SWITCH = next(alert.name for alert in ALERTS if alert.is_always_firing)
DAY_HOURS = 10
"""From 08:00 on; what happens last happens after nine."""
AWAY_MINUTES = 20
NEVER = 99
"""Days."""


@pytest.fixture
def promtool() -> str:
    """Needed before anything is played."""
    return require_promtool()


def fired(promtool: str, folder: Path, hours: int, *, busy_day: int, fault: Fault | None = None) -> dict[str, int]:
    """By alert, at how many of the minutes."""
    played = play_week(hours * HOUR, busy_day=busy_day, fault=fault)
    return count_firing(promtool, folder, played.inputs(), minutes=hours * 60, scrape=f"{SCRAPE_SECONDS:g}s")


def test_a_busy_day_raises_nothing_but_the_dead_mans_switch(promtool: str, tmp_path: Path) -> None:
    assert fired(promtool, tmp_path, DAY_HOURS, busy_day=0) == {SWITCH: DAY_HOURS * 60}


def test_an_outage_in_the_same_week_is_told_from_its_beginning_to_its_end_and_is_the_cause(
    promtool: str, tmp_path: Path
) -> None:
    found = fired(promtool, tmp_path, 2, busy_day=NEVER, fault=Fault(HOUR, AWAY_MINUTES * 60))
    assert found.pop(SWITCH) == 120
    # It says so after two minutes without an answer, and for five minutes more.
    assert found.pop("ActionsGatewayGitHubUnreachable") >= AWAY_MINUTES
    # All of it is inhibited meanwhile.
    assert found.keys() <= {"ActionsGatewayNoActiveSessions", "ActionsGatewayGatewayNotReady"}
