"""What the platform says of tenants' egress: its own settings, never a tenant's.

A proxy connects to public addresses on port 443 alone. Public addresses that are the cluster's own are ranges to deny
beside those that are private anywhere. GitHub Enterprise on a private network, or another port, needs an exception
`HOST=CIDR:PORT`: to that host name on that port, at addresses within that range, denied or not. An IPv6 range stands
in brackets: `ghes.example.com=[fd00:10::/32]:443`.

Beside the proxies, agents reach the API server and all pods resolvers: anywhere, unless the platform names them.
"""

import functools
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from actions_gateway.api.cidrs import parse_cidr, parse_cidrs, parts_of
from actions_gateway.api.gateway import HOST_PATTERN

_EXCEPTION = re.compile(r"(?P<host>[^=]+)=(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\]]+)):(?P<port>[0-9]{1,5})")
_HOST = re.compile(HOST_PATTERN)
_LARGEST_PORT = 65535
CLUSTER_DNS = "cluster"
"""The word for the cluster's own resolvers, wherever their pods are."""

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
(RFC 6890, of later entries RFC 9602, 9637 and 9780), and multicast."""
IPV4_MAPPED = "::ffff:0:0/96"
PRIVATE_IPV6 = (
    # unspecified, loopback and IPv4-compatible
    "::/96",
    IPV4_MAPPED,
    # NAT64 of local use
    "64:ff9b:1::/48",
    # discard, dummy prefix, protocol assignments with Teredo, documentation (twice), 6to4, segment routing
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "2002::/16",
    "5f00::/16",
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


@dataclass(frozen=True)
class PlatformEgress:
    """What the platform says of every tenant's egress."""

    exceptions: tuple[EgressException, ...] = ()
    denied: tuple[str, ...] = ()
    """The cluster's own ranges of public addresses, IPv4 and IPv6, as `parse_cidrs` gives them."""
    api_server: tuple[str, ...] = ()
    """Where agents find the API server; empty for any address, since a managed one may change its own."""
    dns: tuple[str, ...] = ()
    """Resolvers of agents, workers and proxies as `parse_dns_peers` gives them; empty for any."""

    @functools.cached_property
    def refused_ipv4(self) -> tuple[str, ...]:
        """Ranges that no tenant reaches without an exception, each once."""
        return _each_once(PRIVATE_IPV4, (cidr for cidr in self.denied if ":" not in cidr))

    @functools.cached_property
    def refused_ipv6(self) -> tuple[str, ...]:
        """Such ranges of IPv6, with those of IPv4 below NAT64's well-known prefix.

        That prefix as a whole stays open, since IPv6-only clusters reach GitHub by it (RFC 6052, section 2.1).
        """
        below_nat64 = (
            f"{ipaddress.IPv6Address(0x64FF9B << 96 | int(network.network_address))}/{96 + network.prefixlen}"
            for network in map(ipaddress.IPv4Network, self.refused_ipv4)
        )
        return _each_once(PRIVATE_IPV6, below_nat64, (cidr for cidr in self.denied if ":" in cidr))


PUBLIC_ONLY = PlatformEgress()
"""Of a platform that says nothing."""


def _each_once(*ranges: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain(*ranges)))


def parse_egress_exceptions(text: str) -> tuple[EgressException, ...]:
    """The exceptions of a comma-separated text; raises ValueError that names the one that cannot be used."""
    return tuple(_parse(part) for part in parts_of(text))


def _parse(text: str) -> EgressException:
    match = _EXCEPTION.fullmatch(text)
    if match is None or not _HOST.fullmatch(match["host"]):
        raise ValueError(f"{text!r} is no exception of the form HOST=CIDR:PORT")
    network = parse_cidr(match["v4"] or match["v6"], text)
    port = int(match["port"])
    if not 1 <= port <= _LARGEST_PORT:
        raise ValueError(f"{text!r}: {port} is no port")
    return EgressException(match["host"], str(network), port)


def parse_dns_peers(text: str) -> tuple[str, ...]:
    """The ranges of a comma-separated text after the word `cluster`, if that is among them; raises as `parse_cidrs`."""
    parts = parts_of(text)
    cidrs = parse_cidrs(",".join(part for part in parts if part != CLUSTER_DNS))
    return (CLUSTER_DNS, *cidrs) if CLUSTER_DNS in parts else cidrs


def render_egress_exceptions(exceptions: tuple[EgressException, ...]) -> str:
    """The text that `parse_egress_exceptions` takes."""
    return ",".join(str(exception) for exception in exceptions)
