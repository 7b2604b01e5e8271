"""How the API server learns where `metrics.k8s.io` is: a Service that names this machine, and an APIService.

Source: Kubernetes documentation, "Configure the Aggregation Layer". A Service of type ExternalName is the one kind that
the aggregator reaches without a network for Services; the certificate has to carry the Service's own DNS name.
"""

import base64
from typing import Any

from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.resources import SERVICES, Resource
from gateway_sandbox.metricsapi import documents

APISERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
SERVICE_NAME = "sandbox-metrics"
SERVICE_NAMESPACE = "kube-system"
SERVER_NAME = f"{SERVICE_NAME}.{SERVICE_NAMESPACE}.svc"
"""The DNS name that the aggregator verifies."""

_FIELD_MANAGER = "gw-sandbox"
# Those of metrics-server's own APIService.
_GROUP_PRIORITY, _VERSION_PRIORITY = 100, 100


async def register(client: KubeClient, *, port: int, ca_pem: str) -> None:
    """Points the aggregation layer at `port` of this machine; raises KubeError."""
    await client.apply(SERVICES, build_service(port), field_manager=_FIELD_MANAGER)
    await client.apply(APISERVICES, build_api_service(port, ca_pem), field_manager=_FIELD_MANAGER)


def build_service(port: int) -> dict[str, Any]:
    """The Service that stands for this machine."""
    return {
        "metadata": {"name": SERVICE_NAME, "namespace": SERVICE_NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }


def build_api_service(port: int, ca_pem: str) -> dict[str, Any]:
    """The API's registration; `ca_pem` is the authority of the server's certificate."""
    return {
        "metadata": {"name": f"{documents.VERSION}.{documents.GROUP}"},
        "spec": {
            "group": documents.GROUP,
            "version": documents.VERSION,
            "groupPriorityMinimum": _GROUP_PRIORITY,
            "versionPriority": _VERSION_PRIORITY,
            "caBundle": base64.b64encode(ca_pem.encode()).decode(),
            "service": {"name": SERVICE_NAME, "namespace": SERVICE_NAMESPACE, "port": port},
        },
    }
