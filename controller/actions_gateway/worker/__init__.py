"""The worker's wrapper: PID 1 of a worker container, which runs one already acquired job by driving `Runner.Worker`.

It owns the hand-over of the job to `Runner.Worker`, its shutdown and its exit code. Claiming the job, renewing its lock
and completing a job whose `Runner.Worker` died are the agent's. It runs inside the tenant's unmodified runner image:
standard library only, Python 3.10 or newer, nothing else of this project. Its start is paid by every job, so it leaves
out the modules that are slow to import (`dataclasses`, `typing`, `subprocess`, `argparse`, `asyncio`, `logging`).

Protocol facts: actions/runner `src/Runner.Worker/Program.cs`, `src/Runner.Common/ProcessChannel.cs` and the files that
the modules name.
"""

from __future__ import annotations

import sys

USAGE = """usage: wrapper run            run the job whose Secret is mounted (the default of the installed file)
       wrapper install DIR    put the wrapper into DIR as one executable file named 'wrapper', and beside it the
                              interpreter of the controller's image where there is one
       wrapper bundle DIR     make that interpreter from this one (at the build of the image)"""


def main(argv: list[str]) -> int:
    """Runs `run`, `install DIR` or `bundle DIR`; returns the process's exit code, 2 for anything else."""
    if argv == ["run"]:
        from .entry import run

        return run()
    if len(argv) == 2 and argv[0] == "install":
        from .packaging import install_command

        return install_command(argv[1])
    if len(argv) == 2 and argv[0] == "bundle":
        from .bundling import bundle_command

        return bundle_command(argv[1])
    print(USAGE, file=sys.stderr)
    return 2
