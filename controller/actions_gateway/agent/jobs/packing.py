"""The job's payload as its Secret holds it: unchanged, or compressed when a Secret would not take it.

Kubernetes accepts 1 MiB of values in one Secret (kubernetes/kubernetes `pkg/apis/core/types.go`, MaxSecretSize), and
the slot's other keys take their part. Payloads are JSON that repeats itself, so that compression takes them to a tenth;
the runner itself refuses more than 50 MB in UTF-16 (actions/runner `src/Runner.Common/StreamString.cs`).
"""

import gzip
import zlib

LARGEST_STORED_BYTES = 900 * 1024
"""Leaves 124 KiB for the slot's state and the runner's files."""
LARGEST_PAYLOAD_BYTES = 25_000_000
"""In ASCII what the runner's pipe takes; more is refused unread."""

_GZIP = b"\x1f\x8b"
"""No JSON begins like this (RFC 1952, 2.3.1)."""


def packed(payload: bytes) -> bytes | None:
    """What goes under the Secret's key `payload`; None when no worker can be given it."""
    if len(payload) <= LARGEST_STORED_BYTES:
        return payload
    if len(payload) > LARGEST_PAYLOAD_BYTES:
        return None
    # Equal payloads give equal Secrets.
    smaller = gzip.compress(payload, compresslevel=6, mtime=0)
    return smaller if len(smaller) <= LARGEST_STORED_BYTES else None


def unpacked(stored: bytes) -> bytes:
    """The payload that `packed` was given; raises ValueError for anything else."""
    if not stored.startswith(_GZIP):
        return stored
    expander = zlib.decompressobj(wbits=31)
    try:
        payload = expander.decompress(stored, LARGEST_PAYLOAD_BYTES + 1)
    except zlib.error:
        payload = b""
    if not expander.eof or expander.unused_data or len(payload) > LARGEST_PAYLOAD_BYTES:
        raise ValueError("the stored payload is no whole archive")
    return payload
