"""Rules of NetworkPolicies that manager and tenants have in common.

Ports count after destination NAT, and a rule without a peer allows every destination (Kubernetes API reference,
NetworkPolicySpec).
"""

from typing import Any

from actions_gateway.api import labels
from actions_gateway.manifests.podspec import METRICS_PORT

Rule = dict[str, Any]

_API_SERVER_PORTS = (443, 6443)
"""Before and after destination NAT, as the usual distributions have it."""


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


def to_dns() -> Rule:
    """Any resolver."""
    return {"ports": [{"protocol": "UDP", "port": 53}, tcp(53)]}


def to_api_server() -> Rule:
    """Any destination, since nothing tells the API server's address for good."""
    return {"ports": [tcp(port) for port in _API_SERVER_PORTS]}


def tcp(port: int) -> Rule:
    """One TCP port."""
    return {"protocol": "TCP", "port": port}
