"""Where an Envoy listens, as its pod tells it.

Addresses and ports are variables of the container, which Kubernetes expands in arguments (`$(NAME)`); so the bootstrap
is the same wherever the pod runs. Envoy takes a number in a string for a number (proto3 JSON mapping).
"""

from typing import Any

PROXY_PORT = 8080
"""CONNECT, from the pods of the tenant's workload."""
STATS_PORT = 8081
"""`/ready` and `/stats/prometheus`, from the kubelet and from namespaces that watch."""

PROXY_PORT_VARIABLE = "PROXY_PORT"
STATS_PORT_VARIABLE = "STATS_PORT"
BIND_ADDRESS_VARIABLE = "BIND_ADDRESS"
POD_NAME_VARIABLE = "POD_NAME"

READY_PATH = "/ready"
STATS_PATH = "/stats/prometheus"

ADMIN_PIPE = f"@actions-gateway-$({POD_NAME_VARIABLE})"
"""Envoy's own administration: an abstract unix socket, of the pod's network namespace, which needs no volume."""


def socket_address(port_variable: str) -> dict[str, Any]:
    """The pod's address on the port that the variable holds."""
    return {"socket_address": {"address": f"$({BIND_ADDRESS_VARIABLE})", "port_value": f"$({port_variable})"}}


def typed(message: str, **fields: Any) -> dict[str, Any]:
    """An Any of Envoy's message, such as `extensions.filters.http.router.v3.Router`."""
    return {"@type": f"type.googleapis.com/envoy.{message}", **fields}


def extension(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """A named extension with its typed configuration."""
    return {"name": f"envoy.{name}", "typed_config": typed(message, **fields)}
