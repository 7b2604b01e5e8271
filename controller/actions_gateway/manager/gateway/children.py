"""Everything that one gateway wants to exist, in the order in which it may come into being."""

from actions_gateway.api.gateway import ActionsGatewaySpec
from actions_gateway.kube.client import Manifest
from actions_gateway.kube.resources import (
    DEPLOYMENTS,
    HPAS,
    NETWORKPOLICIES,
    PDBS,
    ROLEBINDINGS,
    RUNNERGROUPS,
    SERVICEACCOUNTS,
    SERVICES,
    Resource,
)
from actions_gateway.manager.gateway.access import (
    build_role_binding,
    build_service_accounts,
)
from actions_gateway.manager.gateway.groups import build_runner_groups
from actions_gateway.manager.gateway.network import build_containing_policies, build_network_policies
from actions_gateway.manager.gateway.ownership import sealed
from actions_gateway.manager.gateway.proxy_service import (
    build_autoscaler,
    build_disruption_budget,
    build_proxy_service,
)
from actions_gateway.manager.gateway.release import build_deployments
from actions_gateway.manager.gateway.verdict.lifecycle import is_contained
from actions_gateway.settings import ManagerSettings

CHILD_KINDS: tuple[Resource, ...] = (
    SERVICEACCOUNTS,
    ROLEBINDINGS,
    NETWORKPOLICIES,
    SERVICES,
    PDBS,
    HPAS,
    DEPLOYMENTS,
    RUNNERGROUPS,
)


def build_children(
    gateway: Manifest, spec: ActionsGatewaySpec, settings: ManagerSettings
) -> tuple[tuple[Manifest, ...], ...]:
    """Stages of sealed manifests; a stage needs the one before it. Raises ValueError that names what is unusable.

    What limits a pod (accounts, rights, NetworkPolicies) stands before anything that makes one.
    """
    limits = [
        *build_service_accounts(gateway),
        build_role_binding(gateway),
        *(
            build_containing_policies(gateway)
            if is_contained(gateway)
            else build_network_policies(gateway, spec, settings.egress)
        ),
    ]
    proxy, agent = build_deployments(gateway, spec, settings)
    surroundings = [build_proxy_service(gateway), build_disruption_budget(gateway), build_autoscaler(gateway, spec)]
    pod_makers = [*surroundings, proxy, agent, *build_runner_groups(gateway, spec)]
    return tuple(tuple(sealed(manifest) for manifest in stage) for stage in (limits, pod_makers))
