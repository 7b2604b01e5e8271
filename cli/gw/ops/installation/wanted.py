"""The manifests of an installation, monitoring included, and their form for a GitOps repository.

The rules and the board come from `gw_alerts` and `gw_dashboards`, which nothing in the cluster imports; so they are
joined to the rest here.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any

from actions_gateway.api.egress import PlatformEgress
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.installation.metadata import metadata
from actions_gateway.installation.monitoring import monitoring_manifests
from actions_gateway.installation.parameters import Parameters
from actions_gateway.kube.resources import GRAFANADASHBOARDS, PROMETHEUSRULES, Resource, resource_of
from gw.errors import Refused
from gw.ops.installation.request import InstallRequest, Monitoring
from gw.ops.manifests import render_manifests

Manifest = dict[str, Any]

RULES = "actions-gateway"
FLEET_BOARD = "actions-gateway-fleet"
MONITORING_GROUP = PROMETHEUSRULES.group
DASHBOARD_GROUP = GRAFANADASHBOARDS.group


def build_wanted(request: InstallRequest, served_groups: Collection[str]) -> list[Manifest]:
    """All manifests in the order in which they are written; `served_groups` are the API groups that the cluster has."""
    return [
        *installation_manifests(
            Parameters(
                images=request.images,
                replicas=request.replicas,
                egress=PlatformEgress(
                    exceptions=request.proxy_exceptions,
                    denied=request.proxy_denied_cidrs,
                    api_server=request.api_server_cidrs,
                    dns=request.dns_peers,
                ),
                tenant_namespaces=request.tenant_namespaces,
                log_level=request.log_level,
            )
        ),
        *_monitoring(request.monitoring, served_groups),
    ]


def refuse_missing_operators(request: InstallRequest, served_groups: Collection[str]) -> None:
    """Raises Refused when monitoring was asked for and its types are not there."""
    missing = sorted({MONITORING_GROUP, DASHBOARD_GROUP} - set(served_groups))
    if request.monitoring is Monitoring.WITH and missing:
        raise Refused(
            f"--monitoring with: this cluster does not serve {' and '.join(missing)}",
            "Install the Prometheus and Grafana operators first, or leave --monitoring out to take what is there.",
        )


def export_manifests(request: InstallRequest) -> str:
    """YAML documents in the order in which they are to be applied; no cluster is asked. Raises Refused."""
    request.check_images()
    everything = {MONITORING_GROUP, DASHBOARD_GROUP} if request.monitoring is Monitoring.WITH else set()
    return render_manifests(build_wanted(request, everything))


def resource_for(manifest: Manifest) -> Resource:
    """The resource of one of our manifests."""
    resource = resource_of(str(manifest["apiVersion"]), str(manifest["kind"]))
    assert resource is not None, manifest["kind"]
    return resource


def _monitoring(wish: Monitoring, served_groups: Collection[str]) -> Iterator[Manifest]:
    if wish is Monitoring.WITHOUT:
        return
    if MONITORING_GROUP in served_groups:
        yield from monitoring_manifests()
        yield _rules()
    if DASHBOARD_GROUP in served_groups:
        yield _fleet_board()


def _rules() -> Manifest:
    from gw_alerts.rules import rule_groups

    return {
        "apiVersion": PROMETHEUSRULES.api_version,
        "kind": PROMETHEUSRULES.kind,
        "metadata": metadata(RULES, namespaced=True),
        "spec": {"groups": rule_groups()},
    }


def _fleet_board() -> Manifest:
    """For the Grafana instances that the platform's owners labelled; field names: grafana.integreatly.org/v1beta1."""
    try:
        from gw_dashboards.fleet import fleet_board
    except ModuleNotFoundError as problem:
        raise Refused(
            f"the dashboard cannot be built without the Python package {problem.name}",
            "Install gw with its extra `dashboards`, or add --monitoring without.",
        ) from problem
    return {
        "apiVersion": GRAFANADASHBOARDS.api_version,
        "kind": GRAFANADASHBOARDS.kind,
        "metadata": metadata(FLEET_BOARD, namespaced=True),
        "spec": {
            "allowCrossNamespaceImport": True,
            "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
            "json": json.dumps(fleet_board(), indent=2, sort_keys=True),
        },
    }
