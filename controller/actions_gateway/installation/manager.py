"""The manager's own workload: namespace, Deployment, disruption budget, network policy."""

from actions_gateway.api import labels
from actions_gateway.api.egress import render_egress_exceptions
from actions_gateway.api.names import MANAGER, MANAGER_NAMESPACE
from actions_gateway.installation.metadata import Manifest, metadata
from actions_gateway.installation.parameters import Parameters
from actions_gateway.manifests import podspec
from actions_gateway.manifests.netpolicy import from_monitoring, policy_spec, to_api_server, to_dns

SELECTOR = {"control-plane": "controller-manager", labels.APP_NAME: "gmc"}
_TERMINATION_GRACE_SECONDS = 10
"""The manager holds no state: it needs this only to release its lease."""


def manager_manifests(parameters: Parameters) -> list[Manifest]:
    """The manager's Deployment and what surrounds it."""
    images, egress = parameters.images, parameters.egress
    environment = {
        "HEALTH_PORT": str(podspec.HEALTH_PORT),
        "METRICS_PORT": str(podspec.METRICS_PORT),
        "CONTROLLER_IMAGE": images.controller,
        "WORKER_IMAGE": images.worker,
        "PROXY_IMAGE": images.proxy,
        "PROXY_EXCEPTIONS": render_egress_exceptions(egress.exceptions),
        "PROXY_DENIED_CIDRS": ",".join(egress.denied),
        "API_SERVER_CIDRS": ",".join(egress.api_server),
        "DNS_PEERS": ",".join(egress.dns),
        "PROXY_DRAIN_SECONDS": str(parameters.proxy_drain_seconds),
        "TENANT_NAMESPACES": parameters.tenant_namespaces.value,
        "LOG_LEVEL": parameters.log_level,
    }
    return [_network_policy(), _disruption_budget(), _deployment(images.controller, parameters.replicas, environment)]


def build_namespace() -> Manifest:
    """The manager's namespace, at the strictest Pod Security level."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": MANAGER_NAMESPACE, "labels": {labels.APP_PART_OF: labels.PART_OF, **levels}},
    }


def _deployment(image: str, replicas: int, environment: dict[str, str]) -> Manifest:
    container = {
        "name": "manager",
        "image": image,
        "args": ["manager"],
        "env": podspec.identity() + podspec.plain(environment),
        "ports": podspec.ports(),
        **podspec.probes(),
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": podspec.container_security(),
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(SELECTOR)},
    }
    about = metadata(MANAGER, namespaced=True)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": about,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": dict(SELECTOR)},
            "template": {
                "metadata": {"labels": {**about["labels"], **SELECTOR}},
                "spec": {
                    "serviceAccountName": MANAGER,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": _TERMINATION_GRACE_SECONDS,
                    "securityContext": podspec.pod_security(),
                    "topologySpreadConstraints": [spread],
                    "containers": [container],
                },
            },
        },
    }


def _disruption_budget() -> Manifest:
    """One replica may always go, so that no drain waits, a single replica's included."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(MANAGER, namespaced=True),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": dict(SELECTOR)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _network_policy() -> Manifest:
    """The manager is scraped from namespaces that watch, and speaks to nothing but DNS and the API server.

    Both anywhere: with a wrong range of the platform's it could not take that back from the tenants.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(MANAGER, namespaced=True),
        "spec": policy_spec(SELECTOR, ingress=[from_monitoring()], egress=[to_dns(), to_api_server()]),
    }
