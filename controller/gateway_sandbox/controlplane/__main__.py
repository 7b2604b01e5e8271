"""`python -m gateway_sandbox.controlplane build [PROGRAM ...]` builds what this machine lacks (`make controlplane`)."""

import argparse
import sys

from gateway_sandbox.controlplane.build import BuildFailed, build_missing
from gateway_sandbox.controlplane.programs import MONITORING, PROGRAMS


def main(arguments: list[str]) -> int:
    """Prints the path of each program; 1 when one could not be built."""
    known = {program.name: program for program in (*PROGRAMS, *MONITORING)}
    parser = argparse.ArgumentParser(prog="python -m gateway_sandbox.controlplane", description=__doc__)
    parser.add_argument("action", choices=("build",))
    parser.add_argument("programs", nargs="*", choices=(*known, []), help="default: those of a control plane")
    options = parser.parse_args(arguments)
    wanted = [known[name] for name in options.programs] or list(PROGRAMS)
    try:
        paths = build_missing(wanted)
    except BuildFailed as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in paths))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
