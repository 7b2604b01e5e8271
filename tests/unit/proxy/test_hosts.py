"""Which names a tenant's list has."""

from typing import Any

import pytest

from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.proxy.hosts import GITHUB_HOSTS, allowed_hosts

NEEDED_BY_RUNNERS = (
    "github.com",
    "api.github.com",
    "codeload.github.com",
    "broker.actions.githubusercontent.com",
    "results-receiver.actions.githubusercontent.com",
    "pkg.actions.githubusercontent.com",
    "objects.githubusercontent.com",
    "objects-origin.githubusercontent.com",
    "github-releases.githubusercontent.com",
    "github-registry-files.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "pkg-containers.githubusercontent.com",
    "productionresultssa0.blob.core.windows.net",
    "ghcr.io",
    "npm.pkg.github.com",
    "github-cloud.githubusercontent.com",
    "github-cloud.s3.amazonaws.com",
    "dependabot-actions.githubapp.com",
)
"""GitHub docs "Self-hosted runners reference", by function; and where its releases and packages redirect to."""


def spec(url: str, **proxy: Any) -> ActionsGatewaySpec:
    fields = {"gitHubAppRef": {"name": "app"}, "gitHubURL": url, "proxy": proxy}
    return ActionsGatewaySpec.model_validate(fields)


def is_listed(name: str, hosts: tuple[str, ...]) -> bool:
    return any(name.endswith(host[1:]) if host.startswith("*.") else name == host for host in hosts)


@pytest.mark.parametrize("name", NEEDED_BY_RUNNERS)
def test_what_github_documents_for_runners_is_listed(name: str) -> None:
    assert is_listed(name, allowed_hosts(spec("https://github.com/acme")))


def test_an_enterprise_with_data_residency_gets_its_api_and_services() -> None:
    hosts = allowed_hosts(spec("https://octocorp.ghe.com/acme"))
    for name in ("octocorp.ghe.com", "api.octocorp.ghe.com", "broker.actions.octocorp.ghe.com", "auth.ghe.com"):
        assert is_listed(name, hosts)
    assert not is_listed("api.other.ghe.com", hosts)


def test_an_enterprise_server_is_listed_in_lower_case_without_its_port() -> None:
    hosts = allowed_hosts(spec("https://GHES.Corp.Example:8443/acme"))
    assert set(hosts) - set(GITHUB_HOSTS) == {"ghes.corp.example", "*.ghes.corp.example"}


def test_a_tenants_additions_are_listed_as_they_are() -> None:
    hosts = allowed_hosts(spec("https://github.com/acme", allowedHosts=["pkg.example.com", "*.pkg.example.org"]))
    assert {"pkg.example.com", "*.pkg.example.org"} < set(hosts)


def test_the_list_does_not_depend_on_the_order_of_what_a_tenant_wrote() -> None:
    one = allowed_hosts(spec("https://github.com/acme", allowedHosts=["b.example", "a.example"]))
    assert one == allowed_hosts(spec("https://github.com/acme", allowedHosts=["a.example", "b.example"]))
