"""Reads facts from a cluster: only what is needed, all at once, and a refused read becomes a reason, not an error."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import CredentialsRejected, GwError
from gw.sources.alerting import AlertingFact, gather_alerting
from gw.sources.autoscalers import gather_autoscalers
from gw.sources.cluster import Cluster, explain
from gw.sources.endpoints import NoAnswer
from gw.sources.events import EVENTS, GIVEN_UP_SELECTOR, GivenUpFact, parse_given_up
from gw.sources.facts import Facts, Known, Missing, Need
from gw.sources.gateways import GatewayFact, GroupFact, parse_gateway, parse_group
from gw.sources.github import gather_github
from gw.sources.lostjobs import gather_lost_jobs
from gw.sources.monitoring import MonitoringFact, gather_monitoring
from gw.sources.places import Endpoints, Sources
from gw.sources.platform import (
    DeploymentFact,
    LeaseFact,
    ManagerFact,
    ServedTypes,
    WorkloadFact,
    parse_deployment,
    parse_lease,
    parse_served,
    parse_workload,
)
from gw.sources.pods import (
    AGENT_SELECTOR,
    MANAGER_SELECTOR,
    PROXY_SELECTOR,
    WORKER_SELECTOR,
    PodFact,
    PodRole,
    parse_pod,
)
from gw.sources.policies import gather_policies
from gw.sources.prerequisites import (
    gather_definitions,
    gather_metrics,
    gather_network,
    gather_place,
    gather_pod_security,
)
from gw.sources.quotas import gather_quotas
from gw.sources.rights import gather_rights
from gw.sources.series import SeriesFact, gather_series
from gw.sources.server import gather_clock, gather_server

NOT_INSTALLED_STEP = "Install Actions Gateway here with `gw install`, or name another cluster with --context."
DISCOVERED = Sources()
GROUP_PATH = f"/apis/{names.API_GROUP}/{names.API_VERSION}"


async def gather_facts(
    cluster: Cluster,
    namespace: str | None,
    needs: Collection[Need],
    clock: Clock,
    sources: Sources = DISCOVERED,
) -> Facts:
    """The needed facts of one tenant, or of all with None; raises CredentialsRejected, since then nothing is known.

    `sources` says where Prometheus and Alertmanager are; by default they are looked for in the cluster.
    """
    endpoints = Endpoints(sources, cluster, namespace)
    readers: Mapping[Need, _Reader] = {
        Need.SERVED: _Reader("ask which types are served", lambda: gather_served(cluster)),
        Need.MANAGER: _Reader("read the manager", lambda: gather_manager(cluster)),
        Need.GATEWAYS: _Reader("list gateways", lambda: gather_gateways(cluster, namespace), NOT_INSTALLED_STEP),
        Need.GROUPS: _Reader("list runner groups", lambda: gather_groups(cluster, namespace), NOT_INSTALLED_STEP),
        Need.PODS: _Reader("list pods", lambda: gather_pods(cluster, namespace)),
        Need.MANAGER_PODS: _Reader("list the manager's pods", lambda: gather_manager_pods(cluster)),
        Need.WORKLOADS: _Reader("list deployments", lambda: gather_workloads(cluster, namespace)),
        Need.QUOTAS: _Reader("list quotas", lambda: gather_quotas(cluster, namespace)),
        Need.AUTOSCALERS: _Reader("list autoscalers", lambda: gather_autoscalers(cluster, namespace)),
        Need.LOST_JOBS: _Reader("read the ledger of lost jobs", lambda: gather_lost_jobs(cluster, namespace)),
        Need.GITHUB: _Reader("ask GitHub", lambda: gather_github(cluster, namespace, sources.github)),
        Need.EVENTS: _Reader("list events", lambda: gather_events(cluster, namespace)),
        Need.SERVER: _Reader("ask for the server's version", lambda: gather_server(cluster)),
        Need.CLOCK: _Reader("ask for the server's time", lambda: gather_clock(cluster, clock)),
        Need.DEFINITIONS: _Reader("read the definitions", lambda: gather_definitions(cluster)),
        Need.RIGHTS: _Reader("ask for your rights", lambda: gather_rights(cluster)),
        Need.POLICIES: _Reader("read the admission policies", lambda: gather_policies(cluster)),
        Need.POD_SECURITY: _Reader("try Pod Security", lambda: gather_pod_security(cluster)),
        Need.NETWORK: _Reader("list daemonsets", lambda: gather_network(cluster)),
        Need.METRICS: _Reader("ask for the metrics API", lambda: gather_metrics(cluster)),
        Need.PLACE: _Reader("read what stands in the way", lambda: gather_place(cluster)),
        Need.SERIES: _Reader("ask Prometheus", lambda: _series(endpoints)),
        Need.MONITORING: _Reader("ask Prometheus", lambda: _monitoring(endpoints)),
        Need.ALERTING: _Reader("ask Alertmanager", lambda: _alerting(endpoints)),
    }
    async with endpoints, asyncio.TaskGroup() as group:
        tasks = {need.fact: group.create_task(_fact(readers[need])) for need in readers if need in needs}
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


async def gather_manager_pods(cluster: Cluster) -> tuple[PodFact, ...]:
    """The manager's pods by name."""
    found = await cluster.list(r.PODS, names.MANAGER_NAMESPACE, label_selector=MANAGER_SELECTOR)
    return tuple(sorted((parse_pod(item, PodRole.MANAGER) for item in found.items), key=lambda fact: fact.name))


