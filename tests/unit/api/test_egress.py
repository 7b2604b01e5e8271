"""Exceptions of the platform, and the ranges that they are exceptions from."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actions_gateway.api.egress import (
    PRIVATE_IPV4,
    PRIVATE_IPV6,
    EgressException,
    parse_egress_exceptions,
    render_egress_exceptions,
)

NETWORKS = [ipaddress.ip_network(cidr) for cidr in (*PRIVATE_IPV4, *PRIVATE_IPV6)]
HOSTS = st.from_regex(r"(\*\.)?([a-z][a-z0-9-]{0,8}[a-z0-9]\.){1,3}[a-z]{2,5}", fullmatch=True)
RANGES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(1, 32)), st.tuples(st.ip_addresses(v=6), st.integers(1, 128))
).map(lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)))
EXCEPTIONS = st.builds(EgressException, HOSTS, RANGES, st.integers(1, 65535))


def is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in network for network in NETWORKS if network.version == address.version)


@given(st.lists(EXCEPTIONS, max_size=5).map(tuple))
def test_what_is_rendered_is_parsed_again(exceptions: tuple[EgressException, ...]) -> None:
    assert parse_egress_exceptions(render_egress_exceptions(exceptions)) == exceptions


def test_spaces_and_empty_parts_do_not_matter() -> None:
    text = " ghes.example=10.0.0.0/8:443 ,, *.six.example=[fd00::/8]:8443 ,"
    assert parse_egress_exceptions(text) == (
        EgressException("ghes.example", "10.0.0.0/8", 443),
        EgressException("*.six.example", "fd00::/8", 8443),
    )
    assert parse_egress_exceptions("") == ()


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("ghes.example", "HOST=CIDR:PORT"),
        ("ghes.example=10.0.0.0/8", "HOST=CIDR:PORT"),
        ("ghes.example=fd00::/8:443", "HOST=CIDR:PORT"),
        ("GHES.example=10.0.0.0/8:443", "HOST=CIDR:PORT"),
        ("*=10.0.0.0/8:443", "HOST=CIDR:PORT"),
        ("https://ghes.example=10.0.0.0/8:443", "HOST=CIDR:PORT"),
        ("ghes.example=10.0.0.1/8:443", "host bits"),
        ("ghes.example=10.0.0/8:443", "IPv4"),
        ("ghes.example=0.0.0.0/0:443", "every address"),
        ("ghes.example=[::/0]:443", "every address"),
        ("ghes.example=10.0.0.0/8:0", "no port"),
        ("ghes.example=10.0.0.0/8:65536", "no port"),
    ],
)
def test_a_part_that_cannot_be_used_is_named(part: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        parse_egress_exceptions(f"fine.example=10.0.0.0/8:443,{part}")
    assert repr(part) in str(raised.value)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@example(ipaddress.ip_address("169.254.169.254"))
@example(ipaddress.ip_address("100.100.100.200"))
@example(ipaddress.ip_address("fd00:ec2::254"))
@example(ipaddress.ip_address("192.0.2.1"))
@example(ipaddress.ip_address("2001:db8::1"))
@example(ipaddress.ip_address("255.255.255.255"))
def test_every_address_that_is_not_global_is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert is_refused(address) or (address.is_global and not address.is_multicast)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_one_is_refused_with_it(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    assert is_refused(ipaddress.IPv6Address(0xFFFF << 32 | number)), "mapped"
    assert is_refused(ipaddress.IPv6Address(number)), "compatible"
    assert is_refused(ipaddress.IPv6Address(0x2002 << 112 | number << 80)), "6to4"
    assert is_refused(ipaddress.IPv6Address(0x64FF9B << 96 | number)) == is_refused(address), "NAT64"


@pytest.mark.parametrize("address", ["140.82.112.3", "20.201.28.151", "2606:50c0:8000::153", "64:ff9b::8c52:7003"])
def test_addresses_of_github_are_not_refused(address: str) -> None:
    assert not is_refused(ipaddress.ip_address(address))
