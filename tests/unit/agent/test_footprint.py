"""What a worker costs in the keys of a quota, and which quotas count it."""

from fractions import Fraction
from typing import Any

import pytest

from actions_gateway.agent.jobs.pod import WorkerSite, sample_worker
from actions_gateway.api.footprint import cost_in, footprint_of, room_in, undeclared_in
from actions_gateway.api.gateway import SecurityProfile
from actions_gateway.api.quantities import parse_quantity
from actions_gateway.api.runnergroup import RunnerGroupSpec

Manifest = dict[str, Any]
SITE = WorkerSite("team-a", "controller:1", "runner:1", "worker", SecurityProfile.BASELINE)
GI = 2**30


def container(name: str = "a", **parts: Manifest) -> Manifest:
    """A container with these `requests` and `limits`."""
    fields = {key: value for key, value in parts.items() if key in ("requests", "limits")}
    return {"name": name, "resources": fields}


def pod(*containers: Manifest, init: tuple[Manifest, ...] = (), **spec: Any) -> Manifest:
    return {"spec": {"containers": list(containers), "initContainers": list(init), **spec}}


def quota(hard: Manifest, used: Manifest | None = None, **spec: Any) -> Manifest:
    return {"metadata": {"name": "team"}, "spec": spec, "status": {"hard": hard, "used": used or {}}}


def amounts(manifest: Manifest, *keys: str) -> list[Fraction]:
    return [footprint_of(manifest).pod.get(key, Fraction(0)) for key in keys]


def sidecar(name: str, **parts: Manifest) -> Manifest:
    return container(name, **parts) | {"restartPolicy": "Always"}


# -- amounts


@pytest.mark.parametrize(
    ("manifest", "cpu"),
    [
        pytest.param(pod(container(requests={"cpu": "500m"}), container(requests={"cpu": 1})), "1500m", id="a sum"),
        pytest.param(
            pod(container(requests={"cpu": 1}), init=(container(requests={"cpu": 3}), container(requests={"cpu": 2}))),
            "3",
            id="the largest init container is more than the sum",
        ),
        pytest.param(
            pod(container(requests={"cpu": 1}), init=(container(requests={"cpu": "200m"}),)),
            "1",
            id="a smaller init container costs nothing",
        ),
        pytest.param(
            pod(container(requests={"cpu": 1}), init=(sidecar("s", requests={"cpu": 1}),)),
            "2",
            id="a sidecar runs beside the containers",
        ),
        pytest.param(
            pod(
                container(requests={"cpu": 1}),
                init=(sidecar("s", requests={"cpu": 1}), container(requests={"cpu": 3})),
            ),
            "4",
            id="an init container after a sidecar runs beside it",
        ),
        pytest.param(
            pod(
                container(requests={"cpu": 1}),
                init=(container(requests={"cpu": 3}), sidecar("s", requests={"cpu": 1})),
            ),
            "3",
            id="an init container before a sidecar does not",
        ),
        pytest.param(
            pod(container(requests={"cpu": 1}), overhead={"cpu": "250m"}), "1250m", id="the runtime's overhead adds"
        ),
        pytest.param(
            pod(container(requests={"cpu": 1}), resources={"requests": {"cpu": 4}}), "4", id="the pod's own resources"
        ),
        pytest.param(pod(container(limits={"cpu": 2})), "2", id="limits stand in for requests"),
    ],
)
def test_the_effective_request(manifest: Manifest, cpu: str) -> None:
    assert amounts(manifest, "requests.cpu", "cpu") == [parse_quantity(cpu)] * 2


def test_overhead_counts_as_limit_only_where_there_is_one() -> None:
    both = pod(container(limits={"cpu": 1}), overhead={"cpu": "250m", "memory": "64Mi"})
    assert amounts(both, "limits.cpu", "limits.memory") == [parse_quantity("1250m"), 0]


def test_every_kind_of_key() -> None:
    parts = {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "2Gi", "hugepages-2Mi": "4Mi", "nvidia.com/gpu": 2}
    cost = footprint_of(pod(container(requests=parts, limits=parts))).pod
    assert cost == {
        "pods": 1,
        "count/pods": 1,
        "requests.cpu": 1,
        "cpu": 1,
        "limits.cpu": 1,
        "requests.memory": GI,
        "memory": GI,
        "limits.memory": GI,
        "requests.ephemeral-storage": 2 * GI,
        "ephemeral-storage": 2 * GI,
        "limits.ephemeral-storage": 2 * GI,
        "requests.hugepages-2Mi": 4 * 2**20,
        "hugepages-2Mi": 4 * 2**20,
        "requests.nvidia.com/gpu": 2,
    }


def test_a_limit_range_fills_in_what_a_container_leaves_out() -> None:
    item = {"type": "Container", "default": {"cpu": 2, "memory": "2Gi"}, "defaultRequest": {"cpu": 1, "memory": "1Gi"}}
    limit_range = {"spec": {"limits": [{"type": "Pod", "max": {"cpu": 9}}, item]}}
    one = footprint_of(pod(container(requests={"cpu": "100m"})), [limit_range])
    assert (one.pod["requests.cpu"], one.pod["limits.cpu"]) == (Fraction(1, 10), Fraction(2))
    assert (one.pod["requests.memory"], one.pod["limits.memory"]) == (Fraction(GI), Fraction(2 * GI))
    assert not one.undeclared