async def gather_workloads(cluster: Cluster, namespace: str | None) -> tuple[WorkloadFact, ...]:
    """The tenants' agent and proxy Deployments by namespace and name."""
    found = await cluster.list(r.DEPLOYMENTS, namespace, label_selector=f"{labels.MANAGED_BY}={labels.BY_MANAGER}")
    return tuple(sorted((parse_workload(item) for item in found.items), key=lambda fact: (fact.namespace, fact.name)))


async def gather_events(cluster: Cluster, namespace: str | None) -> tuple[GivenUpFact, ...]:
    """The workers that were given up within the life of events (an hour, unless the cluster says otherwise)."""
    found = await cluster.list(EVENTS, namespace, field_selector=GIVEN_UP_SELECTOR)
    return tuple(parse_given_up(item) for item in found.items)


async def gather_manager(cluster: Cluster) -> ManagerFact:
    """The manager's Deployment and its lease."""
    deployment, lease = await asyncio.gather(_deployment(cluster), _lease(cluster))
    return ManagerFact(deployment, lease)


async def _series(endpoints: Endpoints) -> SeriesFact:
    return await gather_series(await endpoints.prometheus())


async def _monitoring(endpoints: Endpoints) -> MonitoringFact:
    return await gather_monitoring(await endpoints.prometheus())


async def _alerting(endpoints: Endpoints) -> AlertingFact:
    return await gather_alerting(await endpoints.alertmanager())


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

    doing: str
    gather: Callable[[], Awaitable[Any]]
    unserved_step: str = ""
    """What to do when the cluster does not serve the type; empty for types that an installation does not bring."""


async def _fact(reader: _Reader) -> Known[Any] | Missing:
    try:
        return Known(await reader.gather())
    except NoAnswer as silence:
        return Missing(
            silence.reason,
            silence.next_step,
            is_forbidden=silence.is_forbidden,
            is_down=silence.is_down,
            is_lasting=silence.is_lasting,
            # Services and their proxy stand outside of a tenant's own namespace.
            is_platforms=silence.is_forbidden,
        )
    except errors.NotFound:
        return Missing(f"could not {reader.doing}: this cluster does not serve that type", reader.unserved_step)
    except errors.KubeError as problem:
        error = explain(problem, reader.doing)
        return Missing(
            error.what,
            error.next_step,
            is_forbidden=isinstance(problem, errors.Forbidden),
            is_lasting=isinstance(problem, errors.Forbidden),
            is_rejected=isinstance(problem, errors.Unauthorized),
        )
    except GwError:
        raise
    except Exception as oddity:  # One odd answer must not take the rest of the report along.
        return Missing(f"could not {reader.doing}: its answer cannot be read ({type(oddity).__name__})")


async def read_fact(doing: str, gather: Callable[[], Awaitable[Any]]) -> Known[Any] | Missing:
    """One fact that is no check's; `doing` continues the words "could not"."""
    return await _fact(_Reader(doing, gather))
