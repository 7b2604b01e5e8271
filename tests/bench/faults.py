"""The table of faults: what health says of each one of the sandbox's library, how soon, and when all is clean.

`python tests/bench/faults.py [--embedded] [NAME…]`
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway_sandbox.faults import FAULTS
from support.components import best_cluster
from support.fault_drill import HEADER, drill

EMBEDDED = "--embedded"


def measure(*names: str, cluster: str | None = None) -> None:
    """One row for each fault, or for the named ones; on the real control plane where that is built."""
    cluster = cluster or best_cluster()
    with tempfile.TemporaryDirectory() as base, drill(Path(base) / "cluster", cluster=cluster) as drilled:
        print(f"-- {cluster} cluster\n{HEADER}", flush=True)
        for fault in FAULTS:
            if not names or fault.name in names:
                print(drilled.play(fault, drilled.settle()), flush=True)


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if argument != EMBEDDED]
    measure(*named, cluster="embedded" if EMBEDDED in sys.argv else None)
