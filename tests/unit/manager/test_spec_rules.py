"""What is refused of a spec that the API server let through: each message names field, value and way out."""

from dataclasses import replace
from typing import Any

import pytest

from actions_gateway.api.conditions import Reason
from actions_gateway.api.egress import PlatformEgress, parse_egress_exceptions
from actions_gateway.manager.gateway.decide import decide
from support import manager_objects as make


def refusal(exceptions: str = "", **changes: Any) -> str | None:
    """The message, or None for a gateway that is served."""
    settings = replace(make.SETTINGS, egress=PlatformEgress(parse_egress_exceptions(exceptions)))
    plan = decide(make.snapshot(make.gateway(**changes), children={}), settings)
    assert plan is not None
    if plan.refusal is None:
        return None
    assert plan.refusal.reason is Reason.INVALID_SPEC
    assert plan.stages == ()
    assert plan.refusal.message.endswith("; correct the ActionsGateway.")
    return plan.refusal.message


def group(**changes: Any) -> dict[str, Any]:
    return {"runnerGroups": [{"name": "cpu", "runnerLabels": ["linux"], **changes}]}


def resources(of: str, **amounts: Any) -> dict[str, Any]:
    return {of: {"resources": amounts}}


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        pytest.param({"gitHubURL": "http://github.com/octo"}, "spec.gitHubURL", "http://github.com/octo", id="http"),
        pytest.param(
            {"gitHubURL": "https://github.com:8443/octo"}, "spec.gitHubURL", "names port 8443", id="another port"
        ),
        pytest.param(
            {"gitHubURL": "https://github.com:99999/octo"}, "spec.gitHubURL", ":99999/octo", id="a port that is none"
        ),
        pytest.param({"securityProfile": "open"}, "spec.securityProfile", "open", id="an unknown profile"),
        pytest.param(group(runnerLabels=[]), "spec.runnerGroups.0.runnerLabels", "", id="a group without labels"),
        pytest.param(group(name="CPU"), "spec.runnerGroups.0.name", "CPU", id="a group's name"),
        pytest.param(group(maxListeners=0), "spec.runnerGroups.0.maxListeners", "0", id="no listener"),
        pytest.param(
            {**group(name="g" * 40), "metadata": {"name": "n" * 30}}, f"runnerGroups[{'g' * 40}].name", "", id="names"
        ),
        pytest.param({"metadata": {"name": "n" * 63}}, "metadata.name", "", id="a name too long on its own"),
        pytest.param({"proxy": {"minReplicas": 5, "maxReplicas": 4}}, "spec.proxy", "", id="replicas"),
        pytest.param({"proxy": {"minReplicas": 0}}, "spec.proxy.minReplicas", "0", id="no proxy"),
        pytest.param({"proxy": {"allowedHosts": ["https://x"]}}, "spec.proxy.allowedHosts.0", "https://x", id="a host"),
        pytest.param(
            {"proxy": {"noProxyCIDRs": ["10.0.0.0/8", "300.1.0.0/16"]}},
            "spec.proxy.noProxyCIDRs.1",
            "300.1.0.0/16",
            id="a range of the right form",
        ),
        pytest.param({"proxy": {"noProxyCIDRs": ["0.0.0.0/0"]}}, "spec.proxy.noProxyCIDRs.0", "0.0.0.0/0", id="all"),
        pytest.param(
            resources("agent", limits={"cpu": "many"}), "spec.agent.resources.limits.cpu", "'many'", id="a quantity"
        ),
        pytest.param(
            resources("proxy", requests={"memory": "-1Mi"}), "spec.proxy.resources.requests.memory", "-1Mi", id="less"
        ),
        pytest.param(
            resources("proxy", requests={"memory": "2Gi"}, limits={"memory": "1Gi"}),
            "spec.proxy.resources.requests.memory",
            "2Gi is more than the limit 1Gi",
            id="a request over its limit",
        ),
        pytest.param(
            resources("proxy", requests={"cpu": 0}),
            "spec.proxy.resources.requests.cpu",
            "0 leaves the autoscaler nothing",
            id="nothing to scale by",
        ),
    ],
)
def test_the_message_names_field_and_value(changes: dict[str, Any], field: str, value: str) -> None:
    message = refusal(**changes)
    assert message is not None
    assert message.startswith(f"{field}: ")
    assert value in message


@pytest.mark.parametrize(
    ("exceptions", "is_served"),
    [
        ("", False),
        ("ghes.example.com=10.2.0.0/16:8443", True),
        ("*.example.com=10.2.0.0/16:8443", True),
        ("ghes.example.com=10.2.0.0/16:443", False),
        ("other.example.com=10.2.0.0/16:8443", False),
        ("*.ghes.example.com=10.2.0.0/16:8443", False),
    ],
)
def test_another_port_needs_the_platforms_exception_for_that_host_and_port(exceptions: str, is_served: bool) -> None:
    message = refusal(exceptions, gitHubURL="https://ghes.example.com:8443/octo")
    assert (message is None) == is_served
    if message:
        assert "--proxy-exception ghes.example.com=CIDR:8443" in message


@pytest.mark.parametrize("url", ["https://github.com/octo", "https://github.com:443/octo"])
def test_the_usual_port_may_be_written_out(url: str) -> None:
    assert refusal(gitHubURL=url) is None


def test_a_password_in_a_url_is_not_repeated() -> None:
    message = refusal(gitHubURL="https://me:hunter2@github.com/octo")
    assert message is not None
    assert "hunter2" not in message


@pytest.mark.parametrize("host", ["github.com.", "...", "-ghes.example.com", "ghes..example.com"])
def test_a_host_that_no_proxy_opens_is_told_with_the_field(host: str) -> None:
    message = refusal(gitHubURL=f"https://{host}/octo")
    assert message is not None
    assert message.startswith(f"spec.gitHubURL: https://{host}/octo names the host ")


def test_port_zero_is_not_the_usual_port() -> None:
    assert "names port 0" in (refusal(gitHubURL="https://github.com:0/octo") or "")


def test_upper_case_is_no_other_host() -> None:
    assert refusal(gitHubURL="https://GitHub.com/octo") is None
