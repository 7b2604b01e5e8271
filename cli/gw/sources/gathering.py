"""Reads facts from a cluster: only what is needed, all at once, and a refused read becomes a reason, not an error."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway.api import names
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import CredentialsRejected
from gw.sources.cluster import Cluster, explain
from gw.sources.facts import Facts, Known, Missing, Need
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
from gw.sources.pods import AGENT_SELECTOR, PROXY_SELECTOR, WORKER_SELECTOR, PodFact, PodRole, parse_pod
from gw.sources.policies import gather_policies
from gw.sources.prerequisites import (
    gather_definitions,
    gather_metrics,
    gather_network,
    gather_place,
    gather_pod_security,
)
from gw.sources.rights import gather_rights
from gw.sources.server import gather_clock, gather_server

NOT_INSTALLED_STEP = "Install Actions Gateway here with `gw install`, or name another cluster with --context."
GROUP_PATH = f"/apis/{names.API_GROUP}/{names.API_VERSION}"


async def gather_facts(cluster: Cluster, namespace: str | None, needs: Collection[Need], clock: Clock) -> Facts:
    """The needed facts of one tenant, or of all with None; raises CredentialsRejected, since then nothing is known."""
    readers: Mapping[Need, _Reader] = {
        Need.SERVED: _Reader("served", "ask which types are served", lambda: gather_served(cluster)),
        Need.MANAGER: _Reader("manager", "read the manager", lambda: gather_manager(cluster)),
        Need.GATEWAYS: _Reader(
            "gateways", "list gateways", lambda: gather_gateways(cluster, namespace), NOT_INSTALLED_STEP
        ),
        Need.GROUPS: _Reader(
            "groups", "list runner groups", lambda: gather_groups(cluster, namespace), NOT_INSTALLED_STEP
        ),
        Need.PODS: _Reader("pods", "list pods", lambda: gather_pods(cluster, namespace)),
        Need.SERVER: _Reader("server", "ask for the server's version", lambda: gather_server(cluster)),
        Need.CLOCK: _Reader("clock", "ask for the server's time", lambda: gather_clock(cluster, clock)),
        Need.DEFINITIONS: _Reader("definitions", "read the definitions", lambda: gather_definitions(cluster)),
        Need.RIGHTS: _Reader("rights", "ask for your rights", lambda: gather_rights(cluster)),
        Need.POLICIES: _Reader("policies", "read the admission policies", lambda: gather_policies(cluster)),
        Need.POD_SECURITY: _Reader("pod_security", "try Pod Security", lambda: gather_pod_security(cluster)),
        Need.NETWORK: _Reader("network", "list daemonsets", lambda: gather_network(cluster)),
        Need.METRICS: _Reader("metrics", "ask for the metrics API", lambda: gather_metrics(cluster)),
        Need.PLACE: _Reader("place", "read what stands in the way", lambda: gather_place(cluster)),
    }
    wanted = [reader for need, reader in readers.items() if need in needs]
    async with asyncio.TaskGroup() as group:
        tasks = {reader.field: group.create_task(_fact(reader)) for reader in wanted}
    facts: dict[str, Any] = {name: task.result() for name, task in tasks.items()}
    for fact in facts.values():
        if isinstance(fact, Missing) and fact.is_rejected:
            raise CredentialsRejected(fact.reason, fact.next_step)
    return Facts(clock.now(), namespace, **facts)


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
    """Agent, proxy and worker pods by namespace and name; nothing else of a tenant's namespace is read."""
    selectors = {PodRole.AGENT: AGENT_SELECTOR, PodRole.PROXY: PROXY_SELECTOR, PodRole.WORKER: WORKER_SELECTOR}
    found = await asyncio.gather(
        *(cluster.list(r.PODS, namespace, label_selector=selector) for selector in selectors.values())
    )
    pods = [parse_pod(item, role) for role, listed in zip(selectors, found, strict=True) for item in listed.items]
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


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one fact is read; `doing` continues the words "could not"."""

    field: str
    doing: str
    gather: Callable[[], Awaitable[Any]]
    unserved_step: str = ""
    """What to do when the cluster does not serve the type; empty for types that an installation does not bring."""


async def _fact(reader: _Reader) -> Known[Any] | Missing:
    try:
        return Known(await reader.gather())
    except errors.NotFound:
        return Missing(f"could not {reader.doing}: this cluster does not serve that type", reader.unserved_step)
    except errors.KubeError as problem:
        error = explain(problem, reader.doing)
        return Missing(
            error.what,
            error.next_step,
            is_forbidden=isinstance(problem, errors.Forbidden),
            is_rejected=isinstance(problem, errors.Unauthorized),
        )
