"""Image references and release files."""

import pytest

from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.runnergroup import RUNNER_IMAGE
from actions_gateway.installation.monitoring import AGENT_JOB, MANAGER_JOB, PROXY_JOB, monitoring_manifests
from actions_gateway.installation.release import ReleaseInvalid, check_reference, is_pinned, parse_release

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("reference", "pinned"),
    [
        (f"registry.example.com/a/b@{DIGEST}", True),
        (f"registry.example.com:5000/a/b:1.2@{DIGEST}", True),
        (f"localhost/a@{DIGEST}", True),
        (RUNNER_IMAGE, True),
        ("registry.example.com/a/b:latest", False),
        ("a/b", False),
    ],
)
def test_a_reference_is_pinned_by_its_digest_alone(reference: str, pinned: bool) -> None:
    check_reference(reference)
    assert is_pinned(reference) is pinned


@pytest.mark.parametrize(
    "text", ["", "A B", "https://registry.example.com/a", "a@sha256:00", "a:b:c", "a/", "-a", "a b\n"]
)
def test_what_no_runtime_takes_is_no_reference(text: str) -> None:
    assert not is_pinned(text)
    with pytest.raises(ReleaseInvalid, match="is no image reference"):
        check_reference(text)


def test_a_release_may_leave_worker_and_proxy_to_this_code() -> None:
    release = parse_release(f"version: 0.1.0\nimages:\n  controller: a@{DIGEST}\n")
    assert (release.version, release.images.worker, release.images.proxy) == ("0.1.0", RUNNER_IMAGE, PROXY_IMAGE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it: input should be"),
        ("version: [", "line 1 is no YAML"),
        ("version: 0.1.0\nimages: {controller: a}\nextra: 1", "extra: extra inputs"),
        ("version: 1\nimages: {controller: a}", "version: input should be a valid string"),
        ("version: v1\nimages: {controller: a}", "version: string should match"),
    ],
)
def test_a_release_that_cannot_be_used_names_the_field(text: str, said: str) -> None:
    with pytest.raises(ReleaseInvalid) as refused:
        parse_release(text)
    assert said in str(refused.value)


def test_the_manager_may_name_tenants_in_its_series_and_agents_and_proxies_may_not() -> None:
    _, manager, agents, proxies = monitoring_manifests()
    (endpoint,) = manager["spec"]["endpoints"]
    pods = [*agents["spec"]["podMetricsEndpoints"], *proxies["spec"]["podMetricsEndpoints"]]
    assert [each["honorLabels"] for each in (endpoint, *pods)] == [True, False, False]
    jobs = [each["relabelings"][0]["replacement"] for each in (endpoint, *pods)]
    assert jobs == [MANAGER_JOB, AGENT_JOB, PROXY_JOB]


def test_the_monitors_select_what_is_there() -> None:
    service, manager, *_ = monitoring_manifests()
    assert manager["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["name"] == manager["spec"]["endpoints"][0]["port"]
