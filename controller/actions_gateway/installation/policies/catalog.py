"""All policies of an installation."""

from actions_gateway.installation.metadata import Manifest
from actions_gateway.installation.policies.agent_writes import (
    build_agent_configmap_policy,
    build_agent_pod_policy,
    build_agent_secret_policy,
)
from actions_gateway.installation.policies.building import Policy
from actions_gateway.installation.policies.gateway_places import build_gateway_place_policy
from actions_gateway.installation.policies.manager_children import build_manager_children_policy
from actions_gateway.installation.policies.manager_gateways import build_manager_gateway_policy
from actions_gateway.installation.policies.manager_namespaces import build_manager_namespace_policy
from actions_gateway.installation.policies.owned_objects import (
    build_manager_deployment_policy,
    build_owned_object_policy,
)
from actions_gateway.installation.policies.pod_templates import build_pod_template_policy
from actions_gateway.installation.policies.security_profiles import build_security_profile_policy
from actions_gateway.installation.policies.tenant_namespaces import build_tenant_namespace_policy
from actions_gateway.settings import TenantNamespaces


def policies(tenant_namespaces: TenantNamespaces) -> tuple[Policy, ...]:
    """In the order of installation; an API server on which they are new enforces each a moment after it is written."""
    return (
        build_pod_template_policy(),
        build_security_profile_policy(),
        build_tenant_namespace_policy(),
        build_manager_namespace_policy(tenant_namespaces),
        build_manager_children_policy(),
        build_manager_gateway_policy(),
        build_agent_pod_policy(),
        build_agent_secret_policy(),
        build_agent_configmap_policy(),
        build_owned_object_policy(),
        build_manager_deployment_policy(),
        build_gateway_place_policy(),
    )


def policy_manifests(tenant_namespaces: TenantNamespaces = TenantNamespaces.ANY) -> list[Manifest]:
    """Each policy with its binding; the CRDs have to exist, or their type checks find nothing."""
    return [manifest for policy in policies(tenant_namespaces) for manifest in policy.render()]
