"""Exceptions from what egress proxies refuse: a setting of the platform, never of a tenant.

A proxy connects to public addresses on port 443 alone. GitHub Enterprise on a private network, or another port, needs
an exception `HOST=CIDR:PORT`: to that host name on that port, at addresses within that range. An IPv6 range stands in
brackets: `ghes.example.com=[fd00:10::/32]:443`.
"""

import ipaddress
import re
from dataclasses import dataclass

from actions_gateway.api.gateway import HOST_PATTERN

_EXCEPTION = re.compile(r"(?P<host>[^=]+)=(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\]]+)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(HOST_PATTERN)
_LARGEST_PORT = 65535

PRIVATE_IPV4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    # link-local, with the clouds' metadata services
    "169.254.0.0/16",
    "172.16.0.0/12",
    # protocol assignments, documentation, benchmarks
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    # multicast, then reserved with the broadcast address
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""What no tenant reaches without an exception: what IANA's special-purpose registries call not globally reachable
(RFC 6890), and multicast."""
PRIVATE_IPV6 = (
    # unspecified, loopback and IPv4-compatible
    "::/96",
    # IPv4-mapped
    "::ffff:0:0/96",
    # NAT64: local use, and private IPv4 addresses below the well-known prefix (IPv6-only clusters reach GitHub by it)
    "64:ff9b:1::/48",
    *(
        f"{ipaddress.IPv6Address(0x64FF9B << 96 | int(network.network_address))}/{96 + network.prefixlen}"
        for network in map(ipaddress.IPv4Network, PRIVATE_IPV4)
    ),
    # discard, protocol assignments with Teredo, documentation, 6to4
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    # unique local, link-local, site-local, multicast
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)


@dataclass(frozen=True, slots=True)
class EgressException:
    """One host that may be reached beyond the rule; `cidr` is normalized, host bits zero."""

    host: str
    cidr: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}={f'[{self.cidr}]' if ':' in self.cidr else self.cidr}:{self.port}"


def parse_egress_exceptions(text: str) -> tuple[EgressException, ...]:
    """The exceptions of a comma-separated text; raises ValueError that names the one that cannot be used."""
    return tuple(_parse(part.strip()) for part in text.split(",") if part.strip())


def _parse(text: str) -> EgressException:
    match = _EXCEPTION.fullmatch(text)
    if match is None or not _HOST.fullmatch(match["host"]):
        raise ValueError(f"{text!r} is no exception of the form HOST=CIDR:PORT")
    try:
        network = ipaddress.ip_network(match["v4"] or match["v6"])
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}") from problem
    if network.prefixlen == 0:
        raise ValueError(f"{text!r}: a range of every address is no exception")
    port = int(match["port"])
    if not 1 <= port <= _LARGEST_PORT:
        raise ValueError(f"{text!r}: {port} is no port")
    return EgressException(match["host"], str(network), port)


def render_egress_exceptions(exceptions: tuple[EgressException, ...]) -> str:
    """The text that `parse_egress_exceptions` takes."""
    return ",".join(str(exception) for exception in exceptions)
