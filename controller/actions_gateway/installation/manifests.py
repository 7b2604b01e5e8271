"""The whole installation in order; `controller/deploy/` and the sandbox apply it as it stands."""

from actions_gateway import __version__
from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.api.egress import PUBLIC_ONLY, PlatformEgress
from actions_gateway.api.images import PROXY_IMAGE
from actions_gateway.api.runnergroup import RUNNER_IMAGE
from actions_gateway.installation.manager import REPLICAS, build_namespace, manager_manifests
from actions_gateway.installation.metadata import Manifest
from actions_gateway.installation.people import people_manifests
from actions_gateway.installation.policies.catalog import policy_manifests
from actions_gateway.installation.rights import rbac_manifests
from actions_gateway.settings import PROXY_DRAIN_SECONDS, TenantNamespaces

CONTROLLER_IMAGE = f"actions-gateway/controller:{__version__}"
"""The image of manager, agent and the worker's wrapper; an installation replaces it by one that its nodes can pull."""


def installation_manifests(
    *,
    image: str = CONTROLLER_IMAGE,
    replicas: int = REPLICAS,
    worker_image: str = RUNNER_IMAGE,
    proxy_image: str = PROXY_IMAGE,
    egress: PlatformEgress = PUBLIC_ONLY,
    proxy_drain_seconds: int = PROXY_DRAIN_SECONDS,
    tenant_namespaces: TenantNamespaces = TenantNamespaces.ANY,
    log_level: str = "info",
) -> list[Manifest]:
    """Everything that an installation applies, in an order in which each object's needs stand before it."""
    return [
        *crd_manifests(),
        build_namespace(),
        *rbac_manifests(),
        *people_manifests(),
        # Before the manager. A policy takes a moment to work; the manager takes longer to start.
        *policy_manifests(tenant_namespaces),
        *manager_manifests(
            image=image,
            replicas=replicas,
            worker_image=worker_image,
            proxy_image=proxy_image,
            egress=egress,
            proxy_drain_seconds=proxy_drain_seconds,
            tenant_namespaces=tenant_namespaces,
            log_level=log_level,
        ),
    ]


def crd_manifests() -> list[Manifest]:
    """The CustomResourceDefinitions."""
    return [gateway_crd(), runner_group_crd()]
