"""The two questions that every CONNECT is asked: may this name be reached, and may the address that it resolved to.

Both are lists of what is allowed: what no policy names is refused with 403 and counted.
"""

import functools
import ipaddress
from typing import Any

from actions_gateway.api.egress import EgressException, PlatformEgress
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.proxy.hosts import HTTPS_PORT, allowed_hosts
from actions_gateway.proxy.listeners import extension, typed

Permission = dict[str, Any]

ANY_ADDRESS = ("0.0.0.0/0", "::/0")
NAME_AND_PORT = r"(?i)[a-z0-9_-]+(\.[a-z0-9_-]+)*:[0-9]+"
"""RE2, matched as a whole. The port must be written, as RFC 9110 section 9.3.6 asks of CONNECT."""


def name_filter(spec: ActionsGatewaySpec, exceptions: tuple[EgressException, ...]) -> dict[str, Any]:
    """Admits CONNECT to the names of the allow-list; everything else that HTTP offers is refused with them."""
    names = [(host, HTTPS_PORT) for host in allowed_hosts(spec)]
    names += [(exception.host, exception.port) for exception in exceptions]
    is_connect = _header(":method", {"exact": "CONNECT"})
    is_name = _header(":authority", {"safe_regex": {"regex": NAME_AND_PORT}})
    is_listed = _any(*(_authority(host, port) for host, port in dict.fromkeys(names)))
    return _filter("filters.http.rbac", {"names": _all(is_connect, is_name, is_listed)})


@functools.lru_cache(maxsize=4)
def address_filter(platform: PlatformEgress) -> dict[str, Any]:
    """Admits public addresses on 443, and an exception's own addresses and port under its own name.

    To be asked of the endpoint that is selected, as a filter of the router's upstream side.
    """
    seen = _any(*(_upstream(cidr, HTTPS_PORT) for cidr in ANY_ADDRESS))
    refused = _any(*(_upstream(cidr) for cidr in (*platform.refused_ipv4, *platform.refused_ipv6)))
    policies = {"public": _all(seen, {"not_rule": refused})}
    for exception in platform.exceptions:
        address = _upstream(exception.cidr, exception.port)
        policies[str(exception)] = _all(_authority(exception.host, exception.port), address)
    return _filter("filters.http.upstream_rbac", policies)


def _filter(name: str, policies: dict[str, Permission]) -> dict[str, Any]:
    rules = {
        "action": "ALLOW",
        "policies": {key: {"permissions": [rule], "principals": [{"any": True}]} for key, rule in policies.items()},
    }
    return extension(name, "extensions.filters.http.rbac.v3.RBAC", rules=rules)


def _all(*rules: Permission) -> Permission:
    return {"and_rules": {"rules": list(rules)}}


def _any(*rules: Permission) -> Permission:
    return {"or_rules": {"rules": list(rules)}}


def _header(name: str, string_match: dict[str, Any]) -> Permission:
    return {"header": {"name": name, "string_match": string_match}}


def _authority(host: str, port: int) -> Permission:
    """This host name on this port; below a `*.suffix` lie names of any depth."""
    kind, name = ("suffix", host.removeprefix("*")) if host.startswith("*.") else ("exact", host)
    return _header(":authority", {kind: f"{name}:{port}", "ignore_case": True})


def _upstream(cidr: str, port: int | None = None) -> Permission:
    network = ipaddress.ip_network(cidr)
    fields: dict[str, Any] = {
        "upstream_ip": {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}
    }
    if port is not None:
        fields["upstream_port_range"] = {"start": port, "end": port}
    message = "extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher"
    # Envoy finds the matcher by its type; the name is repeated often enough to be short.
    return {"matcher": {"name": "ip", "typed_config": typed(message, **fields)}}
