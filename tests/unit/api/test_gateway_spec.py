"""What a tenant may write: defaults, and refusals that name the field."""

from typing import Any

import pytest

from actions_gateway.api.gateway import parse_gateway_spec
from actions_gateway.api.runnergroup import RunnerGroupSpec

MINIMAL: dict[str, Any] = {"gitHubAppRef": {"name": "github-app-v1"}, "gitHubURL": "https://github.com/octo"}
TIERS = [
    {"priorityClassName": "runner-critical", "threshold": 5},
    {"priorityClassName": "runner-standard", "threshold": 20},
]


def group(**settings: Any) -> dict[str, Any]:
    return {"name": "cpu-runners", "runnerLabels": ["self-hosted", "linux"], **settings}


def test_a_minimal_gateway_gets_the_documented_defaults() -> None:
    spec = parse_gateway_spec("team-a", MINIMAL)
    assert (spec.proxy.min_replicas, spec.proxy.max_replicas) == (2, 10)
    assert spec.proxy.target_cpu_utilization_percentage == 60
    assert spec.security_profile == "baseline"
    assert not spec.paused
    assert spec.runner_groups == []


def test_a_group_gets_the_documented_defaults() -> None:
    spec = RunnerGroupSpec.model_validate({"runnerLabels": ["self-hosted"]})
    assert (spec.max_listeners, spec.max_eviction_retries, spec.max_quota_retries) == (1, 2, 5)
    assert (spec.eviction_retry_delay, spec.quota_retry_delay) == ("5s", "30s")
    assert (spec.completed_pod_ttl_seconds, spec.max_worker_lifetime_seconds) == (300.0, 43200.0)
    assert spec.pending_pod_deadline == "10m"


@pytest.mark.parametrize(
    ("settings", "ceiling"),
    [
        ({}, 1),
        ({"maxListeners": 7}, 7),
        ({"maxWorkers": 30}, 30),
        ({"priorityTiers": TIERS}, 20),
        ({"priorityTiers": TIERS, "maxWorkers": 20, "maxListeners": 3}, 20),
    ],
)
def test_the_ceiling_of_jobs_is_max_workers_else_the_tiers_else_max_listeners(
    settings: dict[str, Any], ceiling: int
) -> None:
    spec = parse_gateway_spec("team-a", {**MINIMAL, "runnerGroups": [group(**settings)]})
    assert spec.runner_groups[0].worker_ceiling == ceiling


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gitHubURL": "http://github.com/octo"}, "gitHubURL"),
        ({"gitHubURL": "https://github.com"}, "gitHubURL"),
        ({"gitHubURL": "https://user:word@github.com/octo"}, "gitHubURL"),
        ({"gitHubURL": "https://github.com/octo?x=1"}, "gitHubURL"),
        ({"gitHubAppRef": {}}, "gitHubAppRef.name"),
        ({"proxy": {"minReplicas": 5, "maxReplicas": 2}}, "minReplicas must not exceed maxReplicas"),
        ({"proxy": {"allowedHosts": ["https://x"]}}, "allowedHosts"),
        ({"securityProfile": "lax"}, "securityProfile"),
        ({"runnerGroups": [group(), group()]}, "unique names"),
        ({"runnerGroups": [group(name="CPU")]}, "name"),
        ({"runnerGroups": [group(runnerLabels=[])]}, "runnerLabels"),
        ({"runnerGroups": [group(runnerLabels=["a,b"])]}, "runnerLabels"),
        ({"runnerGroups": [group(maxListeners=0)]}, "maxListeners"),
        ({"runnerGroups": [group(maxWorkers=1025)]}, "maxWorkers"),
        ({"runnerGroups": [group(priorityTiers=list(reversed(TIERS)))]}, "ascending"),
        ({"runnerGroups": [group(priorityTiers=TIERS, maxWorkers=30)]}, "last priority tier"),
        ({"runnerGroups": [group(evictionRetryDelay="soon")]}, "evictionRetryDelay"),
    ],
)
def test_a_refusal_names_the_field(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_gateway_spec("team-a", {**MINIMAL, **change})


def test_gateway_and_group_together_have_at_most_62_characters() -> None:
    long_group = group(name="g" * 40)
    assert parse_gateway_spec("t" * 22, {**MINIMAL, "runnerGroups": [long_group]})
    with pytest.raises(ValueError, match="at most 62 characters"):
        parse_gateway_spec("t" * 23, {**MINIMAL, "runnerGroups": [long_group]})
