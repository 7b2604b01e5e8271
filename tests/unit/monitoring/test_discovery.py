"""The targets file that stands for kubernetes_sd."""

from typing import Any

from gateway_sandbox.monitoring.discovery import target_groups


def pod(**status: Any) -> dict[str, Any]:
    ports = [{"name": "health", "containerPort": 8081}, {"name": "metrics", "containerPort": 8080}]
    return {
        "metadata": {"name": "agent-1", "namespace": "team-a", "uid": "u", "labels": {"app.kubernetes.io/name": "x"}},
        "spec": {"nodeName": "node", "containers": [{"name": "agc", "ports": ports}, {"name": "sidecar"}]},
        "status": status,
    }


def test_every_declared_port_of_a_placed_pod_is_a_target_with_prometheus_meta_labels() -> None:
    health, metrics = target_groups([pod(podIP="10.0.0.7", phase="Running")])
    assert (health["targets"], metrics["targets"]) == (["10.0.0.7:8081"], ["10.0.0.7:8080"])
    assert (
        metrics["labels"]
        | {
            "__meta_kubernetes_namespace": "team-a",
            "__meta_kubernetes_pod_name": "agent-1",
            "__meta_kubernetes_pod_label_app_kubernetes_io_name": "x",
            "__meta_kubernetes_pod_container_port_name": "metrics",
            "__meta_kubernetes_pod_phase": "Running",
        }
        == metrics["labels"]
    )


def test_a_pod_without_an_address_is_no_target() -> None:
    assert list(target_groups([pod(phase="Pending")])) == []
