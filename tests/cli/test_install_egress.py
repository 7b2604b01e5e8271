"""What `gw install` says of tenants' egress: exceptions, ranges and resolvers, kept, shown, refused and hinted at."""

import pytest

from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r

from .installing import Install, environment_of
from .rig import Gw


def test_exceptions_are_named_anew_all_together_and_an_empty_one_takes_all_away(install: Install) -> None:
    first, second = "ghes.example.com=10.20.0.0/16:443", "mirror.example.com=[fd00:10::/32]:8443"
    for wish, stored in (([first], first), ([second, first], f"{second},{first}"), ([""], "")):
        options = [part for exception in wish for part in ("--proxy-exception", exception)]
        assert install("--yes", *options).code == 0
        assert environment_of(install.gw)["PROXY_EXCEPTIONS"] == stored


RANGES = pytest.mark.parametrize(
    ("option", "variable", "first", "second"),
    [
        ("--proxy-denied-cidr", "PROXY_DENIED_CIDRS", "20.30.0.0/16", "2600:1f00::/40"),
        ("--api-server-cidr", "API_SERVER_CIDRS", "192.0.2.0/28", "2001:db8::10/128"),
        ("--dns-peer", "DNS_PEERS", "cluster", "10.96.0.10/32"),
    ],
)


@RANGES
def test_ranges_are_named_anew_all_together_and_an_empty_one_takes_all_away(
    install: Install, option: str, variable: str, first: str, second: str
) -> None:
    for wish, stored in (([first], first), ([second, first], f"{first},{second}"), ([""], "")):
        options = [part for named in wish for part in (option, named)]
        assert install("--yes", *options).code == 0
        assert environment_of(install.gw)[variable] == stored


@RANGES
def test_the_plan_shows_what_becomes_of_ranges(
    install: Install, option: str, variable: str, first: str, second: str
) -> None:
    assert install("--yes", option, first).code == 0
    answer = install("--dry-run", option, first, option, second)
    (line,) = [line for line in answer.err.splitlines() if variable in line]
    assert line.endswith(f"{first} -> {first},{second}")
    assert environment_of(install.gw)[variable] == first


@RANGES
def test_a_range_that_cannot_be_used_is_refused_with_its_option(
    install: Install, option: str, variable: str, first: str, second: str
) -> None:
    for wrong in ("20.30.0.1/16", "0.0.0.0/0", "example.com"):
        answer = install("--yes", option, first, option, wrong)
        assert answer.code == 2, answer
        assert f"{option}: '{wrong}'" in answer.err
        assert "runbooks/procedures/egress.md" in answer.err
    assert install.wrote_nothing()


@RANGES
def test_a_range_holds_until_somebody_says_otherwise(
    install: Install, option: str, variable: str, first: str, second: str
) -> None:
    """The manager refuses what somebody made of its setting; without the setting it would open what that closed."""
    assert install("--yes", option, first).code == 0
    deployment = install.gw.cluster.objects[r.DEPLOYMENTS.plural, MANAGER_NAMESPACE, MANAGER]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (entry,) = [entry for entry in container["env"] if entry["name"] == variable]
    entry["value"] = "20.30.0.1/16"
    written = len(install.gw.cluster.applied)
    answer = install("--yes")
    assert answer.code == 2, answer
    assert f"{option}: '20.30.0.1/16': 20.30.0.1/16 has host bits set" in answer.err
    assert len(install.gw.cluster.applied) == written
    assert install("--yes", option, first).code == 0
    assert environment_of(install.gw)[variable] == first


def show_api_server(gw: Gw, *addresses: str) -> None:
    """As API servers name themselves (Kubernetes' reconciler of the Service `kubernetes`)."""
    about = {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}}
    endpoints = [{"addresses": list(addresses)}] if addresses else None
    served = {"apiVersion": r.ENDPOINTSLICES.api_version, "kind": r.ENDPOINTSLICES.kind, "addressType": "IPv4"}
    gw.cluster.put({**served, "metadata": about, "endpoints": endpoints})


def test_while_agents_may_reach_any_address_the_one_to_narrow_that_to_is_named(install: Install) -> None:
    show_api_server(install.gw, "192.0.2.11", "192.0.2.10")
    options = "--api-server-cidr 192.0.2.10/32 --api-server-cidr 192.0.2.11/32"
    for answer in (install("--dry-run"), install("--yes")):
        assert answer.code == 0, answer
        (line,) = [line for line in answer.err.splitlines() if line.startswith("Open:")]
        assert options in line
    for named in (options.split(), ()):
        answer = install("--yes", *named)
        assert answer.code == 0, answer
        assert "Open:" not in answer.err


@pytest.mark.parametrize("problem", [None, errors.Forbidden("no", status=403), errors.NotFound("no", status=404)])
def test_where_the_api_server_is_not_shown_nothing_is_said_of_it(
    install: Install, problem: errors.KubeError | None
) -> None:
    show_api_server(install.gw)
    if problem is not None:
        show_api_server(install.gw, "192.0.2.10")
        install.gw.cluster.refusals["list", r.ENDPOINTSLICES.plural] = problem
    answer = install("--yes")
    assert answer.code == 0, answer
    assert "Open:" not in answer.err
