"""Builds the programs that are missing from their pinned Go modules, once per machine.

Of two builders of one module at once the second waits, and finds the work done.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
            with _alone(cache_folder(program)):
                path = find_program(program) or _build(program)
        paths.append(path)
    return paths


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(program: Program) -> Path:
    folder = cache_folder(program)
    path, draft = folder / program.name, folder / f".{program.name}.draft"
    # Dependencies come from the pins and nowhere else, and the result does not depend on where this checkout is.
    # Debugging information would be stripped at the end: not making it takes a seventh of the time off.
    command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"]
    command += ["-ldflags", f"-s -w {program.linker_flags}".strip(), "-o", str(draft), program.package]
    _say(f"building {program.name} ({program.package}) ...")
    started = time.monotonic()
    try:
        subprocess.run(command, cwd=program.folder, env=_environment(), check=True)
    except FileNotFoundError:
        raise BuildFailed(
            f"Go is not installed, and {program.name} is built with it; install Go 1.26 or newer"
        ) from None
    except subprocess.CalledProcessError as problem:
        raise BuildFailed(f"go build of {program.name} ended with exit code {problem.returncode}") from None
    draft.replace(path)
    _say(f"built {program.name} in {time.monotonic() - started:.0f} s: {path}")
    return path


def _environment() -> dict[str, str]:
    """The caller's, without what would build for another machine or from other pins."""
    foreign = ("GOOS", "GOARCH")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return kept | {"CGO_ENABLED": "0", "GOWORK": "off"}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
