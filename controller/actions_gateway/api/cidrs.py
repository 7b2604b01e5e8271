"""Ranges of addresses in the platform's settings: comma-separated, IPv4 and IPv6."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network

MOST_ENTRIES = 64
"""Of each setting: a proxy's configuration is one argument, and Linux takes none of 128 KiB."""


def parse_cidrs(text: str) -> tuple[str, ...]:
    """The ranges of a comma-separated text, normalized, in order of addresses, each once.

    Raises ValueError that names the one that cannot be used.
    """
    networks = {_parse_plain(part) for part in parts_of(text)}
    return tuple(str(network) for network in sorted(networks, key=ipaddress.get_mixed_type_key))


def parse_cidr(text: str, part: str) -> IPv4Network | IPv6Network:
    """A range with host bits zero; raises ValueError that names `part`."""
    if "%" in text:
        raise ValueError(f"{part!r}: a range has no zone")
    try:
        network = ipaddress.ip_network(text)
    except ValueError as problem:
        raise ValueError(f"{part!r}: {problem}") from problem
    if network.prefixlen == 0:
        raise ValueError(f"{part!r}: a range of every address cannot be used")
    return network


def parts_of(text: str) -> list[str]:
    """What stands between the commas; raises ValueError for too many."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MOST_ENTRIES:
        raise ValueError(f"{len(parts)} entries are more than the {MOST_ENTRIES} that a setting has room for")
    return parts


def _parse_plain(text: str) -> IPv4Network | IPv6Network:
    network = parse_cidr(text, text)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError(f"{text!r}: addresses of IPv4 are written as such")
    return network
