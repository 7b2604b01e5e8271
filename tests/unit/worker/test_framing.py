"""Messages on the pipe, against the byte vectors of the runner's own format."""

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions_gateway.worker.errors import StartError
from actions_gateway.worker.framing import (
    CANCEL_REQUEST,
    MAX_BODY_BYTES,
    NEW_JOB_REQUEST,
    RUNNER_SHUTDOWN,
    frame,
)
from gateway_sandbox.runner.channel import Channel

VECTORS = [
    (NEW_JOB_REQUEST, "{}", "01000000 04000000 7b007d00"),
    (CANCEL_REQUEST, "", "02000000 00000000"),
    (RUNNER_SHUTDOWN, "", "03000000 00000000"),
    (NEW_JOB_REQUEST, "é😀", "01000000 06000000 e9003dd800de"),
]


@pytest.mark.parametrize(("kind", "text", "expected"), VECTORS)
def test_a_message_has_these_bytes(kind: int, text: str, expected: str) -> None:
    assert frame(kind, text) == bytes.fromhex(expected)


@settings(deadline=None)
@given(st.text(max_size=500))
def test_the_workers_channel_reads_what_the_wrapper_writes(text: str) -> None:
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, frame(NEW_JOB_REQUEST, text))
        assert Channel(read_end, write_end).receive() == (NEW_JOB_REQUEST, text)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_the_length_counts_bytes_and_not_characters() -> None:
    assert struct.unpack("<ii", frame(NEW_JOB_REQUEST, "😀" * 10)[:8]) == (1, 40)


def test_a_message_beyond_the_runners_limit_is_refused() -> None:
    assert len(frame(NEW_JOB_REQUEST, "x" * (MAX_BODY_BYTES // 2))) == MAX_BODY_BYTES + 8
    with pytest.raises(StartError, match="50000002 bytes"):
        frame(NEW_JOB_REQUEST, "x" * (MAX_BODY_BYTES // 2 + 1))
