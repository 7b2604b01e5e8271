"""Who may speak to whom in a tenant's namespace, rule by rule, and nothing beside."""

from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.api import labels
from actions_gateway.api.egress import parse_egress_exceptions
from actions_gateway.api.names import AGENT, PROXY, WORKLOAD_POLICY
from support import manager_objects as make

Manifest = dict[str, Any]

DNS = ("any", "UDP 53", "TCP 53")
WORKLOAD = "pods actions-gateway/component=workload"
PROXIES = f"pods app={PROXY}"
MONITORING = "namespaces metrics=enabled"
PUBLIC = "0.0.0.0/0 but private, ::/0 but private"


def policy(name: str, exceptions: str = "", **changes: Any) -> Manifest:
    settings = replace(make.SETTINGS, proxy_exceptions=parse_egress_exceptions(exceptions))
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


@pytest.mark.parametrize("name", [PROXY, WORKLOAD_POLICY, AGENT])
def test_a_contained_gateway_speaks_to_nobody_and_its_pods_are_still_selected(name: str) -> None:
    contained = policy(name, metadata={"annotations": {labels.CONTAINED: ""}})
    assert (contained["ingress"], contained["egress"]) == ([], [])
    assert (contained["podSelector"], contained["policyTypes"]) == (policy(name)["podSelector"], ["Ingress", "Egress"])


@pytest.mark.parametrize(
    ("family", "excepted"),
    [
        ("0.0.0.0/0", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"}),
        ("::/0", {"fc00::/7", "fe80::/10"}),
    ],
)
def test_proxies_reach_no_private_and_no_link_local_range(family: str, excepted: set[str]) -> None:
    blocks = [one["ipBlock"] for entry in policy(PROXY)["egress"] for one in entry.get("to", [])]
    (block,) = [block for block in blocks if block["cidr"] == family]
    assert excepted <= set(block["except"])


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
