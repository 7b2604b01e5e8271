"""What a running installation was told to do: the settings in the manager's Deployment, and where it is from.

Whoever installs again without naming them means to keep them; and one policy's rules follow from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.egress import EgressException, parse_egress_exceptions
from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.names import API_GROUP, MANAGER, MANAGER_NAMESPACE
from actions_gateway.api.runnergroup import RUNNER_IMAGE
from actions_gateway.installation.monitoring import PROMETHEUS_RULE
from actions_gateway.installation.release import is_pinned
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.settings import TenantNamespaces
from gw.sources.cluster import Cluster
from gw.sources.definitions import OWN_VERSION
from gw.sources.ownership import annotations_of, is_ours

Manifest = Mapping[str, Any]

_LOG_LEVELS = ("info", "debug")
_CONTAINER = "manager"
_DEFINITION = f"actionsgateways.{API_GROUP}"


@dataclass(frozen=True, slots=True)
class InstalledSettings:
    """The settings that the manager's Deployment names; None for those that it does not name in a usable way."""

    tenant_namespaces: TenantNamespaces | None = None
    log_level: str | None = None
    worker_image: str | None = None
    proxy_image: str | None = None
    proxy_exceptions: tuple[EgressException, ...] | None = None
    proxy_denied_cidrs: str | None = None
    api_server_cidrs: str | None = None
    dns_peers: str | None = None
    """These three as they stand, usable or not: to go without one would open what it closes."""
    replicas: int | None = None
    """Never 0: a manager that is scaled to nothing is paused, which is no setting."""
    runbook_url: str | None = None
    grafana_url: str | None = None
    monitoring_labels: str | None = None
    """These three as the installed rules have them."""


async def gather_settings(cluster: Cluster) -> InstalledSettings:
    """The settings of our own manager, all None without one; raises KubeError."""
    try:
        deployment = await cluster.get(r.DEPLOYMENTS, MANAGER, MANAGER_NAMESPACE)
    except errors.NotFound:
        return InstalledSettings()
    return parse_settings(deployment) if is_ours(deployment) else InstalledSettings()


async def with_what_rules_tell(cluster: Cluster, settings: InstalledSettings) -> InstalledSettings:
    """The settings, where the installed rules lead their readers, and what selects them; raises KubeError."""
    try:
        rule = await cluster.get(r.PROMETHEUSRULES, PROMETHEUS_RULE, MANAGER_NAMESPACE)
    except errors.NotFound:
        return settings
    kept = annotations_of(rule)
    return replace(
        settings,
        runbook_url=kept.get(labels.RUNBOOK_URL),
        grafana_url=kept.get(labels.GRAFANA_URL),
        monitoring_labels=kept.get(labels.MONITORING_LABELS),
    )


async def gather_release(cluster: Cluster) -> str:
    """The release whose definitions the cluster has; empty when it does not say. Raises KubeError."""
    try:
        definition = await cluster.get(r.CRDS, _DEFINITION)
    except errors.NotFound:
        return ""
    return str(annotations_of(definition).get(labels.SCHEMA_VERSION) or "")


def parse_settings(deployment: Manifest) -> InstalledSettings:
    """The settings of a stored Deployment."""
    spec = deployment.get("spec") or {}
    environment = _environment(spec)
    mode, level = environment.get("TENANT_NAMESPACES"), environment.get("LOG_LEVEL")
    return InstalledSettings(
        tenant_namespaces=TenantNamespaces(mode) if mode in {each.value for each in TenantNamespaces} else None,
        log_level=level if level in _LOG_LEVELS else None,
        worker_image=environment.get("WORKER_IMAGE") or None,
        proxy_image=environment.get("PROXY_IMAGE") or None,
        proxy_exceptions=_exceptions(environment.get("PROXY_EXCEPTIONS")),
        proxy_denied_cidrs=environment.get("PROXY_DENIED_CIDRS"),
        api_server_cidrs=environment.get("API_SERVER_CIDRS"),
        dns_peers=environment.get("DNS_PEERS"),
        replicas=int(spec["replicas"]) if spec.get("replicas") else None,
    )


def without_earlier_defaults(settings: InstalledSettings, release: str) -> InstalledSettings:
    """The settings without what another release chose by itself: its own images move on with the release.

    GitHub turns an old runner away, however it is named. A proxy's image is this project's choice only without a
    digest; with one, somebody named it.
    """
    worker, proxy = settings.worker_image, settings.proxy_image
    if release == OWN_VERSION:
        return settings
    if worker and _repository(worker) == _repository(RUNNER_IMAGE):
        settings = replace(settings, worker_image=None)
    if proxy and not is_pinned(proxy) and _repository(proxy) == _repository(PROXY_IMAGE):
        settings = replace(settings, proxy_image=None)
    return settings


def _repository(image: str) -> str:
    """The reference without digest and tag."""
    path, slash, last = image.partition("@")[0].rpartition("/")
    return path + slash + last.partition(":")[0]


def _exceptions(text: str | None) -> tuple[EgressException, ...] | None:
    try:
        return None if text is None else parse_egress_exceptions(text)
    except ValueError:
        return None


def _environment(spec: Manifest) -> dict[str, str]:
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    entries = (entry for each in containers if each.get("name") == _CONTAINER for entry in each.get("env") or [])
    return {str(entry.get("name")): str(entry.get("value") or "") for entry in entries}
