"""Durations and quantities: what Kubernetes accepts is read exactly, the rest refused with the accepted form."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.api.quantities import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("300ms", 0.3), ("5m", 300.0), ("1h30m", 5400.0), ("12h", 43200.0), ("0s", 0.0), ("1.5h", 5400.0)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "-5s", "5d", "5s "])
def test_what_is_no_duration_is_refused_with_the_accepted_form(text: str) -> None:
    with pytest.raises(ValueError, match="30s, 5m or 1h30m"):
        parse_duration_seconds(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500m", Fraction(1, 2)),
        ("2", Fraction(2)),
        ("1.5", Fraction(3, 2)),
        ("2Gi", Fraction(2 * 2**30)),
        ("1k", Fraction(1000)),
        ("1e3", Fraction(1000)),
        ("100n", Fraction(1, 10**7)),
        (".5", Fraction(1, 2)),
        (3, Fraction(3)),
    ],
)
def test_a_quantity_is_read_exactly(text: str | int, amount: Fraction) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize("text", ["", "five", "1 Gi", "1gi", "1.2.3", "mi", "1e999999999", "1e-31", "9" * 65])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_quantity(text)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_milli_quantity_survives_writing_and_reading(milli: int) -> None:
    amount = Fraction(milli, 1000)
    assert parse_quantity(format_quantity(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "is_size", "text"),
    [
        (Fraction(1024), False, "1024"),
        (Fraction(1024), True, "1Ki"),
        (Fraction(3 * 2**29), True, "1536Mi"),
        (Fraction(1, 2), False, "500m"),
        (Fraction(0), True, "0"),
    ],
)
def test_counts_are_written_plainly_and_sizes_in_binary_units(amount: Fraction, is_size: bool, text: str) -> None:
    assert format_quantity(amount, is_size=is_size) == text
