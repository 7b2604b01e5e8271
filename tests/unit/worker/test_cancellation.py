"""The cancellation file: when it counts as new, and how much time its deadline leaves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from actions_gateway.worker.cancellation import (
    DEFAULT_CANCEL_SECONDS,
    MINIMUM_CANCEL_SECONDS,
    CancellationFile,
    seconds_until,
)

NOW = datetime(2026, 8, 17, 14, 0, 0, tzinfo=UTC).timestamp()


def test_an_absent_or_empty_file_is_no_cancellation(tmp_path: Path) -> None:
    path = tmp_path / "cancellation"
    file = CancellationFile(str(path))
    assert file.read_new() == ""
    path.write_text(" \n")
    assert file.read_new() == ""


def test_a_text_is_reported_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "cancellation"
    path.write_text("")
    file = CancellationFile(str(path))
    assert file.read_new() == ""
    path.write_text("2026-08-17T14:01:00Z\n")
    assert file.read_new() == "2026-08-17T14:01:00Z"
    assert file.read_new() == ""
    path.write_text("2026-08-17T14:02:00+00:00")
    assert file.read_new() == "2026-08-17T14:02:00+00:00"


def test_a_volume_that_the_kubelet_swaps_by_link_is_followed(tmp_path: Path) -> None:
    """Kubernetes pkg/volume/util/atomic_writer.go: the data folder is a link that is replaced."""
    for name, text in (("old", ""), ("new", "2026-08-17T14:01:00Z")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cancellation").write_text(text)
    (tmp_path / "data").symlink_to("old")
    file = CancellationFile(str(tmp_path / "data" / "cancellation"))
    assert file.read_new() == ""
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(tmp_path / "data")
    assert file.read_new() == "2026-08-17T14:01:00Z"


@pytest.mark.parametrize(
    ("deadline", "seconds"),
    [
        ("2026-08-17T14:01:00Z", 60),
        ("2026-08-17T14:01:00z", 60),
        ("2026-08-17T14:01:00.123456789Z", 60),
        ("2026-08-17T16:01:00+02:00", 60),
        ("2026-08-17T14:00:05Z", MINIMUM_CANCEL_SECONDS),
        ("2020-01-01T00:00:00Z", MINIMUM_CANCEL_SECONDS),
        ("now, please", DEFAULT_CANCEL_SECONDS),
        ("2026-08-17", DEFAULT_CANCEL_SECONDS),
    ],
)
def test_seconds_until_a_deadline(deadline: str, seconds: float) -> None:
    assert seconds_until(deadline, now_unix_seconds=NOW) == seconds
