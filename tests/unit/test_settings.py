"""Settings are refused with the variable's name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from actions_gateway.api.egress import PUBLIC_ONLY, EgressException, PlatformEgress
from actions_gateway.api.runnergroup import RUNNER_IMAGE, RUNNER_RELEASED, RUNNER_VERSION
from actions_gateway.settings import AgentSettings, ManagerSettings, SettingsError, TenantNamespaces

AGENT = {
    "POD_NAMESPACE": "team-a",
    "GATEWAY_NAME": "team-a",
    "GITHUB_URL": "https://github.com/octo",
    "GITHUB_APP_PATH": "/etc/app",
    "WRAPPER_IMAGE": "controller:1",
    "GITHUB_PROXY": "http://proxy.team-a.svc:8080/",
}

UNUSABLE = [
    ("METRICS_PORT", "many"),
    ("HEALTH_PORT", "70000"),
    ("LOG_LEVEL", "loud"),
    ("RUNNER_VERSION", "newest"),
    ("RUNNER_RELEASED", "in spring"),
]


def test_an_agents_environment_is_read() -> None:
    settings = AgentSettings.from_environment({**AGENT, "METRICS_PORT": "9000", "CA_BUNDLE_PATH": "/etc/ca.crt"})
    assert (settings.namespace, settings.metrics_port, settings.health_port) == ("team-a", 9000, 8081)
    assert settings.ca_bundle_path == Path("/etc/ca.crt")
    assert settings.bind_address == "0.0.0.0"
    assert settings.github_proxy == "http://proxy.team-a.svc:8080"


def test_the_release_of_the_reported_runner_is_known_or_named() -> None:
    own = AgentSettings.from_environment(AGENT)
    assert (own.runner_version, own.runner_released) == (RUNNER_VERSION, RUNNER_RELEASED)
    other = AgentSettings.from_environment({**AGENT, "RUNNER_VERSION": "2.400.0"})
    assert (other.runner_version, other.runner_released) == ("2.400.0", None)
    named = AgentSettings.from_environment({**AGENT, "RUNNER_RELEASED": "2027-01-02"})
    assert (named.runner_version, named.runner_released) == (RUNNER_VERSION, datetime(2027, 1, 2, tzinfo=UTC))


def test_the_known_release_is_of_the_version_that_the_worker_image_holds() -> None:
    assert f":{RUNNER_VERSION}@" in RUNNER_IMAGE
    # Whoever moves the version looks up its day.
    assert (RUNNER_VERSION, f"{RUNNER_RELEASED:%Y-%m-%d}") == ("2.335.1", "2026-06-09")


@pytest.mark.parametrize("name", sorted(AGENT))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        AgentSettings.from_environment({key: value for key, value in AGENT.items() if key != name})


@pytest.mark.parametrize(("name", "value"), UNUSABLE)
def test_an_unusable_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        AgentSettings.from_environment({**AGENT, name: value})


@pytest.mark.parametrize(
    "value", ["proxy:8080", "https://proxy:8080", "http://proxy", "http://user:planted@proxy:1", "http://proxy:1/path"]
)
def test_only_a_plain_address_names_the_egress_proxy(value: str) -> None:
    with pytest.raises(SettingsError, match="GITHUB_PROXY") as caught:
        AgentSettings.from_environment({**AGENT, "GITHUB_PROXY": value})
    assert "planted" not in str(caught.value)


MANAGER = {"POD_NAMESPACE": "gmc-system", "CONTROLLER_IMAGE": "controller:1"}


def test_what_tenants_may_reach_is_the_platforms_word() -> None:
    words = {
        "PROXY_EXCEPTIONS": "ghes.example=10.0.0.0/8:443",
        "PROXY_DENIED_CIDRS": "20.30.0.0/16, 2600:1f00::/40",
        "API_SERVER_CIDRS": "2001:db8::10, 192.0.2.0/28",
        "DNS_PEERS": "10.96.0.10, cluster",
    }
    assert ManagerSettings.from_environment({**MANAGER, **words}).egress == PlatformEgress(
        exceptions=(EgressException("ghes.example", "10.0.0.0/8", 443),),
        denied=("20.30.0.0/16", "2600:1f00::/40"),
        api_server=("192.0.2.0/28", "2001:db8::10/128"),
        dns=("cluster", "10.96.0.10/32"),
    )
    unsaid = dict.fromkeys(words, "")
    assert ManagerSettings.from_environment({**MANAGER, **unsaid}).egress == PUBLIC_ONLY


@pytest.mark.parametrize("name", ["PROXY_EXCEPTIONS", "PROXY_DENIED_CIDRS", "API_SERVER_CIDRS", "DNS_PEERS"])
def test_an_unusable_word_of_the_platform_is_named_with_its_part(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} .*'ghes\.example'"):
        ManagerSettings.from_environment({**MANAGER, name: "ghes.example"})


def test_the_manager_serves_any_namespace_unless_told_otherwise() -> None:
    assert ManagerSettings.from_environment(MANAGER).tenant_namespaces is TenantNamespaces.ANY
    marked = ManagerSettings.from_environment({**MANAGER, "TENANT_NAMESPACES": "marked"})
    assert marked.tenant_namespaces is TenantNamespaces.MARKED
    with pytest.raises(SettingsError, match="TENANT_NAMESPACES"):
        ManagerSettings.from_environment({**MANAGER, "TENANT_NAMESPACES": "some"})
