"""Envoy itself accepts what is built for every kind of gateway."""

import subprocess
from typing import Any

import pytest

from actions_gateway.api.cidrs import MOST_ENTRIES
from actions_gateway.proxy.bootstrap import build_bootstrap
from support.components import require_envoy
from support.envoy import expanded
from support.patience import HANG_SECONDS

from .scene import bootstrap, gateway, platform

MANY_HOSTS = [f"*.host-{number}.{'x' * 60}.example.com" for number in range(64)]
MANY_EXCEPTIONS = ",".join(
    f"host-{number}.corp.example=10.{number}.0.0/16:{8000 + number}" for number in range(MOST_ENTRIES)
)
MANY_DENIED = ",".join(f"20.30.{number}.0/24" for number in range(MOST_ENTRIES))
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "organization on github.com": ("https://github.com/acme", "", {}),
    "repository, with an access log": ("https://github.com/acme/shop.js", "", {"accessLog": True}),
    "enterprise with data residency": ("https://octocorp.ghe.com/acme", "", {}),
    "Enterprise Server on a private network": (
        "https://ghes.corp.example/acme",
        "ghes.corp.example=10.20.0.0/16:443",
        {},
    ),
    "Enterprise Server on another port": ("https://GHES.corp.example:8443/a", "ghes.corp.example=10.2.0.1/32:8443", {}),
    "Enterprise Server at an address": ("https://10.0.0.5/acme", "10.0.0.5=10.0.0.5/32:443", {}),
    "IPv6 exceptions": ("https://github.com/acme", "six.example=[fd00:10::/32]:443,one.example=[::1/128]:8443", {}),
    "an exception for a suffix": ("https://github.com/acme", "*.corp.example=10.0.0.0/8:443", {}),
    "as many hosts as there may be": ("https://github.com/acme", "", {"allowedHosts": MANY_HOSTS, "accessLog": True}),
}


@pytest.mark.parametrize(("url", "exceptions", "proxy"), CASES.values(), ids=CASES)
def test_envoy_accepts_the_bootstrap_without_a_warning(url: str, exceptions: str, proxy: dict[str, Any]) -> None:
    validate(build_bootstrap(gateway(url, **proxy), platform(exceptions)))


@pytest.mark.parametrize(
    ("exceptions", "denied", "hosts"),
    [("", "20.30.0.0/16,2600:1f00::/40,::/64", []), (MANY_EXCEPTIONS, MANY_DENIED, MANY_HOSTS)],
    ids=["ranges that are denied", "as much of everything as there may be"],
)
def test_envoy_accepts_what_the_platform_says_of_it(exceptions: str, denied: str, hosts: list[str]) -> None:
    validate(bootstrap(exceptions, denied, allowedHosts=hosts, accessLog=True))


def validate(config: dict[str, Any]) -> None:
    text = expanded(config, "validated")
    assert "$(" not in text
    assert len(text) < 128 * 1024, "Linux takes no single argument beyond MAX_ARG_STRLEN"
    command = [require_envoy(), "--mode", "validate", "--log-level", "warning", "--config-yaml", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
