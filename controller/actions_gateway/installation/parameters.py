"""What an installation may be told; all else of it is this release's own."""

from dataclasses import dataclass

from actions_gateway import __version__
from actions_gateway.api.egress import PUBLIC_ONLY, PlatformEgress
from actions_gateway.installation.release import Images
from actions_gateway.settings import PROXY_DRAIN_SECONDS, TenantNamespaces

CONTROLLER_IMAGE = f"actions-gateway/controller:{__version__}"
"""The image of manager, agent and the worker's wrapper; an installation replaces it by one that its nodes can pull."""
OWN_IMAGES = Images(controller=CONTROLLER_IMAGE)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters, each with the value of an installation that is told nothing."""

    images: Images = OWN_IMAGES
    replicas: int = 2
    egress: PlatformEgress = PUBLIC_ONLY
    proxy_drain_seconds: int = PROXY_DRAIN_SECONDS
    tenant_namespaces: TenantNamespaces = TenantNamespaces.ANY
    log_level: str = "info"


DEFAULTS = Parameters()
