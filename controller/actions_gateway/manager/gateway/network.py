"""NetworkPolicies of a tenant: jobs reach DNS and the tenant's proxies alone, and the proxies reach public addresses.

Agent and workers are both workload. The agent reaches the API server beside that. Policies add up, so that a gateway
that is contained has all of them without any rule.
"""

from types import MappingProxyType

from actions_gateway.api import labels
from actions_gateway.api.egress import IPV4_MAPPED, PlatformEgress
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import AGENT, PROXY, WORKLOAD_POLICY
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import NETWORKPOLICIES
from actions_gateway.manager.gateway.ownership import build_child
from actions_gateway.manifests.netpolicy import Rule, from_monitoring, policy_spec, tcp, to_api_server, to_dns
from actions_gateway.proxy.hosts import HTTPS_PORT
from actions_gateway.proxy.listeners import PROXY_PORT, STATS_PORT

_SELECTORS = MappingProxyType(
    {
        PROXY: {labels.APP: PROXY},
        WORKLOAD_POLICY: {labels.COMPONENT: labels.WORKLOAD},
        AGENT: {labels.APP: AGENT},
    }
)


def build_network_policies(gateway: Manifest, spec: ActionsGatewaySpec, platform: PlatformEgress) -> list[Manifest]:
    """What proxies, workload and the agent among it may do."""
    return [
        _policy(gateway, PROXY, _into_proxies(), _out_of_proxies(spec, platform)),
        _policy(gateway, WORKLOAD_POLICY, [], [to_dns(platform.dns), _to_proxies()]),
        _policy(gateway, AGENT, [from_monitoring()], [to_api_server(platform.api_server)]),
    ]


def build_containing_policies(gateway: Manifest) -> list[Manifest]:
    """The same policies without any rule; they need no spec, so that an invalid one does not keep traffic going."""
    return [_policy(gateway, name, [], []) for name in _SELECTORS]


def _policy(gateway: Manifest, name: str, ingress: list[Rule], egress: list[Rule]) -> Manifest:
    return build_child(
        gateway, NETWORKPOLICIES, name, spec=policy_spec(_SELECTORS[name], ingress=ingress, egress=egress)
    )


def _into_proxies() -> list[Rule]:
    workload = {"podSelector": {"matchLabels": {labels.COMPONENT: labels.WORKLOAD}}}
    return [{"from": [workload], "ports": [tcp(PROXY_PORT)]}, from_monitoring(STATS_PORT)]


def _to_proxies() -> Rule:
    return {"to": [{"podSelector": {"matchLabels": {labels.APP: PROXY}}}], "ports": [tcp(PROXY_PORT)]}


def _out_of_proxies(spec: ActionsGatewaySpec, platform: PlatformEgress) -> list[Rule]:
    """DNS, HTTPS to public addresses unless the platform has a policy of its own for that, and each exception."""
    # Never on a wire, and Kubernetes takes them for IPv4, which is no part of an IPv6 range.
    ipv6 = [cidr for cidr in platform.refused_ipv6 if cidr != IPV4_MAPPED]
    public = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(platform.refused_ipv4)}},
        {"ipBlock": {"cidr": "::/0", "except": ipv6}},
    ]
    https = [{"to": public, "ports": [tcp(HTTPS_PORT)]}] if spec.proxy.managed_network_policy else []
    targets = sorted({(exception.cidr, exception.port) for exception in platform.exceptions})
    excepted = [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [tcp(port)]} for cidr, port in targets]
    return [to_dns(platform.dns), *https, *excepted]
