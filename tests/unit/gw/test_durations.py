"""Durations as people write them in options."""

import pytest

from gw.errors import Refused
from gw.options import parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30s", 30), ("1h30m", 5400), ("7d", 604_800), ("1d12h", 129_600), ("0d5m", 300), ("1.5", 1.5)],
)
def test_a_duration_has_units_and_days(text: str, seconds: float) -> None:
    assert parse_seconds(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "d", "1d-5m", "1dx", "5m1d", "-1d", "1.5d", "a week"])
def test_what_is_none_is_refused_by_the_options_name(text: str) -> None:
    with pytest.raises(Refused, match="--for"):
        parse_seconds(text, "--for")
