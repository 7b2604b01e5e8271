"""The whole installation in order; `controller/deploy/` and the sandbox apply it as it stands."""

from actions_gateway.api.crd import gateway_crd, runner_group_crd
from actions_gateway.installation.manager import build_namespace, manager_manifests
from actions_gateway.installation.metadata import Manifest
from actions_gateway.installation.parameters import DEFAULTS, Parameters
from actions_gateway.installation.people import people_manifests
from actions_gateway.installation.policies.catalog import policy_manifests
from actions_gateway.installation.rights import rbac_manifests


def installation_manifests(parameters: Parameters = DEFAULTS) -> list[Manifest]:
    """Everything that an installation applies, in an order in which each object's needs stand before it."""
    return [
        *crd_manifests(),
        build_namespace(),
        *rbac_manifests(),
        *people_manifests(),
        # Before the manager. A policy takes a moment to work; the manager takes longer to start.
        *policy_manifests(parameters.tenant_namespaces),
        *manager_manifests(parameters),
    ]


def crd_manifests() -> list[Manifest]:
    """The CustomResourceDefinitions."""
    return [gateway_crd(), runner_group_crd()]
