"""Runs commands as a user would, with a clean environment and an answer that a test can read."""

import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gw.commandline import run
from gw.surroundings import Surroundings
from support.patience import HANG_SECONDS

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def environment(**extra: str) -> dict[str, str]:
    """The caller's environment without what would point gw or kubectl elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GW_") and name not in ("KUBECONFIG", "NO_COLOR", "COLUMNS")
    }
    return kept | {"PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}", "COLUMNS": "160"} | extra


def run_command(*arguments: str, timeout_seconds: float = HANG_SECONDS, **variables: str) -> Answer:
    """Runs to the end, without a terminal and without input."""
    result = subprocess.run(
        arguments,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
    )
    return Answer(result.returncode, result.stdout, result.stderr)


def run_gw_here(*arguments: str, timeout_seconds: float = HANG_SECONDS, **variables: str) -> Answer:
    """Runs gw to its end in this process, with everything as `run_command` has it."""
    streams = [io.StringIO() for _ in range(3)]
    before = dict(os.environ)
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
    try:
        os.environ.clear()
        os.environ.update(environment(**variables))
        code = run(arguments, surroundings=Surroundings(stdin=streams[0], stdout=streams[1], stderr=streams[2]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.environ.clear()
        os.environ.update(before)
    return Answer(code, streams[1].getvalue(), streams[2].getvalue())


def _too_late(*_: object) -> None:
    raise TimeoutError("gw did not end in time")


def processes_with(text: str) -> list[str]:
    """Command lines and folders of the living processes that mention `text`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            folder = str((entry / "cwd").readlink())
        except OSError:
            continue
        if text in command or text in folder:
            found.append(f"{entry.name} {command} in {folder}")
    return found
