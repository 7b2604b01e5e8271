"""What proxies refuse, with what the platform adds to it and excepts from it."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import (
    PUBLIC_ONLY,
    EgressException,
    PlatformEgress,
    parse_dns_peers,
    parse_egress_exceptions,
    render_egress_exceptions,
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOSTS = st.from_regex(r"(\*\.)?([a-z][a-z0-9-]{0,8}[a-z0-9]\.){1,3}[a-z]{2,5}", fullmatch=True)
RANGES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(1, 32)), st.tuples(st.ip_addresses(v=6), st.integers(1, 128))
).map(lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)))
DENIABLE = RANGES.filter(lambda cidr: not cidr.startswith("::ffff:"))
EXCEPTIONS = st.builds(EgressException, HOSTS, RANGES, st.integers(1, 65535))


def is_refused(address: Address, platform: PlatformEgress = PUBLIC_ONLY) -> bool:
    ranges = platform.refused_ipv4 if address.version == 4 else platform.refused_ipv6
    return any(address in ipaddress.ip_network(cidr) for cidr in ranges)


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
        ("ghes.example=[fe80::%eth0/64]:443", "no zone"),
        ("ghes.example=10.0.0.0/8:0", "no port"),
        ("ghes.example=10.0.0.0/8:65536", "no port"),
    ],
)
def test_a_part_that_cannot_be_used_is_named(part: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        parse_egress_exceptions(f"fine.example=10.0.0.0/8:443,{part}")
    assert repr(part) in str(raised.value)


def test_there_are_no_more_exceptions_than_a_proxy_has_room_for() -> None:
    with pytest.raises(ValueError, match="65 entries are more than the 64"):
        parse_egress_exceptions(",".join(f"ghes.example=20.30.{number}.0/24:443" for number in range(65)))


@pytest.mark.parametrize(
    ("text", "peers"),
    [
        ("", ()),
        (" 10.96.0.10/32 ,, cluster, cluster", ("cluster", "10.96.0.10/32")),
        ("2001:DB8::53,192.0.2.0/255.255.255.0", ("192.0.2.0/24", "2001:db8::53/128")),
    ],
)
def test_resolvers_are_the_clusters_own_and_ranges_in_order_each_once(text: str, peers: tuple[str, ...]) -> None:
    assert parse_dns_peers(text) == peers
    assert parse_dns_peers(",".join(peers)) == peers


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("Cluster", "does not appear"),
        ("kube-dns", "does not appear"),
        ("10.96.0.10/16", "host bits"),
        ("0.0.0.0/0", "every address"),
        ("::/0", "every address"),
    ],
)
def test_a_resolver_that_cannot_be_used_is_named(part: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        parse_dns_peers(f"cluster,{part}")
    assert repr(part) in str(raised.value)


def test_the_word_for_the_clusters_resolvers_is_an_entry_like_others() -> None:
    ranges = [f"192.0.2.{number}" for number in range(64)]
    assert len(parse_dns_peers(",".join(["cluster", *ranges[1:]]))) == 64
    with pytest.raises(ValueError, match="65 entries are more than the 64"):
        parse_dns_peers(",".join(["cluster", *ranges]))


@given(st.lists(DENIABLE, max_size=5), st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@example(["20.30.0.0/16"], ipaddress.ip_address("20.30.255.255"))
@example(["2600:1f00::/40"], ipaddress.ip_address("2600:1f00:ff::1"))
def test_a_platform_denies_its_ranges_and_nothing_beside(ranges: list[str], address: Address) -> None:
    platform = PlatformEgress(denied=parse_cidrs(",".join(ranges)))
    denied = [network for network in map(ipaddress.ip_network, ranges) if network.version == address.version]
    embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if int(address) >> 32 == 0x64FF9B << 64 else None
    assert is_refused(address, platform) == (
        is_refused(address)
        or any(address in network for network in denied)
        or (embedded is not None and is_refused(embedded, platform))
    )


@given(RANGES.filter(lambda cidr: "." in cidr), st.integers(0))
def test_a_denied_range_of_ipv4_is_denied_below_nat64_too(cidr: str, offset: int) -> None:
    network = ipaddress.IPv4Network(cidr)
    number = int(network.network_address) + offset % network.num_addresses
    platform = PlatformEgress(denied=parse_cidrs(cidr))
    assert is_refused(ipaddress.IPv4Address(number), platform)
    assert is_refused(ipaddress.IPv6Address(0x64FF9B << 96 | number), platform)


def test_a_range_that_is_refused_anyway_stands_once() -> None:
    assert PlatformEgress(denied=parse_cidrs("10.0.0.0/8,fc00::/7")).refused_ipv6 == PUBLIC_ONLY.refused_ipv6


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@example(ipaddress.ip_address("169.254.169.254"))
@example(ipaddress.ip_address("100.100.100.200"))
@example(ipaddress.ip_address("fd00:ec2::254"))
@example(ipaddress.ip_address("192.0.2.1"))
@example(ipaddress.ip_address("2001:db8::1"))
@example(ipaddress.ip_address("255.255.255.255"))
def test_every_address_that_is_not_global_is_refused(address: Address) -> None:
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
