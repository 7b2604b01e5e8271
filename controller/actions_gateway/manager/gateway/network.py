"""NetworkPolicies of a tenant: nothing comes in but scrapes, nothing goes out but DNS, HTTPS and the API server.

Agent and workers are both workload. They reach public addresses on 443 directly, and on the port that `gitHubURL`
names; an egress proxy in the tenant's namespace narrows this to named hosts once it exists. Ports count after
destination NAT, and a rule without a peer allows every destination (Kubernetes API reference, NetworkPolicySpec).
"""

from urllib.parse import urlsplit

from actions_gateway.api import labels
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import AGENT, WORKLOAD_POLICY
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import NETWORKPOLICIES
from actions_gateway.manager import podspec
from actions_gateway.manager.gateway.ownership import build_child

HTTPS_PORT = 443
API_SERVER_PORTS = (443, 6443)
"""Before and after destination NAT, as the usual distributions have it."""

PRIVATE_IPV4 = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918, shared address space (RFC 6598), loopback, and link-local with the clouds' metadata services (RFC 3927)."""
PRIVATE_IPV6 = ("::1/128", "fc00::/7", "fe80::/10")


def build_workload_policy(gateway: Manifest, spec: ActionsGatewaySpec) -> Manifest:
    """What agent and workers may do: DNS, and HTTPS to anything but private and link-local ranges; no ingress."""
    ports = sorted({HTTPS_PORT, urlsplit(spec.git_hub_url).port or HTTPS_PORT})
    public = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_IPV4)}},
        {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_IPV6)}},
    ]
    return _policy(
        gateway,
        WORKLOAD_POLICY,
        selector={labels.COMPONENT: labels.WORKLOAD},
        ingress=[],
        egress=[{"ports": _DNS}, {"to": public, "ports": [_tcp(port) for port in ports]}],
    )


def build_agent_policy(gateway: Manifest) -> Manifest:
    """What the agent may do beyond that: reach the API server, and be scraped from namespaces that watch."""
    monitoring = {"namespaceSelector": {"matchLabels": {labels.METRICS_NAMESPACE: labels.METRICS_ENABLED}}}
    return _policy(
        gateway,
        AGENT,
        selector={labels.APP: AGENT},
        ingress=[{"from": [monitoring], "ports": [_tcp(podspec.METRICS_PORT)]}],
        egress=[{"ports": [_tcp(port) for port in API_SERVER_PORTS]}],
    )


def _policy(
    gateway: Manifest, name: str, *, selector: dict[str, str], ingress: list[Manifest], egress: list[Manifest]
) -> Manifest:
    """A policy that states both directions, so that an empty list denies and a rule added by hand is ours to remove."""
    spec = {
        "podSelector": {"matchLabels": selector},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }
    return build_child(gateway, NETWORKPOLICIES, name, spec=spec)


def _tcp(port: int) -> Manifest:
    return {"protocol": "TCP", "port": port}


_DNS = [{"protocol": "UDP", "port": 53}, _tcp(53)]