def test_a_job_takes_a_secret_and_its_volume_claims_beside_its_pod() -> None:
    claim = {"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "10Gi"}}}}
    volume = {"name": "work", "ephemeral": {"volumeClaimTemplate": claim}}
    assert footprint_of(pod(container(), volumes=[volume, {"name": "x", "emptyDir": {}}])).beside == {
        "secrets": 1,
        "count/secrets": 1,
        "persistentvolumeclaims": 1,
        "count/persistentvolumeclaims": 1,
        "requests.storage": 10 * GI,
        "fast.storageclass.storage.k8s.io/persistentvolumeclaims": 1,
        "fast.storageclass.storage.k8s.io/requests.storage": 10 * GI,
    }


def test_a_worker_costs_what_its_runner_does_and_declares_all_that_a_quota_asks_for() -> None:
    cost = footprint_of(sample_worker(RunnerGroupSpec(runner_labels=["linux"]), SITE))
    assert (cost.pod["requests.cpu"], cost.pod["limits.memory"]) == (Fraction(1, 2), Fraction(GI))
    assert not cost.undeclared
    assert cost.scopes == {"Terminating", "NotBestEffort"}


# -- which quotas count it

WORKER = pod(container(requests={"cpu": 1}, limits={"cpu": 1}), activeDeadlineSeconds=60, priorityClassName="low")
FREE = pod(container())
CLASS = "PriorityClass"


def selector(operator: str, *values: str, scope: str = CLASS) -> Manifest:
    return {"matchExpressions": [{"scopeName": scope, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("manifest", "spec", "counts"),
    [
        (WORKER, {}, True),
        (WORKER, {"scopes": ["Terminating"]}, True),
        (WORKER, {"scopes": ["NotTerminating"]}, False),
        (FREE, {"scopes": ["NotTerminating"]}, True),
        (WORKER, {"scopes": ["NotBestEffort", "Terminating"]}, True),
        (WORKER, {"scopes": ["BestEffort"]}, False),
        (FREE, {"scopes": ["BestEffort"]}, True),
        (WORKER, {"scopes": [CLASS]}, True),
        (FREE, {"scopes": [CLASS]}, False),
        (WORKER, {"scopeSelector": selector("In", "low", "high")}, True),
        (WORKER, {"scopeSelector": selector("In", "high")}, False),
        (WORKER, {"scopeSelector": selector("NotIn", "low")}, False),
        (FREE, {"scopeSelector": selector("NotIn", "low")}, True),
        (FREE, {"scopeSelector": selector("DoesNotExist")}, True),
        (WORKER, {"scopeSelector": selector("DoesNotExist")}, False),
        (WORKER, {"scopeSelector": selector("Exists", scope="Terminating")}, True),
        (WORKER, {"scopes": ["CrossNamespacePodAffinity"]}, False),
    ],
)
def test_a_quota_counts_the_pods_in_its_scopes(manifest: Manifest, spec: Manifest, counts: bool) -> None:
    cost = cost_in(quota({"pods": 1}, **spec), footprint_of(manifest))
    assert ("pods" in cost) is counts
    assert ("secrets" in cost) is (not spec)


def test_a_pod_that_looks_across_namespaces_is_in_that_scope() -> None:
    term = {"topologyKey": "zone", "namespaceSelector": {}}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert "CrossNamespacePodAffinity" in footprint_of(pod(container(), affinity=affinity)).scopes


def test_a_tiers_class_replaces_the_templates() -> None:
    high = quota({"pods": 1}, scopeSelector=selector("In", "high"))
    assert not cost_in(high, footprint_of(WORKER).in_class(None))
    assert cost_in(high, footprint_of(WORKER).in_class("high"))


# -- room


@pytest.mark.parametrize(
    ("hard", "used", "taken", "expected"),
    [
        pytest.param({"pods": "5"}, {"pods": "2"}, {}, (3, "pods"), id="what is left"),
        pytest.param({"pods": "5"}, {"pods": "2"}, {"pods": Fraction(3)}, (0, "pods"), id="less what is reserved"),
        pytest.param({"pods": "1"}, {"pods": "3"}, {}, (-2, "pods"), id="a lowered quota"),
        pytest.param({"limits.cpu": "2500m"}, {}, {}, (2, "limits.cpu"), id="whole workers only"),
        pytest.param(
            {"pods": "9", "requests.cpu": "2", "count/secrets": "7"},
            {"count/secrets": "6"},
            {},
            (1, "count/secrets"),
            id="the tightest key",
        ),
        pytest.param({"services": "0", "requests.nvidia.com/gpu": "0"}, {}, {}, None, id="keys of other things"),
    ],
)
def test_how_many_more_fit(
    hard: Manifest, used: Manifest, taken: dict[str, Fraction], expected: tuple[int, str] | None
) -> None:
    assert room_in(quota(hard, used), footprint_of(WORKER), taken) == expected


def test_a_quota_that_was_not_counted_yet_binds_nobody() -> None:
    fresh = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": "0"}}}
    assert room_in(fresh, footprint_of(WORKER), {}) is None


# -- what has to be declared


def test_what_a_quota_makes_every_container_declare() -> None:
    manifest = pod(
        container("runner", requests={"cpu": 1}, limits={"cpu": 1}),
        container("helper", requests={"cpu": 1, "memory": "1Gi"}),
        init=(container("prepare"),),
    )
    cost = footprint_of(manifest)
    hard = {"limits.cpu": "9", "requests.memory": "9Gi", "requests.ephemeral-storage": "1Gi", "pods": "9"}
    assert undeclared_in(quota(hard), cost) == {
        "limits.cpu": ("prepare", "helper"),
        "requests.memory": ("prepare", "runner"),
    }
    assert not undeclared_in(quota({"pods": "9"}), cost)
    assert not undeclared_in(quota(hard, scopes=["BestEffort"]), cost)


def test_an_unreadable_quantity_is_an_error() -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        footprint_of(pod(container(requests={"cpu": "much"})))
