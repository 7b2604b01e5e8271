"""Addresses that pods show in their status: one each, of a range that belongs to the node's pods.

An API server refuses loopback addresses where it publishes pods (kubernetes pkg/apis/discovery/validation, addresses of
EndpointSlices). So the status shows an address of the pod range, as on any cluster, while the processes listen on the
node's own address; nothing routes to the shown one.
"""

from ipaddress import IPv4Address, IPv4Network

POD_NETWORK = "10.244.0.0/24"
"""The customary pod range of a cluster's first node; large enough for the pods of one node."""
_GATEWAY = 1
"""The first address belongs to the node on a real network."""


class PodAddresses:
    """The addresses of one node's range, each given out once until it is returned; the longest unused comes first."""

    def __init__(self, network: str = POD_NETWORK) -> None:
        hosts = list(IPv4Network(network).hosts())
        self._free = dict.fromkeys(hosts[_GATEWAY:])

    def take(self, wanted: str = "") -> str:
        """`wanted` if it is free, else another; raises OSError when none is left."""
        if wanted and IPv4Address(wanted) in self._free:
            address = IPv4Address(wanted)
        elif self._free:
            address = next(iter(self._free))
        else:
            raise OSError("no free address is left for pods")
        del self._free[address]
        return str(address)

    def give_back(self, address: str) -> None:
        """Returns an address."""
        self._free[IPv4Address(address)] = None
