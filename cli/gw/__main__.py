"""The process `gw`, also `kubectl-gw`. It imports next to nothing before it can tell an interrupt from a crash."""

import sys

from gw.exits import ExitCode


def main() -> None:
    """The entry point: runs the process's own arguments and exits."""
    try:
        from gw.commandline import run

        for stream in (sys.stdout, sys.stderr):
            # A terminal or pipe with a narrow encoding gets question marks, not a traceback.
            getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
        code = run(sys.argv[1:], program=sys.argv[0].rpartition("/")[2])
    except KeyboardInterrupt:
        code = int(ExitCode.INTERRUPTED)
    sys.exit(code)


if __name__ == "__main__":
    main()
