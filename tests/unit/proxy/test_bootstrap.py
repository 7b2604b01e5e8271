"""The bootstrap as data: what it must and must not hold, whatever the gateway."""

import json
import re
from typing import Any

import pytest

from actions_gateway.api.egress import PlatformEgress, parse_egress_exceptions
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.proxy.bootstrap import build_bootstrap
from actions_gateway.proxy.rules import NAME_AND_PORT

PLATFORM = PlatformEgress(parse_egress_exceptions("ghes.example=10.0.0.0/8:443,six.example=[fd00::/8]:8443"))


def build(**proxy: Any) -> dict[str, Any]:
    fields = {"gitHubAppRef": {"name": "planted"}, "gitHubURL": "https://github.com/acme", "proxy": proxy}
    return build_bootstrap(ActionsGatewaySpec.model_validate(fields), PLATFORM)


def egress_cluster() -> dict[str, Any]:
    found: dict[str, Any] = build()["static_resources"]["clusters"][0]
    return found


def test_a_bootstrap_is_json_and_a_function_of_its_arguments() -> None:
    assert json.dumps(build(accessLog=True)) == json.dumps(build(accessLog=True))
    assert json.dumps(build(accessLog=True)) != json.dumps(build())


def test_what_does_not_concern_egress_does_not_change_it() -> None:
    """A change rolls the proxies, and with them goes every tunnel."""
    assert build(minReplicas=3, maxReplicas=5, noProxyCIDRs=["10.0.0.0/8"]) == build()
    assert "planted" not in json.dumps(build())


def test_nothing_is_fetched() -> None:
    bootstrap = build()
    assert not {"dynamic_resources", "hds_config", "xds_config_tracker_extension"} & set(bootstrap)
    assert not re.findall(r'"[a-z_]*(config_discovery|ads|grpc_service|filename)"', json.dumps(bootstrap))


def test_its_only_variables_are_those_that_a_pod_sets() -> None:
    names = set(re.findall(r"\$\(([A-Z_]+)\)", json.dumps(build())))
    assert names == {"PROXY_PORT", "STATS_PORT", "BIND_ADDRESS", "POD_NAME"}
    assert "$$(" not in json.dumps(build())


def test_names_are_resolved_as_they_are() -> None:
    """With the pod's search domains, `github.com` could be answered by `github.com.svc.cluster.local`."""
    resolver = egress_cluster()["typed_dns_resolver_config"]["typed_config"]
    assert resolver["dns_resolver_options"] == {"no_default_search_domain": True}


def test_hosts_that_are_asked_for_once_are_forgotten_soon() -> None:
    """Names below an allowed suffix are a job's to make up: while they fill the limit, no other host can be reached."""
    hosts = egress_cluster()["cluster_type"]["typed_config"]["sub_clusters_config"]
    assert (hosts["max_sub_clusters"], hosts["sub_cluster_ttl"]) == (1024, "60s")


@pytest.mark.parametrize("text", ["github.com:443", "A-b_c.example:1", "10.0.0.1:443"])
def test_a_name_and_port_is_an_authority(text: str) -> None:
    assert re.fullmatch(NAME_AND_PORT, text)


@pytest.mark.parametrize(
    "text", ["github.com", ".github.com:443", "a..b:443", "a.:443", "u@a:443", "a/b:443", "[::1]:443", "a:443\n", "a:x"]
)
def test_anything_else_is_none(text: str) -> None:
    assert not re.fullmatch(NAME_AND_PORT, text)
