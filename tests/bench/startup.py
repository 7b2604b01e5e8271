"""How long commands take before they do anything."""

import statistics
import subprocess
import sys
import time

from support.commands import environment

RUNS = 10
COMMANDS = {
    "python -c pass (floor)": [sys.executable, "-c", "pass"],
    "gw --help": ["gw", "--help"],
    "gw version": ["gw", "version"],
}


def measure() -> None:
    """Median and worst wall seconds of each command."""
    for name, command in COMMANDS.items():
        seconds = [_run(command) for _ in range(RUNS + 1)][1:]
        print(f"{name:26} median {statistics.median(seconds):.3f} s   worst {max(seconds):.3f} s")


def _run(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment(), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
