"""Ranges of addresses as the platform's settings have them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.api.cidrs import parse_cidrs

RANGES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(1, 32)), st.tuples(st.ip_addresses(v=6), st.integers(1, 128))
).map(lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)))


def test_ranges_are_normalized_in_order_of_addresses_each_once() -> None:
    text = " 2600:1F00::/40, 20.30.0.0/255.255.0.0 ,, 8.8.8.8,20.30.0.0/16,"
    assert parse_cidrs(text) == ("8.8.8.8/32", "20.30.0.0/16", "2600:1f00::/40")
    assert parse_cidrs("") == ()


@given(st.lists(RANGES.filter(lambda cidr: not cidr.startswith("::ffff:")), max_size=5))
def test_the_order_in_which_ranges_are_named_says_nothing(ranges: list[str]) -> None:
    parsed = parse_cidrs(",".join(ranges))
    assert set(parsed) == set(ranges)
    assert parse_cidrs(",".join(reversed(parsed))) == parsed


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("example.com", "does not appear"),
        ("20.30.0.1/16", "host bits"),
        ("20.30.0.0/33", "does not appear"),
        ("[2600:1f00::/40]", "does not appear"),
        ("0.0.0.0/0", "every address"),
        ("::/0", "every address"),
        ("fe80::%eth0/64", "no zone"),
        ("::ffff:20.30.0.0/112", "IPv4"),
        ("::ffff:0:0/96", "IPv4"),
    ],
)
def test_a_range_that_cannot_be_used_is_named(part: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        parse_cidrs(f"20.30.0.0/16,{part}")
    assert repr(part) in str(raised.value)


def test_there_are_no_more_ranges_than_a_setting_has_room_for() -> None:
    ranges = [f"20.30.{number}.0/24" for number in range(65)]
    assert len(parse_cidrs(",".join(ranges[:64]))) == 64
    with pytest.raises(ValueError, match="65 entries are more than the 64"):
        parse_cidrs(",".join(ranges))
