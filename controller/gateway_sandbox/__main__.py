"""`python -m gateway_sandbox guard|cluster --folder DIR`: the two processes of a sandbox (`gw sandbox up`)."""

import argparse
import sys
from pathlib import Path

from gateway_sandbox.launcher import ClusterKind


def main() -> int:
    """Runs the guardian or the cluster until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m gateway_sandbox", description=__doc__)
    parser.add_argument("role", choices=("guard", "cluster"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cluster", type=ClusterKind, choices=tuple(ClusterKind), required=True)
    parser.add_argument("--owner-pid", type=int)
    arguments = parser.parse_args()
    if arguments.role == "guard":
        from gateway_sandbox.guardian import guard

        return guard(arguments.folder, arguments.cluster, arguments.owner_pid)
    from gateway_sandbox.cluster import run_cluster

    return run_cluster(arguments.folder, arguments.cluster)


if __name__ == "__main__":
    sys.exit(main())
