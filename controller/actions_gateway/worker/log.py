"""The wrapper's own log lines, on stderr, in the shape of the runner's `[WORKER …]` lines so that both read as one log.

Line shape: actions/runner `src/Runner.Common/StdoutTraceListener.cs`.
"""

from __future__ import annotations

import os
import select
import time

ATOMIC_BYTES = 4096
"""What a pipe that polls writable takes at once (Linux PIPE_BUF)."""


def info(text: str) -> None:
    _write("INFO", text)


def error(text: str) -> None:
    _write("ERR ", text)


def _write(level: str, text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    for line in text.splitlines():
        data = f"[WRAPPER {stamp} {level} wrapper] {line}\n".encode("utf-8", "replace")[:ATOMIC_BYTES]
        try:
            if _takes_output():
                os.write(2, data)
        except OSError:
            return  # a closed stderr must not end the job


def _takes_output() -> bool:
    """Whether a write of ATOMIC_BYTES does not block: a log that nobody reads must not hold the wrapper."""
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    return bool(poll.poll(0))
