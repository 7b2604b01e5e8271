"""A tenant's quotas as they stand: what is used, what the groups' ceilings would take, which key binds."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from actions_gateway.api.quantities import parse_quantity
from gw.checks.headroom import Room, reserved_for, rooms_for, worker_outline
from gw.exits import ExitCode
from gw.ops.tenants import not_a_tenant, reading_types
from gw.sources.cluster import Cluster
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_gateways, gather_groups
from gw.sources.ownership import gitops_owner
from gw.sources.quotas import QuotaFact, gather_quotas


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """One key of a quota; amounts as the cluster writes them."""

    key: str
    hard: str
    used: str | None
    """None until the quota controller has counted."""
    reserved: Fraction
    """What all groups of the namespace take of it at their ceilings."""

    @property
    def used_percent(self) -> int | None:
        """Rounded down; None while nothing is counted, or of a hard amount of zero."""
        return None if self.used is None else _percent(parse_quantity(self.used), self.hard)

    @property
    def reserved_percent(self) -> int | None:
        """Beyond 100 the ceilings cannot all be reached."""
        return _percent(self.reserved, self.hard)


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """One quota."""

    fact: QuotaFact
    owner: str | None
    """The GitOps controller that keeps it; None when none is seen."""
    keys: tuple[KeyUsage, ...]


@dataclass(frozen=True, slots=True)
class GroupRoom:
    """What the quotas leave to one runner group."""

    group: GroupFact
    rooms: tuple[Room, ...]
    """Of the quotas that count its next worker, the tightest first."""
    reserved: Mapping[str, Mapping[str, Fraction]]
    """At its ceiling, by quota and key."""
    problem: str = ""
    """Why it cannot be told what a worker costs."""

    @property
    def more(self) -> int:
        """How many more jobs may start: what its ceiling leaves, and what the tightest quota does."""
        left = max(0, self.group.worker_ceiling - self.group.active_jobs)
        return min([left, *(room.room for room in self.rooms)])

    @property
    def binding(self) -> Room | None:
        """The quota that binds before the group's own ceiling does; None when that one comes first."""
        left = max(0, self.group.worker_ceiling - self.group.active_jobs)
        return self.rooms[0] if self.rooms and self.rooms[0].room < left else None


@dataclass(frozen=True, slots=True)
class QuotaReport:
    """The quotas of one tenant at one moment."""

    at: datetime
    namespace: str
    quotas: tuple[QuotaUsage, ...]
    groups: tuple[GroupRoom, ...]

    @property
    def exit_code(self) -> ExitCode:
        """Blind while what a group's workers cost is not known."""
        return ExitCode.UNKNOWN if any(room.problem for room in self.groups) else ExitCode.OK


async def show_quotas(cluster: Cluster, namespace: str, now: datetime) -> QuotaReport:
    """The report; raises Refused when the namespace is no tenant, Blind when quotas may not be read."""
    quotas, groups = await gather_quotas_of_tenant(cluster, namespace)
    rooms = tuple(room_of(group, quotas) for group in groups)
    return QuotaReport(now, namespace, tuple(_usage(quota, rooms) for quota in quotas), rooms)


async def gather_quotas_of_tenant(
    cluster: Cluster, namespace: str
) -> tuple[tuple[QuotaFact, ...], tuple[GroupFact, ...]]:
    """Quotas and runner groups; raises Refused when the namespace is no tenant."""
    with reading_types(f"read the quotas of {namespace}"):
        if not await gather_gateways(cluster, namespace):
            raise await not_a_tenant(cluster, namespace)
        return await asyncio.gather(gather_quotas(cluster, namespace), gather_groups(cluster, namespace))


def room_of(group: GroupFact, quotas: tuple[QuotaFact, ...]) -> GroupRoom:
    """What the quotas leave to a group."""
    try:
        rooms = rooms_for(worker_outline(group.worker), group.priority_class, quotas)
        reserved = {quota.name: reserved_for(group, quota) for quota in quotas}
    except (ValueError, TypeError, AttributeError) as problem:
        # A template's fields are of any type until the API server has judged them.
        return GroupRoom(group, (), {}, f"what one of its workers needs cannot be told: {problem}")
    return GroupRoom(group, tuple(rooms), reserved)


def _usage(quota: QuotaFact, rooms: tuple[GroupRoom, ...]) -> QuotaUsage:
    keys = []
    for key, hard in sorted((quota.enforced or quota.wanted).items()):
        taken = (room.reserved.get(quota.name, {}).get(key, Fraction(0)) for room in rooms)
        keys.append(KeyUsage(key, hard, quota.used.get(key), sum(taken, Fraction(0))))
    return QuotaUsage(quota, gitops_owner(quota.manifest), tuple(keys))


def _percent(part: Fraction, whole: str) -> int | None:
    total = parse_quantity(whole)
    return int(100 * part / total) if total else None
