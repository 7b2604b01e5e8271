"""The worker's trace: `_diag/Worker_<stamp>-utc.log`, and stdout when ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT says so.

Names and line shapes: actions/runner `src/Runner.Common/HostTraceListener.cs`, `StdoutTraceListener.cs`.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH103, PTH118
from __future__ import annotations

import os
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TRUE_TEXTS = ("1", "true", "$true")


class Trace:
    """Writes records to the file and, when `to_stdout`, with the `[WORKER …]` prefix to stdout."""

    def __init__(self, folder: str, *, to_stdout: bool) -> None:
        """Raises OSError when the file cannot be created."""
        os.makedirs(folder, exist_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        path = os.path.join(folder, f"Worker_{stamp}-utc.log")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._to_stdout = to_stdout
        self.mask: Callable[[str], str] = str
        """Takes the job's secrets out, once they are known."""

    def info(self, source: str, text: str) -> None:
        self._write("INFO", source, text)

    def error(self, source: str, text: str) -> None:
        self._write("ERR ", source, text)

    def _write(self, level: str, source: str, text: str) -> None:
        text = self.mask(text)
        head = f"{time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())} {level} {source}]"
        os.write(self._fd, f"[{head} {text}\n".encode())
        if self._to_stdout:
            print_lines([f"[WORKER {head} {line}" for line in text.splitlines() or [""]])


def wants_stdout(environ: Mapping[str, str]) -> bool:
    return environ.get("ACTIONS_RUNNER_PRINT_LOG_TO_STDOUT", "").lower() in TRUE_TEXTS


_stdout_lock = threading.Lock()


def print_lines(lines: list[str]) -> None:
    """Writes whole lines to stdout, unmixed with those of other threads; a closed stdout is no reason to stop."""
    data = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
    with _stdout_lock:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            pass
