"""`make week`: plays the whole week, evaluates the shipped rules at each minute of it, and prints what fired."""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gw_alerts.catalog import ALERTS
from simulation.week import DAY, SCRAPE_SECONDS, play_week
from support.promtool import count_firing


def main() -> int:
    """0 when nothing but the dead-man's switch fired, and that all the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--promtool", default="promtool")
    options = parser.parse_args()
    played, minutes = play_week(options.days * DAY), options.days * 1440
    print(f"played {options.days} days: {len(list(played.series()))} series, {played.scrapes} scrapes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scrape = f"{SCRAPE_SECONDS:g}s"
        fired = count_firing(options.promtool, Path(folder), played.inputs(), minutes=minutes, scrape=scrape)
    for name, count in sorted(fired.items()):
        print(f"{name}: at {count} of {minutes} evaluations")
    return 0 if fired == {alert.name: minutes for alert in ALERTS if alert.is_always_firing} else 1


if __name__ == "__main__":
    sys.exit(main())
