"""The proxies' Deployment: Envoy with its whole configuration as an argument, so that a change of it is a rollout.

A pod that is to go leaves the Service at once and serves its open tunnels while its stop is put off. How many there
are is the autoscaler's business: the applied Deployment says nothing about it.
"""

import re
from math import ceil

from actions_gateway.api import labels
from actions_gateway.api.egress import PlatformEgress
from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.api.names import PROXY, PROXY_CONTAINER
from actions_gateway.api.quantities import parse_quantity
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import DEPLOYMENTS
from actions_gateway.manager.gateway.ownership import build_child, child_labels
from actions_gateway.manager.gateway.pod_resources import ResourceDefaults, merged_resources
from actions_gateway.manifests import podspec
from actions_gateway.proxy.bootstrap import build_bootstrap
from actions_gateway.proxy.listeners import (
    BIND_ADDRESS_VARIABLE,
    POD_NAME_VARIABLE,
    PROXY_PORT,
    PROXY_PORT_VARIABLE,
    READY_PATH,
    STATS_PORT,
    STATS_PORT_VARIABLE,
)
from actions_gateway.proxy.rendering import render

DEFAULTS = ResourceDefaults(requests={"cpu": "50m", "memory": "128Mi"}, limits={"cpu": "1", "memory": "512Mi"})
"""A bare Envoy holds about 70 MiB."""
RESOURCES_FIELD = "spec.proxy.resources"

_AFTER_DRAIN_SECONDS = 15
_VARIABLES = (PROXY_PORT_VARIABLE, STATS_PORT_VARIABLE, BIND_ADDRESS_VARIABLE, POD_NAME_VARIABLE)
_OTHER_DOLLAR = re.compile(rf"\$(?!\((?:{'|'.join(_VARIABLES)})\))")


def build_proxy_deployment(
    gateway: Manifest,
    spec: ActionsGatewaySpec,
    *,
    image: str,
    platform: PlatformEgress,
    drain_seconds: int,
) -> Manifest:
    """The desired Deployment; raises ValueError for resources that cannot be used."""
    selector = {labels.APP: PROXY}
    template = {
        "metadata": {"labels": {**child_labels(gateway, PROXY), **selector}},
        "spec": {
            "serviceAccountName": PROXY,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": drain_seconds + _AFTER_DRAIN_SECONDS,
            "securityContext": podspec.pod_security(),
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    # A cluster without a spare node still rolls.
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": selector},
                    "matchLabelKeys": ["pod-template-hash"],
                }
            ],
            "containers": [_container(spec, image, platform, drain_seconds)],
        },
    }
    deployment = {
        "revisionHistoryLimit": 3,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
        "selector": {"matchLabels": selector},
        "template": template,
    }
    return build_child(gateway, DEPLOYMENTS, PROXY, spec=deployment)


def render_bootstrap(spec: ActionsGatewaySpec, platform: PlatformEgress) -> str:
    """The bootstrap as an argument.

    Kubernetes expands `$(NAME)` in it and takes `$$` for `$` (Kubernetes API reference, Container.args), so every
    dollar but those of the listeners' variables is doubled.
    """
    return _OTHER_DOLLAR.sub("$$", render(build_bootstrap(spec, platform)))


def _container(spec: ActionsGatewaySpec, image: str, platform: PlatformEgress, drain_seconds: int) -> Manifest:
    resources = merged_resources(DEFAULTS, spec.proxy.resources, field=RESOURCES_FIELD)
    if parse_quantity(resources["requests"]["cpu"]) == 0:
        raise ValueError(
            f"{RESOURCES_FIELD}.requests.cpu: 0 leaves the autoscaler nothing to measure by; ask for 1m or more"
        )
    # Envoy would count the node's processors.
    threads = max(1, ceil(parse_quantity(resources["limits"]["cpu"])))
    drain = {"lifecycle": {"preStop": {"sleep": {"seconds": drain_seconds}}}} if drain_seconds else {}
    arguments = ["--config-yaml", render_bootstrap(spec, platform), "--disable-hot-restart"]
    # A tunnel's line in the access log within a second; Envoy's own interval is ten.
    arguments += ["--file-flush-interval-msec", "1000"]
    return {
        "name": PROXY_CONTAINER,
        "image": image,
        "args": [*arguments, "--concurrency", str(threads)],
        "env": _environment(),
        "ports": [
            {"name": "proxy", "containerPort": PROXY_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": STATS_PORT, "protocol": "TCP"},
        ],
        **_probes(),
        **drain,
        "resources": resources,
        "securityContext": podspec.container_security(),
    }


def _environment() -> list[Manifest]:
    ports = {PROXY_PORT_VARIABLE: str(PROXY_PORT), STATS_PORT_VARIABLE: str(STATS_PORT)}
    own = [entry for entry in podspec.identity() if entry["name"] in _VARIABLES]
    return own + podspec.plain(ports)


def _probes() -> Manifest:
    """Only a listener that takes no connection restarts an Envoy: one that drains, or waits for DNS, is not ready."""
    listens = {"tcpSocket": {"port": "metrics"}, "timeoutSeconds": 5}
    is_ready = {"httpGet": {"path": READY_PATH, "port": "metrics"}, "timeoutSeconds": 5}
    return {
        "startupProbe": {**listens, "periodSeconds": 1, "failureThreshold": 120},
        "livenessProbe": {**listens, "periodSeconds": 20, "failureThreshold": 3},
        "readinessProbe": {**is_ready, "periodSeconds": 2, "failureThreshold": 5},
    }
