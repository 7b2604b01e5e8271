"""`make bench`: measures what the documentation claims, and the machine's own floor beside it.

Prints one table per scenario. Absolute seconds depend on the machine; ratios and per-unit figures travel.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import agent_bursts
import agent_sessions
import faults
import fleet_reports
import jobs
import manager_fleet
import polls
import proxy
import scale
import startup

SCENARIOS: dict[str, Callable[[], None]] = {
    "startup": startup.measure,
    "polls": polls.measure,
    "proxy": proxy.measure,
    "jobs": jobs.measure,
    "scale": scale.measure,
    "manager_fleet": manager_fleet.measure,
    "agent_bursts": agent_bursts.measure,
    "agent_sessions": agent_sessions.measure,
    "faults": faults.measure,
    "fleet_reports": fleet_reports.measure,
}


def main() -> int:
    """Runs the named scenarios, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], help="default: all")
    for name in parser.parse_args().scenario or SCENARIOS:
        print(f"\n== {name}", flush=True)
        SCENARIOS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
