"""Tenants as they are: the list of all, the details of one, and what to say of a namespace that is none."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from actions_gateway.api import names
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import Blind, GwError, Refused
from gw.exits import ExitCode
from gw.ops.namespaces import can_be_tenant, is_reserved
from gw.ops.tenancy.limits import KeyShare, shares_of
from gw.sources.cluster import Cluster, asking
from gw.sources.facts import Fact, Known, Missing
from gw.sources.gateways import ConditionFact, GatewayFact, GroupFact, parse_gateway
from gw.sources.gathering import NOT_INSTALLED_STEP, gather_gateways, gather_groups, gather_pods, read_fact
from gw.sources.pods import PodFact, PodRole
from gw.sources.quotas import QuotaFact, gather_quotas

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TenantSummary:
    """One tenant in a list."""

    gateway: GatewayFact
    groups: tuple[GroupFact, ...]
    limits: tuple[KeyShare, ...] | None = None
    """The keys of its quotas, the one nearest to its limit first; None when they were not read."""

    @property
    def waiting_jobs(self) -> int:
        """Jobs delivered or claimed that do not run yet."""
        return sum(group.pending_jobs for group in self.groups)

    @property
    def suspended_groups(self) -> tuple[GroupFact, ...]:
        """Those that take no jobs by somebody's will, a pause of the whole gateway included."""
        return tuple(group for group in self.groups if group.suspended)

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
    unseen: tuple[Missing, ...] = ()
    """What could not be read: the tenants' quotas, perhaps."""

    @property
    def exit_code(self) -> ExitCode:
        """What could not be read is unknown, never fine."""
        return ExitCode.UNKNOWN if self.unseen else ExitCode.OK


@dataclass(frozen=True, slots=True)
class TenantDetail:
    """One tenant at one moment."""

    at: datetime
    summary: TenantSummary
    others: tuple[GatewayFact, ...]
    """Younger gateways of the same namespace; the manager serves the oldest only."""
    workers: tuple[PodFact, ...]
    agents: tuple[PodFact, ...]
    unseen: tuple[Missing, ...] = ()
    """What could not be read: its quotas, perhaps."""

    @property
    def exit_code(self) -> ExitCode:
        """What could not be read is unknown, never fine."""
        return ExitCode.UNKNOWN if self.unseen else ExitCode.OK


@dataclass(frozen=True, slots=True)
class GroupList:
    """Runner groups at one moment."""

    at: datetime
    namespace: str | None
    groups: tuple[GroupFact, ...]


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """One runner group at one moment."""

    at: datetime
    gateway: GatewayFact
    group: GroupFact
    workers: tuple[PodFact, ...]


@dataclass(frozen=True, slots=True)
class ServedGateway:
    """The gateway of a namespace that the manager serves, which is the oldest."""

    live: Manifest = field(repr=False)
    """As it is stored."""
    fact: GatewayFact
    others: tuple[GatewayFact, ...]
    """Younger ones beside it, which are not served."""


async def list_tenants(cluster: Cluster, now: datetime) -> TenantList:
    """All tenants by namespace, in one list call for each kind; raises GwError."""
    with reading_types("list the tenants"):
        gateways, groups, quotas = await asyncio.gather(
            gather_gateways(cluster, None), gather_groups(cluster, None), _quotas(cluster, None)
        )
    by_tenant: dict[str, list[GroupFact]] = {}
    for group in groups:
        by_tenant.setdefault(group.namespace, []).append(group)
    limits = _limits_by_tenant(quotas)
    tenants = tuple(
        TenantSummary(
            gateway,
            groups_of(gateway, tuple(by_tenant.get(gateway.namespace, ()))),
            None if limits is None else limits.get(gateway.namespace, ()),
        )
        for gateway in gateways
    )
    return TenantList(now, tenants, _unseen(quotas))


async def show_tenant(cluster: Cluster, namespace: str, now: datetime) -> TenantDetail:
    """One tenant; raises Refused when the namespace is none."""
    served = await read_served(cluster, namespace)
    with reading_types(f"read the tenant {namespace}"):
        groups, pods, quotas = await asyncio.gather(
            gather_groups(cluster, namespace), gather_pods(cluster, namespace), _quotas(cluster, namespace)
        )
    limits = _limits_by_tenant(quotas)
    return TenantDetail(
        at=now,
        summary=TenantSummary(
            served.fact, groups_of(served.fact, groups), None if limits is None else limits.get(namespace, ())
        ),
        others=served.others,
        workers=tuple(pod for pod in pods if pod.role is PodRole.WORKER),
        agents=tuple(pod for pod in pods if pod.role is PodRole.AGENT),
        unseen=_unseen(quotas),
    )


