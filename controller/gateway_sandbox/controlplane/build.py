"""Builds the programs that are missing from their pinned Go modules, once per machine.

Two builders at once do no harm: each links into a draft of its own and moves it into place.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from gateway_sandbox.controlplane.assets import find_program
from gateway_sandbox.controlplane.programs import Program, cache_folder


class BuildFailed(RuntimeError):
    """The Go toolchain is missing or failed; its own words went to standard error."""


def build_missing(programs: Iterable[Program]) -> list[Path]:
    """Builds what is not there yet and returns all paths; raises BuildFailed."""
    paths = []
    for program in programs:
        path = find_program(program)
        if path is None:
            path = _build(program)
        paths.append(path)
    return paths


def _build(program: Program) -> Path:
    folder = cache_folder(program)
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / program.name, folder / f"{program.name}.{os.getpid()}"
    # Dependencies come from the pins and nowhere else, and the result does not depend on where this checkout is.
    command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false"]
    command += ["-ldflags", f"-s -w {program.linker_flags}".strip(), "-o", str(draft), program.package]
    _say(f"building {program.name} ({program.package}) ...")
    started = time.monotonic()
    try:
        subprocess.run(command, cwd=program.folder, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
    except FileNotFoundError:
        raise BuildFailed(
            f"Go is not installed, and {program.name} is built with it; install Go 1.26 or newer"
        ) from None
    except subprocess.CalledProcessError as problem:
        raise BuildFailed(f"go build of {program.name} ended with exit code {problem.returncode}") from None
    draft.replace(path)
    _say(f"built {program.name} in {time.monotonic() - started:.0f} s: {path}")
    return path


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
