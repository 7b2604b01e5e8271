"""Everything that one gateway wants to exist, in the order in which it may come into being."""

from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import (
    DEPLOYMENTS,
    NETWORKPOLICIES,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    Resource,
)
from actions_gateway.manager.gateway.access import (
    build_role_binding,
    build_service_accounts,
)
from actions_gateway.manager.gateway.agent_deployment import build_agent_deployment
from actions_gateway.manager.gateway.groups import build_runner_groups
from actions_gateway.manager.gateway.network import build_agent_policy, build_workload_policy
from actions_gateway.manager.gateway.ownership import sealed
from actions_gateway.settings import ManagerSettings

CHILD_KINDS: tuple[Resource, ...] = (SERVICEACCOUNTS, ROLEBINDINGS, NETWORKPOLICIES, DEPLOYMENTS, RUNNERGROUPS)


def build_children(
    gateway: Manifest, spec: ActionsGatewaySpec, settings: ManagerSettings
) -> tuple[tuple[Manifest, ...], ...]:
    """Stages of sealed manifests; a stage needs the one before it. Raises ValueError that names what is unusable.

    What limits a pod (accounts, rights, NetworkPolicies) stands before anything that makes one.
    """
    limits = [
        *build_service_accounts(gateway),
        build_role_binding(gateway),
        build_workload_policy(gateway, spec),
        build_agent_policy(gateway),
    ]
    agent = build_agent_deployment(
        gateway, spec, controller_image=settings.controller_image, worker_image=settings.worker_image
    )
    pod_makers = [agent, *build_runner_groups(gateway, spec)]
    return tuple(tuple(sealed(manifest) for manifest in stage) for stage in (limits, pod_makers))
