"""Rules of NetworkPolicies that manager and tenants have in common.

Ports count after destination NAT, and a rule without a peer allows every destination (Kubernetes API reference,
NetworkPolicySpec).
"""

from collections.abc import Iterable
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.egress import CLUSTER_DNS
from actions_gateway.manifests.podspec import METRICS_PORT

Rule = dict[str, Any]

_API_SERVER_PORTS = (443, 6443)
"""Before and after destination NAT, as the usual distributions have it."""
_CLUSTER_RESOLVERS: tuple[Rule, ...] = (
    {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {
            "matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns", "node-local-dns"]}]
        },
    },
    # The node's cache has its host's network, where most plugins match no pod (Kubernetes docs, "Network Policies").
    {"ipBlock": {"cidr": "169.254.20.10/32"}},
)
"""By the labels of the manifests that Kubernetes ships for CoreDNS and NodeLocal DNSCache, and the latter's address."""


def policy_spec(selector: dict[str, str], *, ingress: list[Rule], egress: list[Rule]) -> Rule:
    """A spec that states both directions, so that an empty list denies, and a rule added by hand is ours to remove."""
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }


def from_monitoring(port: int = METRICS_PORT) -> Rule:
    """Scrapes from namespaces that the platform labelled for it."""
    peer = {"namespaceSelector": {"matchLabels": {labels.METRICS_NAMESPACE: labels.METRICS_ENABLED}}}
    return {"from": [peer], "ports": [tcp(port)]}


def to_dns(peers: Iterable[str] = ()) -> Rule:
    """The resolvers that the platform named, any if none."""
    named = [one for peer in peers for one in (_CLUSTER_RESOLVERS if peer == CLUSTER_DNS else (_block(peer),))]
    return _to(named, [{"protocol": "UDP", "port": 53}, tcp(53)])


def to_api_server(cidrs: Iterable[str] = ()) -> Rule:
    """The ranges that the platform named; any destination if none, since nothing tells the address for good."""
    return _to([_block(cidr) for cidr in cidrs], [tcp(port) for port in _API_SERVER_PORTS])


def _to(peers: list[Rule], ports: list[Rule]) -> Rule:
    return {**({"to": peers} if peers else {}), "ports": ports}


def _block(cidr: str) -> Rule:
    return {"ipBlock": {"cidr": cidr}}


def tcp(port: int) -> Rule:
    """One TCP port."""
    return {"protocol": "TCP", "port": port}