async def list_groups(cluster: Cluster, namespace: str | None, now: datetime) -> GroupList:
    """The runner groups of a tenant or of all; raises Refused when the namespace is no tenant."""
    with reading_types("list the runner groups"):
        groups = await gather_groups(cluster, namespace)
        if namespace is not None and not groups and not await gather_gateways(cluster, namespace):
            raise await not_a_tenant(cluster, namespace)
    return GroupList(now, namespace, groups)


async def show_group(cluster: Cluster, namespace: str, name: str, now: datetime) -> GroupDetail:
    """One runner group by its own name or by its entry's in the gateway; raises Refused when there is none."""
    served = await read_served(cluster, namespace)
    with reading_types(f"read the runner groups of {namespace}"):
        found, pods = await asyncio.gather(gather_groups(cluster, namespace), gather_pods(cluster, namespace))
    groups = groups_of(served.fact, found)
    meant = (name, names.runner_group_name(served.fact.name, name))
    group = next((each for each in groups if each.name in meant), None)
    if group is None:
        raise not_a_group(namespace, name, [each.name for each in groups])
    return GroupDetail(now, served.fact, group, tuple(pod for pod in pods if pod.group == group.name))


async def read_served(cluster: Cluster, namespace: str) -> ServedGateway:
    """The gateway that the manager serves; raises Refused when the namespace is no tenant."""
    with reading_types(f"read the tenant {namespace}"):
        items = (await cluster.list(r.ACTIONSGATEWAYS, namespace)).items
        if not items:
            raise await not_a_tenant(cluster, namespace)
    facts = [(parse_gateway(item), item) for item in items]
    facts.sort(key=lambda each: (each[0].created_at is None, each[0].created_at, each[0].name))
    (fact, live), *others = facts
    return ServedGateway(live, fact, tuple(other for other, _ in others))


def refuse_deleted(gateway: GatewayFact) -> None:
    """Raises Refused for a gateway on its way out."""
    if gateway.deleted_at is not None:
        raise Refused(
            f"the gateway {gateway.name} of {gateway.namespace} is being deleted",
            f"See what holds it with `gw tenant show {gateway.namespace}`.",
        )


def groups_of(gateway: GatewayFact, groups: tuple[GroupFact, ...]) -> tuple[GroupFact, ...]:
    """The groups that belong to a gateway; one without an owner label belongs to whoever is in its namespace."""
    return tuple(
        group for group in groups if group.namespace == gateway.namespace and group.gateway in ("", gateway.name)
    )


def not_a_group(namespace: str, name: str, existing: Sequence[str]) -> GwError:
    """What to say of a runner group that a tenant does not have."""
    there = f"Its runner groups are: {', '.join(existing)}." if existing else "It has none."
    return Refused(f"{namespace} has no runner group {name}", f"{_nearest(name, existing)}{there}")


async def not_a_tenant(cluster: Cluster, namespace: str) -> GwError:
    """What to say of a namespace without a gateway; suggests the tenant whose name is nearest."""
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
    nearest = _nearest(namespace, await _tenant_names(cluster))
    if not can_be_tenant(namespace):
        return Refused(what, f"{nearest}See the tenants with `gw tenant list`.")
    added = f"or make it one with `gw tenant add {namespace} …`."
    return Refused(what, f"{nearest}See the tenants with `gw tenant list`, {added}")


@contextmanager
def reading_types(doing: str) -> Iterator[None]:
    """`asking`, where a 404 means that the cluster does not serve this project's types."""
    with asking(doing):
        try:
            yield
        except errors.NotFound as problem:
            what = f"could not {doing}: this cluster does not serve {names.API_GROUP}"
            raise Blind(what, NOT_INSTALLED_STEP) from problem


async def _quotas(cluster: Cluster, namespace: str | None) -> Fact[tuple[QuotaFact, ...]]:
    return await read_fact("list quotas", lambda: gather_quotas(cluster, namespace))


def _limits_by_tenant(quotas: Fact[tuple[QuotaFact, ...]]) -> dict[str, tuple[KeyShare, ...]] | None:
    if isinstance(quotas, Missing):
        return None
    by_tenant: dict[str, list[QuotaFact]] = {}
    for quota in quotas.value:
        by_tenant.setdefault(quota.namespace, []).append(quota)
    return {namespace: shares_of(own) for namespace, own in by_tenant.items()}


def _unseen(quotas: Fact[tuple[QuotaFact, ...]]) -> tuple[Missing, ...]:
    return () if isinstance(quotas, Known) else (quotas,)


async def _tenant_names(cluster: Cluster) -> list[str]:
    """Whoever may see one tenant only gets no suggestion."""
    try:
        return [gateway.namespace for gateway in await gather_gateways(cluster, None)]
    except errors.KubeError:
        return []


def _nearest(name: str, existing: Sequence[str]) -> str:
    close = get_close_matches(name, dict.fromkeys(existing), n=1, cutoff=_SIMILAR)
    return f"Did you mean {close[0]}? " if close else ""


_SIMILAR = 0.7
"""Of 1, which is the same: a letter that is missing, wrong or twice in a name of a few."""
