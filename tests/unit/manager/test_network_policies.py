"""Who may speak to whom in a tenant's namespace, rule by rule, and nothing beside."""

import ipaddress
from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.cidrs import parse_cidrs
from actions_gateway.api.egress import PlatformEgress, parse_dns_peers, parse_egress_exceptions
from actions_gateway.api.names import AGENT, PROXY, WORKLOAD_POLICY
from support import manager_objects as make

Manifest = dict[str, Any]

DNS = ("any", "UDP 53", "TCP 53")
WORKLOAD = "pods actions-gateway/component=workload"
PROXIES = f"pods app={PROXY}"
MONITORING = "namespaces metrics=enabled"
CLUSTER_RESOLVERS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {
        "matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns", "node-local-dns"]}]
    },
}
PUBLIC = "0.0.0.0/0 but private, ::/0 but private"


def policy(
    name: str, exceptions: str = "", denied: str = "", api_server: str = "", dns: str = "", **changes: Any
) -> Manifest:
    platform = PlatformEgress(
        parse_egress_exceptions(exceptions), parse_cidrs(denied), parse_cidrs(api_server), parse_dns_peers(dns)
    )
    settings = replace(make.SETTINGS, egress=platform)
    found: Manifest = make.children_of(make.gateway(**changes), settings)["NetworkPolicy", name]["spec"]
    return found


def rules(entries: list[Manifest], peers: str) -> set[tuple[str, ...]]:
    """Each rule as (its peers, its ports...)."""
    return {
        (
            ", ".join(peer(one) for one in entry[peers]) if peers in entry else "any",
            *(f"{port['protocol']} {port['port']}" for port in entry["ports"]),
        )
        for entry in entries
    }


def peer(entry: Manifest) -> str:
    if entry == CLUSTER_RESOLVERS:
        return "the cluster's resolvers"
    ((kind, value),) = entry.items()
    if kind == "ipBlock":
        return str(value["cidr"]) + (" but private" if value.get("except") else "")
    ((key, wanted),) = value["matchLabels"].items()
    return f"{'pods' if kind == 'podSelector' else 'namespaces'} {key}={wanted}"


@pytest.mark.parametrize(
    ("name", "selector", "ingress", "egress"),
    [
        (
            PROXY,
            {"app": PROXY},
            {(WORKLOAD, "TCP 8080"), (MONITORING, "TCP 8081")},
            {DNS, (PUBLIC, "TCP 443")},
        ),
        (WORKLOAD_POLICY, {labels.COMPONENT: labels.WORKLOAD}, set(), {DNS, (PROXIES, "TCP 8080")}),
        (AGENT, {"app": AGENT}, {(MONITORING, "TCP 8080")}, {("any", "TCP 443", "TCP 6443")}),
    ],
    ids=["proxy", "workload", "agent"],
)
def test_each_policy_has_exactly_these_rules(
    name: str, selector: dict[str, str], ingress: set[tuple[str, ...]], egress: set[tuple[str, ...]]
) -> None:
    spec = policy(name)
    assert spec["podSelector"] == {"matchLabels": selector}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert rules(spec["ingress"], "from") == ingress
    assert rules(spec["egress"], "to") == egress


def test_agents_reach_only_the_ranges_that_the_platform_names_for_the_api_server() -> None:
    spec = policy(AGENT, api_server="2001:db8::10,192.0.2.0/28")
    assert rules(spec["egress"], "to") == {("192.0.2.0/28, 2001:db8::10/128", "TCP 443", "TCP 6443")}
    assert spec["ingress"] == policy(AGENT)["ingress"]
    for other in (PROXY, WORKLOAD_POLICY):
        assert policy(other, api_server="192.0.2.0/28") == policy(other)


