"""The runner's root, as a runner image brings it: `bin/Runner.Worker` is the fake worker of this checkout.

Layout: actions/runner `images/Dockerfile`. The image's environment (PATH with the checkout's interpreter, pip without
an index) belongs to the image's entry in the node's table.
"""

import shlex
from pathlib import Path

PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent
"""The folder from which `gateway_sandbox` is imported."""

SCRIPT = """#!/bin/sh
# The sandbox's Runner.Worker: isolated from PYTHON* variables, the working directory and installed packages.
exec {python} -I -S -c {code} "$0" "$@"
"""
CODE = "import sys; sys.path.insert(0, {root!r}); from gateway_sandbox.runner.worker import main; main(sys.argv[1:])"


def install_runner_root(root: Path, *, python: Path) -> None:
    """Lays out a runner's root in `root`: `bin/Runner.Worker`, started with `python`. Cheap enough for every pod;
    raises OSError. There is no `externals/`: the sandbox runs no JavaScript actions."""
    folder = root / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "Runner.Worker"
    code = CODE.format(root=str(PACKAGE_ROOT))
    script.write_text(SCRIPT.format(python=shlex.quote(str(python)), code=shlex.quote(code)), encoding="utf-8")
    script.chmod(0o755)
