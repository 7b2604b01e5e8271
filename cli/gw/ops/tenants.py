"""Tenants as they are: the list of all, the details of one, and what to say of a namespace that is none."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from actions_gateway.api import names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import Blind, GwError, Refused
from gw.ops.namespaces import can_be_tenant, is_reserved
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact
from gw.sources.gathering import NOT_INSTALLED_STEP, gather_gateways, gather_groups, gather_pods
from gw.sources.pods import PodFact, PodRole


@dataclass(frozen=True, slots=True)
class TenantSummary:
    """One tenant in a list."""

    gateway: GatewayFact
    groups: tuple[GroupFact, ...]

    @property
    def last_problem(self) -> ConditionFact | None:
        """The condition that went bad last, of the gateway or of a group."""
        entries = [*self.gateway.conditions, *(entry for group in self.groups for entry in group.conditions)]
        bad = [entry for entry in entries if entry.is_problem]
        timed = [(entry.since, index) for index, entry in enumerate(bad) if entry.since is not None]
        return bad[max(timed)[1]] if timed else next(iter(bad), None)


@dataclass(frozen=True, slots=True)
class TenantList:
    """All tenants at one moment."""

    at: datetime
    tenants: tuple[TenantSummary, ...]


@dataclass(frozen=True, slots=True)
class TenantDetail:
    """One tenant at one moment."""

    at: datetime
    summary: TenantSummary
    others: tuple[GatewayFact, ...]
    """Younger gateways of the same namespace; the manager serves the oldest only."""
    workers: tuple[PodFact, ...]
    agents: tuple[PodFact, ...]


@dataclass(frozen=True, slots=True)
class GroupList:
    """Runner groups at one moment."""

    at: datetime
    namespace: str | None
    groups: tuple[GroupFact, ...]


async def list_tenants(cluster: Cluster, now: datetime) -> TenantList:
    """All tenants by namespace; raises GwError."""
    with reading_types("list the tenants"):
        gateways, groups = await asyncio.gather(gather_gateways(cluster, None), gather_groups(cluster, None))
    return TenantList(now, tuple(TenantSummary(gateway, groups_of(gateway, groups)) for gateway in gateways))


async def show_tenant(cluster: Cluster, namespace: str, now: datetime) -> TenantDetail:
    """One tenant; raises Refused when the namespace is none."""
    with reading_types(f"read the tenant {namespace}"):
        gateways = await gather_gateways(cluster, namespace)
        if not gateways:
            raise await not_a_tenant(cluster, namespace)
        groups, pods = await asyncio.gather(gather_groups(cluster, namespace), gather_pods(cluster, namespace))
    served, *others = sorted(gateways, key=lambda fact: (fact.created_at is None, fact.created_at, fact.name))
    return TenantDetail(
        at=now,
        summary=TenantSummary(served, groups_of(served, groups)),
        others=tuple(others),
        workers=tuple(pod for pod in pods if pod.role is PodRole.WORKER),
        agents=tuple(pod for pod in pods if pod.role is PodRole.AGENT),
    )


async def list_groups(cluster: Cluster, namespace: str | None, now: datetime) -> GroupList:
    """The runner groups of a tenant or of all; raises Refused when the namespace is no tenant."""
    with reading_types("list the runner groups"):
        groups = await gather_groups(cluster, namespace)
        if namespace is not None and not groups and not await gather_gateways(cluster, namespace):
            raise await not_a_tenant(cluster, namespace)
    return GroupList(now, namespace, groups)


def groups_of(gateway: GatewayFact, groups: tuple[GroupFact, ...]) -> tuple[GroupFact, ...]:
    """The groups that belong to a gateway; one without an owner label belongs to whoever is in its namespace."""
    return tuple(
        group for group in groups if group.namespace == gateway.namespace and group.gateway in ("", gateway.name)
    )


async def not_a_tenant(cluster: Cluster, namespace: str) -> GwError:
    """What to say of a namespace without a gateway."""
    if is_reserved(namespace):
        what = f"the namespace {namespace} is reserved for the cluster itself and is never a tenant"
        return Refused(what, "See the tenants with `gw tenant list`.")
    try:
        await cluster.get(r.NAMESPACES, namespace)
        what = f"the namespace {namespace} is not a tenant: it has no ActionsGateway"
    except errors.NotFound:
        what = f"there is no namespace {namespace}"
    except errors.Forbidden:
        what = f"{namespace} is not a tenant: no ActionsGateway is there"
    if not can_be_tenant(namespace):
        return Refused(what, "See the tenants with `gw tenant list`.")
    return Refused(what, f"See the tenants with `gw tenant list`, or make it one with `gw tenant add {namespace} …`.")


@contextmanager
def reading_types(doing: str) -> Iterator[None]:
    """`asking`, where a 404 means that the cluster does not serve this project's types."""
    with asking(doing):
        try:
            yield
        except errors.NotFound as problem:
            what = f"could not {doing}: this cluster does not serve {names.API_GROUP}"
            raise Blind(what, NOT_INSTALLED_STEP) from problem
