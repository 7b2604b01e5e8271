"""What the mirrors keep of an object."""

from typing import Any

from actions_gateway.kube.resources import (
    ACTIONSGATEWAYS,
    DEPLOYMENTS,
    HPAS,
    NAMESPACES,
    PDBS,
    PODS,
    RESOURCEQUOTAS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from actions_gateway.manager.gateway.mirror import Mirror

Manifest = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def kept(resource: Resource, **parts: Any) -> Manifest:
    mirror = Mirror(resource)
    metadata = {"name": "a", "namespace": "team-a", "resourceVersion": "1", **parts.pop("metadata", {})}
    mirror.put({"metadata": metadata, **parts})
    found = mirror.get("a", "team-a")
    assert found is not None
    return found


def test_whose_a_field_is_is_kept_of_namespaces_alone() -> None:
    metadata = {"managedFields": [{"manager": "kubectl"}]}
    assert kept(NAMESPACES, metadata=dict(metadata))["metadata"]["managedFields"] == metadata["managedFields"]
    assert "managedFields" not in kept(SERVICEACCOUNTS, metadata=dict(metadata))["metadata"]


def test_of_a_gateways_managers_the_times_of_those_who_own_its_reference_stay() -> None:
    reference = {"f:spec": {"f:gitHubAppRef": {"f:name": {}}}}
    owner = {"manager": "kubectl", "time": "2026-05-01T00:00:00Z", "fieldsV1": {**reference, "f:metadata": {}}}
    other = {"manager": "gmc", "time": "2026-06-01T00:00:00Z", "fieldsV1": {"f:status": {}}}
    found = kept(ACTIONSGATEWAYS, metadata={"managedFields": [owner, other]})
    assert found["metadata"]["managedFields"] == [{"time": owner["time"], "fieldsV1": reference}]
    assert "managedFields" not in kept(ACTIONSGATEWAYS, metadata={"managedFields": [other]})["metadata"]


def test_what_kubectl_applied_last_is_dropped_and_other_annotations_stay() -> None:
    found = kept(SERVICEACCOUNTS, metadata={"annotations": {LAST_APPLIED: "{}", "note": "ours"}})
    assert found["metadata"]["annotations"] == {"note": "ours"}


def test_of_a_pod_its_status_and_what_tells_it_apart_stay() -> None:
    container = {"name": "agc", "ready": False, "restartCount": 1, "lastState": {"terminated": {"reason": "OOMKilled"}}}
    found = kept(
        PODS,
        metadata={"labels": {"app": "x"}, "ownerReferences": [{"uid": "1"}], "annotations": {"note": "long"}},
        spec={"containers": []},
        status={"phase": "Running", "podIPs": [], "containerStatuses": [{**container, "imageID": "sha256:…"}]},
    )
    assert found["status"] == {"phase": "Running", "containerStatuses": [container]}
    assert found["metadata"].keys() == {"name", "namespace", "resourceVersion", "labels"}
    assert "spec" not in found


def test_of_a_quota_what_the_server_counted_stays() -> None:
    found = kept(RESOURCEQUOTAS, spec={"hard": {"pods": "9"}}, status={"hard": {"pods": "9"}, "used": {"pods": "1"}})
    assert found["status"]["used"] == {"pods": "1"}
    assert "spec" not in found


def test_of_an_autoscaler_the_readings_go() -> None:
    status = {"currentMetrics": [{"type": "Resource"}], "desiredReplicas": 2, "conditions": [{"type": "ScalingActive"}]}
    assert kept(HPAS, status=status)["status"].keys() == {"desiredReplicas", "conditions"}


def test_of_a_budget_and_a_service_nothing_but_what_is_ours_to_write_stays() -> None:
    for resource in (PDBS, SERVICES):
        assert kept(resource, spec={"selector": {}}, status={"currentHealthy": 1}).keys() == {"metadata", "spec"}


def test_of_a_deployments_conditions_the_times_go() -> None:
    entry = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    found = kept(DEPLOYMENTS, status={"conditions": [entry | {"lastUpdateTime": "now", "lastTransitionTime": "now"}]})
    assert found["status"] == {"conditions": [entry]}
