"""A payload fits its Secret unchanged, compressed, or not at all; what was stored comes back byte by byte."""

import gzip
import random

import pytest

from actions_gateway.agent.jobs.packing import LARGEST_PAYLOAD_BYTES, LARGEST_STORED_BYTES, packed, unpacked

LARGE = b'{"steps": [' + b'{"name": "build"},' * 200_000 + b"null]}"


def test_a_payload_that_fits_is_stored_as_it_is() -> None:
    payload = b"x" * LARGEST_STORED_BYTES
    assert packed(payload) is payload
    assert unpacked(payload) is payload


def test_a_larger_one_is_compressed_always_alike_and_comes_back() -> None:
    stored = packed(LARGE)
    assert stored is not None
    assert len(stored) < LARGEST_STORED_BYTES < len(LARGE)
    assert stored == packed(LARGE)
    assert unpacked(stored) == LARGE


@pytest.mark.parametrize(
    "payload",
    [random.Random(4711).randbytes(LARGEST_STORED_BYTES + 1), b" " * (LARGEST_PAYLOAD_BYTES + 1)],
    ids=["does not shrink", "more than the runner takes"],
)
def test_what_no_worker_can_be_given_is_refused(payload: bytes) -> None:
    assert packed(payload) is None


@pytest.mark.parametrize(
    "stored",
    [
        b"\x1f\x8b",
        gzip.compress(LARGE)[:-9],
        gzip.compress(LARGE) + b"more",
        b"\x1f\x8bxxxxxxxxxxxxxxxx",
        gzip.compress(b" " * (LARGEST_PAYLOAD_BYTES + 1)),
    ],
    ids=["head only", "cut off", "followed by more", "garbage", "expands beyond any payload"],
)
def test_what_is_no_payload_of_ours_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError, match="no whole archive"):
        unpacked(stored)
