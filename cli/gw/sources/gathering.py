"""Reads facts from a cluster: only what is needed, all at once, and a refused read becomes a reason, not an error."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import TypeVar

from actions_gateway.api import names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import CredentialsRejected
from gw.sources.cluster import Cluster, explain
from gw.sources.facts import NOT_GATHERED, Fact, Facts, Known, Missing, Need
from gw.sources.gateways import GatewayFact, GroupFact, parse_gateway, parse_group
from gw.sources.platform import (
    DeploymentFact,
    LeaseFact,
    ManagerFact,
    ServedTypes,
    parse_deployment,
    parse_lease,
    parse_served,
)
from gw.sources.pods import AGENT_SELECTOR, WORKER_SELECTOR, PodFact, PodRole, parse_pod

T = TypeVar("T")

NOT_INSTALLED_STEP = (
    "Ask the platform's owners to install Actions Gateway here, or name another cluster with --context."
)
GROUP_PATH = f"/apis/{names.API_GROUP}/{names.API_VERSION}"


async def gather_facts(cluster: Cluster, namespace: str | None, needs: Collection[Need], now: datetime) -> Facts:
    """The needed facts of one tenant, or of all with None; raises CredentialsRejected, since then nothing is known."""
    async with asyncio.TaskGroup() as group:
        served = group.create_task(
            _fact(Need.SERVED in needs, lambda: gather_served(cluster), "ask which types are served")
        )
        manager = group.create_task(_fact(Need.MANAGER in needs, lambda: gather_manager(cluster), "read the manager"))
        gateways = group.create_task(
            _fact(Need.GATEWAYS in needs, lambda: gather_gateways(cluster, namespace), "list gateways")
        )
        groups = group.create_task(
            _fact(Need.GROUPS in needs, lambda: gather_groups(cluster, namespace), "list runner groups")
        )
        pods = group.create_task(_fact(Need.PODS in needs, lambda: gather_pods(cluster, namespace), "list pods"))
    facts = (served.result(), manager.result(), gateways.result(), groups.result(), pods.result())
    for fact in facts:
        if isinstance(fact, Missing) and fact.is_rejected:
            raise CredentialsRejected(fact.reason, fact.next_step)
    return Facts(now, namespace, *facts)


async def gather_served(cluster: Cluster) -> ServedTypes:
    """Which of this project's types the API server serves; none when it does not know the group."""
    try:
        return parse_served(cluster.host, await cluster.request("GET", GROUP_PATH))
    except errors.NotFound:
        return ServedTypes(cluster.host, frozenset())


async def gather_gateways(cluster: Cluster, namespace: str | None) -> tuple[GatewayFact, ...]:
    """The gateways by namespace and name."""
    found = await cluster.list(r.ACTIONSGATEWAYS, namespace)
    return tuple(sorted((parse_gateway(item) for item in found.items), key=lambda fact: (fact.namespace, fact.name)))


async def gather_groups(cluster: Cluster, namespace: str | None) -> tuple[GroupFact, ...]:
    """The runner groups by namespace and name."""
    found = await cluster.list(r.RUNNERGROUPS, namespace)
    return tuple(sorted((parse_group(item) for item in found.items), key=lambda fact: (fact.namespace, fact.name)))


async def gather_pods(cluster: Cluster, namespace: str | None) -> tuple[PodFact, ...]:
    """Agent and worker pods by namespace and name; nothing else of a tenant's namespace is read."""
    agents, workers = await asyncio.gather(
        cluster.list(r.PODS, namespace, label_selector=AGENT_SELECTOR),
        cluster.list(r.PODS, namespace, label_selector=WORKER_SELECTOR),
    )
    pods = [parse_pod(item, PodRole.AGENT) for item in agents.items]
    pods += [parse_pod(item, PodRole.WORKER) for item in workers.items]
    return tuple(sorted(pods, key=lambda fact: (fact.namespace, fact.name)))


async def gather_manager(cluster: Cluster) -> ManagerFact:
    """The manager's Deployment and its lease."""
    deployment, lease = await asyncio.gather(_deployment(cluster), _lease(cluster))
    return ManagerFact(deployment, lease)


async def _deployment(cluster: Cluster) -> DeploymentFact | None:
    try:
        return parse_deployment(await cluster.get(r.DEPLOYMENTS, names.MANAGER, names.MANAGER_NAMESPACE))
    except errors.NotFound:
        return None


async def _lease(cluster: Cluster) -> LeaseFact | None:
    try:
        return parse_lease(await cluster.get(r.LEASES, names.MANAGER_LEASE, names.MANAGER_NAMESPACE))
    except errors.NotFound:
        return None


async def _fact(is_needed: bool, gather: Callable[[], Awaitable[T]], doing: str) -> Fact[T]:
    if not is_needed:
        return NOT_GATHERED
    try:
        return Known(await gather())
    except errors.NotFound:
        return Missing(f"could not {doing}: this cluster does not serve that type", NOT_INSTALLED_STEP)
    except errors.KubeError as problem:
        error = explain(problem, doing)
        return Missing(
            error.what,
            error.next_step,
            is_forbidden=isinstance(problem, errors.Forbidden),
            is_rejected=isinstance(problem, errors.Unauthorized),
        )
