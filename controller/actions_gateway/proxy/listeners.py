"""Where an Envoy listens, as its pod tells it.

Addresses and ports are variables of the container, which Kubernetes expands in arguments (`$(NAME)`); so the bootstrap
is the same wherever the pod runs. Envoy takes a number in a string for a number (proto3 JSON mapping).
"""

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
