"""Messages on the pipe to `Runner.Worker`: two little-endian int32 (type, body bytes) and a UTF-16LE body without BOM.

Source: actions/runner `src/Runner.Common/StreamString.cs` and `ProcessChannel.cs`.
"""

from __future__ import annotations

import struct

from .errors import StartError

NEW_JOB_REQUEST = 1
CANCEL_REQUEST = 2
RUNNER_SHUTDOWN = 3

MAX_BODY_BYTES = 50_000_000
"""The runner's reader and writer refuse more."""


def frame(kind: int, text: str = "") -> bytes:
    """One message as bytes; raises StartError when the body exceeds what the runner accepts."""
    body = text.encode("utf-16-le")
    if len(body) > MAX_BODY_BYTES:
        raise StartError(
            f"the job message takes {len(body)} bytes on the runner's pipe, which accepts {MAX_BODY_BYTES}"
        )
    return struct.pack("<ii", kind, len(body)) + body
