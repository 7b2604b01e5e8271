"""`python -m actions_gateway manager|agent|worker …`: the entry point of the controller's image.

The worker's wrapper is dispatched before anything else is imported, since it starts once per job.
"""

import sys

_COMMANDS = ("manager", "agent", "worker")
_USAGE_ERROR = 2


def main(arguments: list[str]) -> int:
    """Runs the named component until it ends; returns the process's exit code."""
    match arguments:
        case ["worker", *rest]:
            from actions_gateway.worker import main as worker

            return worker(rest)
        case ["manager" | "agent" as component]:
            from actions_gateway.processes import run_component

            return run_component(component)
        case _:
            sys.stderr.write(f"usage: python -m actions_gateway {'|'.join(_COMMANDS)}\n")
            return _USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
