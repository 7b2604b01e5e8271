"""`python -m gateway_sandbox guard|cluster --folder DIR`: the two processes of a sandbox (`gw sandbox up`)."""

import argparse
import sys
from pathlib import Path

from gateway_sandbox.launcher import ClusterKind, Setup


def main() -> int:
    """Runs the guardian or the cluster until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m gateway_sandbox", description=__doc__)
    parser.add_argument("role", choices=("guard", "cluster"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cluster", type=ClusterKind, choices=tuple(ClusterKind), required=True)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--scrape-interval", required=True)
    parser.add_argument("--owner-pid", type=int)
    arguments = parser.parse_args()
    setup = Setup(arguments.cluster, arguments.bare, arguments.scrape_interval)
    if arguments.role == "guard":
        from gateway_sandbox.guardian import guard

        return guard(arguments.folder, setup, arguments.owner_pid)
    from gateway_sandbox.cluster import run_cluster

    return run_cluster(arguments.folder, setup)


if __name__ == "__main__":
    sys.exit(main())
