"""The manifests of an installation, monitoring included, and their form for a GitOps repository.

The rules and the boards come from `gw_alerts` and `gw_dashboards`, which nothing in the cluster imports; so they are
joined to the rest here.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from actions_gateway.api.egress import PlatformEgress
from actions_gateway.installation.manifests import installation_manifests
from actions_gateway.installation.monitoring import monitoring_manifests
from actions_gateway.installation.parameters import Parameters
from actions_gateway.installation.selection import selection_labels
from actions_gateway.kube.resources import GRAFANADASHBOARDS, PROMETHEUSRULES, Resource, resource_of
from actions_gateway.manifests.yamltext import render_documents
from gw.errors import Refused
from gw.ops.boards.shipped import boards_needed
from gw.ops.installation.request import InstallRequest, Monitoring

if TYPE_CHECKING:
    from gw_alerts.model import Links

Manifest = dict[str, Any]

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
        *_monitoring(request, served_groups),
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
    return render_documents(build_wanted(request, everything))


def resource_for(manifest: Manifest) -> Resource:
    """The resource of one of our manifests."""
    resource = resource_of(str(manifest["apiVersion"]), str(manifest["kind"]))
    assert resource is not None, manifest["kind"]
    return resource


def _monitoring(request: InstallRequest, served_groups: Collection[str]) -> Iterator[Manifest]:
    if request.monitoring is Monitoring.WITHOUT:
        return
    from gw_alerts.model import Links

    links = Links(runbooks=request.runbook_url, grafana=request.grafana_url)
    if MONITORING_GROUP in served_groups:
        from gw_alerts.artefacts import build_prometheus_rule

        selected_by = selection_labels(request.monitoring_labels)
        yield from monitoring_manifests(selected_by)
        yield build_prometheus_rule(links, selected_by=selected_by)
    if DASHBOARD_GROUP in served_groups:
        yield from _boards(links)


def _boards(links: "Links") -> list[Manifest]:
    with boards_needed("or add --monitoring without"):
        from gw_dashboards.provisioning import build_grafana_dashboards

        return build_grafana_dashboards(links)
