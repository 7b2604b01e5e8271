"""How long the reports about a whole fleet take as whole commands, on the real control plane.

The tenants are stored objects of which nothing runs; five are broken. The floor is a command that asks nobody.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, require_programs
from gateway_sandbox.controlplane.server import ControlPlane
from support.commands import environment
from support.tenant_fleet import STILL, start_with_fleet

RUNS = 5
COMMANDS = {
    50: ("handoff --since 12h", "health -A"),
    200: ("tenant list", "health -A", "health -A -o json", "handoff --since 12h"),
}
"""By the number of tenants."""
_PROVISIONED_SECONDS = 35.0
"""Until no tenant counts as new any more."""


def measure() -> None:
    """Median and worst wall seconds of each command."""
    try:
        require_programs(*CONTROL_PLANE)
    except ProgramsMissing as problem:
        print(f"left out: {problem}")
        return
    for count, commands in COMMANDS.items():
        with tempfile.TemporaryDirectory() as base:
            folder = Path(base)
            plane = ControlPlane(folder / "data", SandboxCertificates.create(folder / "certificates"), STILL)
            try:
                asyncio.run(start_with_fleet(plane, count, renewed_for=timedelta(hours=1)))
                time.sleep(_PROVISIONED_SECONDS)
                print(f"\n-- {count} tenants, load before {os.getloadavg()[0]:.1f}", flush=True)
                for command in ("version", *commands):
                    _time(command, plane.kubeconfig)
            finally:
                plane.stop()


def _time(command: str, kubeconfig: Path) -> None:
    arguments = ["gw", *command.split()]
    variables = environment(KUBECONFIG=str(kubeconfig))
    seconds, codes = [], set()
    for _ in range(RUNS):
        started = time.perf_counter()
        done = subprocess.run(arguments, env=variables, capture_output=True, check=False)
        seconds.append(time.perf_counter() - started)
        codes.add(done.returncode)
    print(
        f"gw {command:22} median {statistics.median(seconds):.2f} s   worst {max(seconds):.2f} s   "
        f"exit {', '.join(map(str, sorted(codes)))}",
        flush=True,
    )


if __name__ == "__main__":
    measure()
