"""NetworkPolicies of a tenant: jobs reach DNS and the tenant's proxies alone, and the proxies reach public addresses.

Agent and workers are both workload. The agent reaches the API server beside that. Policies add up, so that a gateway
that is contained has all of them without any rule.
"""

from actions_gateway.api import labels
from actions_gateway.api.egress import PRIVATE_IPV4, PRIVATE_IPV6, EgressException
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import AGENT, PROXY, WORKLOAD_POLICY
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import NETWORKPOLICIES
from actions_gateway.manager.gateway.ownership import build_child
from actions_gateway.manifests.netpolicy import Rule, from_monitoring, policy_spec, tcp, to_api_server, to_dns
from actions_gateway.proxy.hosts import HTTPS_PORT
from actions_gateway.proxy.listeners import PROXY_PORT, STATS_PORT

_IPV4_MAPPED = "::ffff:"
"""Never on a wire, and Kubernetes takes them for IPv4, which is no part of an IPv6 range."""


def build_network_policies(
    gateway: Manifest, spec: ActionsGatewaySpec, exceptions: tuple[EgressException, ...], *, is_contained: bool
) -> list[Manifest]:
    """What proxies, workload and the agent among it may do; nothing at all when contained."""
    policies: tuple[tuple[str, dict[str, str], list[Rule], list[Rule]], ...] = (
        (PROXY, {labels.APP: PROXY}, _into_proxies(), _out_of_proxies(spec, exceptions)),
        (WORKLOAD_POLICY, {labels.COMPONENT: labels.WORKLOAD}, [], [to_dns(), _to_proxies()]),
        (AGENT, {labels.APP: AGENT}, [from_monitoring()], [to_api_server()]),
    )
    return [
        build_child(
            gateway,
            NETWORKPOLICIES,
            name,
            spec=policy_spec(selector, ingress=[] if is_contained else ingress, egress=[] if is_contained else egress),
        )
        for name, selector, ingress, egress in policies
    ]


def _into_proxies() -> list[Rule]:
    workload = {"podSelector": {"matchLabels": {labels.COMPONENT: labels.WORKLOAD}}}
    return [{"from": [workload], "ports": [tcp(PROXY_PORT)]}, from_monitoring(STATS_PORT)]


def _to_proxies() -> Rule:
    return {"to": [{"podSelector": {"matchLabels": {labels.APP: PROXY}}}], "ports": [tcp(PROXY_PORT)]}


def _out_of_proxies(spec: ActionsGatewaySpec, exceptions: tuple[EgressException, ...]) -> list[Rule]:
    """DNS, HTTPS to public addresses unless the platform has a policy of its own for that, and each exception."""
    ipv6 = [cidr for cidr in PRIVATE_IPV6 if not cidr.startswith(_IPV4_MAPPED)]
    public = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_IPV4)}},
        {"ipBlock": {"cidr": "::/0", "except": ipv6}},
    ]
    https = [{"to": public, "ports": [tcp(HTTPS_PORT)]}] if spec.proxy.managed_network_policy else []
    targets = sorted({(exception.cidr, exception.port) for exception in exceptions})
    excepted = [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [tcp(port)]} for cidr, port in targets]
    return [to_dns(), *https, *excepted]