@pytest.mark.parametrize(
    ("dns", "peers"),
    [
        ("cluster", "the cluster's resolvers, 169.254.20.10/32"),
        ("10.96.0.10,cluster", "the cluster's resolvers, 169.254.20.10/32, 10.96.0.10/32"),
        ("2001:db8::53,192.0.2.53", "192.0.2.53/32, 2001:db8::53/128"),
    ],
)
@pytest.mark.parametrize("name", [PROXY, WORKLOAD_POLICY])
def test_pods_of_a_tenant_ask_only_the_resolvers_that_the_platform_names(name: str, dns: str, peers: str) -> None:
    named = rules(policy(name, dns=dns)["egress"], "to")
    assert named == rules(policy(name)["egress"], "to") - {DNS} | {(peers, "UDP 53", "TCP 53")}
    assert policy(AGENT, dns=dns) == policy(AGENT), "it asks as workload"


@pytest.mark.parametrize("name", [PROXY, WORKLOAD_POLICY, AGENT])
def test_a_contained_gateway_speaks_to_nobody_and_its_pods_are_still_selected(name: str) -> None:
    contained = policy(name, api_server="192.0.2.0/28", dns="cluster", metadata={"annotations": {labels.CONTAINED: ""}})
    assert (contained["ingress"], contained["egress"]) == ([], [])
    assert (contained["podSelector"], contained["policyTypes"]) == (policy(name)["podSelector"], ["Ingress", "Egress"])


def blocks(spec: Manifest) -> dict[str, list[str]]:
    """By range that the policy opens what it excepts from it."""
    found = [one["ipBlock"] for entry in spec["egress"] for one in entry.get("to", [])]
    return {block["cidr"]: block.get("except", []) for block in found}


@pytest.mark.parametrize(
    ("family", "excepted"),
    [
        ("0.0.0.0/0", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"}),
        ("::/0", {"fc00::/7", "fe80::/10"}),
    ],
)
def test_proxies_reach_no_private_and_no_link_local_range(family: str, excepted: set[str]) -> None:
    assert excepted <= set(blocks(policy(PROXY))[family])


def test_proxies_do_not_reach_what_the_platform_denies_but_by_its_exceptions() -> None:
    opened = blocks(policy(PROXY, "ghes.example.com=20.30.1.0/24:443", denied="20.30.0.0/16,2600:1f00::/40"))
    before = blocks(policy(PROXY))
    assert set(opened["0.0.0.0/0"]) - set(before["0.0.0.0/0"]) == {"20.30.0.0/16"}
    assert set(opened["::/0"]) - set(before["::/0"]) == {"2600:1f00::/40", "64:ff9b::141e:0/112"}
    assert opened["20.30.1.0/24"] == []


@pytest.mark.parametrize("denied", ["", "0.0.0.0/1,::/1", "::/64,20.30.0.0/16"])
def test_what_is_excepted_from_a_range_lies_within_it_and_is_smaller(denied: str) -> None:
    """Kubernetes refuses the policy otherwise (validation of NetworkPolicy's ipBlock)."""
    for family, excepted in blocks(policy(PROXY, denied=denied)).items():
        whole = ipaddress.ip_network(family)
        for network in map(ipaddress.ip_network, excepted):
            assert (network.version, network.prefixlen > 0) == (whole.version, True)
            assert getattr(network.network_address, "ipv4_mapped", None) is None


def test_without_the_managed_policy_the_rule_for_https_alone_is_left_out() -> None:
    exceptions = "ghes.example.com=10.2.0.0/16:443,ghes.example.com=[fd00:2::/32]:8443"
    spec = policy(PROXY, exceptions, proxy={"managedNetworkPolicy": False})
    assert rules(spec["egress"], "to") == {DNS, ("10.2.0.0/16", "TCP 443"), ("fd00:2::/32", "TCP 8443")}
    assert rules(spec["ingress"], "from") == {(WORKLOAD, "TCP 8080"), (MONITORING, "TCP 8081")}


def test_two_hosts_in_one_range_are_one_rule() -> None:
    spec = policy(PROXY, "a.example.com=10.2.0.0/16:443,b.example.com=10.2.0.0/16:443")
    assert len(spec["egress"]) == 3


def test_what_a_tenant_excepts_from_the_proxy_opens_nothing() -> None:
    assert policy(WORKLOAD_POLICY, proxy={"noProxyCIDRs": ["10.1.0.0/16"]}) == policy(WORKLOAD_POLICY)
