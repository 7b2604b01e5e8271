"""Parts that the pods of manager and agent have in common: ports, probes, identity, the hardened security contexts.

The security contexts satisfy the restricted Pod Security profile whatever a tenant's namespace enforces
(Kubernetes documentation, "Pod Security Standards").
"""

from typing import Any

HEALTH_PORT = 8081
METRICS_PORT = 8080
_USER = 65532
"""The customary unprivileged user of distroless images; no file of the image depends on it."""


def pod_security() -> dict[str, Any]:
    """The pod's securityContext; the group owns mounted Secrets, so that mode 0440 is readable."""
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """The container's securityContext."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def ports() -> list[dict[str, Any]]:
    """The two listeners of `metrics.server`."""
    return [
        {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
    ]


def probes() -> dict[str, Any]:
    """Two minutes to start, then a minute of silence restarts the pod and ten seconds take it out of service."""
    return {
        "startupProbe": _probe("/healthz", period_seconds=1, failures=120),
        "livenessProbe": _probe("/healthz", period_seconds=20, failures=3),
        "readinessProbe": _probe("/readyz", period_seconds=2, failures=5),
    }


def identity() -> list[dict[str, Any]]:
    """Environment: who the pod is and where it listens."""
    fields = {
        "POD_NAMESPACE": "metadata.namespace",
        "POD_NAME": "metadata.name",
        "BIND_ADDRESS": "status.podIP",
    }
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]


def plain(values: dict[str, str]) -> list[dict[str, Any]]:
    """Environment: literal values."""
    return [{"name": name, "value": value} for name, value in values.items()]


def _probe(path: str, *, period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "health"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
