"""Scales a runner group: patches its entry in the gateway, and waits until its agent works by the new bounds.

RunnerGroups are the manager's; it hands the gateway's entries on, and the agent takes new bounds while it runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from actions_gateway.engine.clock import Clock
from gw.errors import Refused
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Plan, change_step
from gw.ops.onboarding.groups import parse_tiers
from gw.ops.priorityclasses import classes_of, gather_priority_classes, refuse_missing_classes
from gw.ops.tenancy.following import Look, Patience, until_none
from gw.ops.tenancy.groups import (
    Entry,
    ceiling_of,
    changed_entry,
    entries_of,
    entry_named,
    object_name,
    tiers_of,
    with_entry,
)
from gw.ops.tenancy.limits import shortfalls
from gw.ops.tenants import ServedGateway, groups_of, read_served, reading_types, refuse_deleted
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.facts import Missing
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_groups, read_fact
from gw.sources.quotas import gather_quotas

FIELD_MANAGER = "gw-runner-group-scale"
VERIFIED_BY = ("gateway.ready", "session.open")


@dataclass(frozen=True, slots=True)
class ScaleGroup:
    """The bounds that a runner group shall have; None leaves one as it is."""

    namespace: str
    group: str
    """The entry's name, or the RunnerGroup's."""
    timeout_seconds: float
    max_listeners: int | None = None
    max_workers: int | None = None
    tiers: Sequence[str] = ()
    """As CLASS:THRESHOLD."""
    manner: Manner = field(default_factory=Manner)


@dataclass(frozen=True, slots=True)
class ScaledGroup:
    """What came of it."""

    carried: Carried
    namespace: str
    group: str
    """The RunnerGroup's name."""
    max_listeners: int
    worker_ceiling: int
    tiers: tuple[tuple[int, str], ...]
    warnings: tuple[str, ...]
    """What the quotas lack for the ceilings, as sentences without a full stop."""
    stands: bool = False
    """Whether the agent works by these bounds now."""


async def scale_group(cluster: Cluster, order: ScaleGroup, *, clock: Clock, conversation: Conversation) -> ScaledGroup:
    """The scaled group, its bounds taken by the agent; raises GwError."""
    changes = _changes(order)
    served = await read_served(cluster, order.namespace)
    refuse_deleted(served.fact)
    entry = entry_named(served, order.group)
    changed = changed_entry(entry, changes)
    name = object_name(served, entry)
    with reading_types(f"read the runner groups of {order.namespace}"):
        groups = groups_of(served.fact, await gather_groups(cluster, order.namespace))
        wanted = classes_of([changed]) if "priorityTiers" in changes else ()
        unproven = refuse_missing_classes(wanted, await gather_priority_classes(cluster, wanted))
    warnings, unseen = await _warnings(cluster, order.namespace, [_scaled(each, name, changed) for each in groups])
    plan = Plan(
        order.namespace,
        (change_step(served.live, {"spec": {"runnerGroups": with_entry(entries_of(served), changed)}}, name),),
        consequences=tuple(_consequences(groups, name, entry, changed, warnings)),
        unproven=(*unproven, *unseen),
    )
    carried = await carry_out(
        cluster,
        plan,
        order.manner,
        conversation=conversation,
        field_manager=FIELD_MANAGER,
        question=f"Scale {name}?",
    )
    scaled = ScaledGroup(
        carried,
        order.namespace,
        name,
        int(changed.get("maxListeners") or 1),
        ceiling_of(changed),
        tiers_of(changed),
        warnings,
    )
    if carried.is_dry_run or carried.kept_by or order.manner.export:
        return scaled
    return await _follow(cluster, order, scaled, served, clock=clock, conversation=conversation)


async def _follow(
    cluster: Cluster,
    order: ScaleGroup,
    scaled: ScaledGroup,
    served: ServedGateway,
    *,
    clock: Clock,
    conversation: Conversation,
) -> ScaledGroup:
    def open_ends(look: Look) -> Iterable[str]:
        left = list(look.not_taken())
        yield from left
        group = next((each for each in look.groups if each.name == scaled.group), None)
        if not left and group is not None and not _has_bounds(group, scaled):
            yield f"the runner group {scaled.group} has not got its new bounds"

    patience = Patience(order.timeout_seconds, clock, conversation)
    look = await until_none(
        cluster,
        order.namespace,
        served.fact.name,
        open_ends,
        reached=f"the agent works by the bounds of {scaled.group}",
        patience=patience,
    )
    unproven = (
        (f"that the agent works by them: the gateway is {look.gateway.intention}, and no agent runs",)
        if look.gateway.wants_no_agent
        else ()
    )
    verified = await verify(
        cluster,
        VERIFIED_BY,
        namespace=order.namespace,
        timeout_seconds=order.timeout_seconds,
        clock=clock,
        listener=conversation,
    )
    return replace(scaled, carried=scaled.carried.with_unproven((*unproven, *verified.unproven)), stands=True)


def _changes(order: ScaleGroup) -> dict[str, Any]:
    bounds = {"maxListeners": order.max_listeners, "maxWorkers": order.max_workers}
    changes: dict[str, Any] = {key: value for key, value in bounds.items() if value is not None}
    if tiers := parse_tiers(order.group, order.tiers):
        changes["priorityTiers"] = tiers
    if not changes:
        raise Refused(
            f"no new bound of {order.group} was named", "Give --max-listeners, --max-workers or --tier CLASS:THRESHOLD."
        )
    return changes


def _has_bounds(group: GroupFact, scaled: ScaledGroup) -> bool:
    bounds = (group.max_listeners, group.worker_ceiling, group.tiers)
    return bounds == (scaled.max_listeners, scaled.worker_ceiling, scaled.tiers)


def _scaled(group: GroupFact, name: str, entry: Entry) -> GroupFact:
    if group.name != name:
        return group
    return replace(group, worker_ceiling=ceiling_of(entry), tiers=tiers_of(entry))


async def _warnings(
    cluster: Cluster, namespace: str, groups: Sequence[GroupFact]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the quotas lack, and what could not be seen of them."""
    quotas = await read_fact("list quotas", lambda: gather_quotas(cluster, namespace))
    if isinstance(quotas, Missing):
        return (), (f"whether the quotas hold the ceilings: {quotas.reason}",)
    return shortfalls(groups, quotas.value), ()


def _consequences(
    groups: Sequence[GroupFact], name: str, entry: Entry, changed: Entry, warnings: Sequence[str]
) -> Iterable[str]:
    yield "The agent takes it within seconds, and nothing restarts"
    group, ceiling = next((each for each in groups if each.name == name), None), ceiling_of(changed)
    if group is not None and ceiling < ceiling_of(entry) and group.active_jobs > ceiling:
        yield (
            f"The {group.active_jobs} jobs of {name} that run go on to their end, and none begins before "
            f"fewer than {ceiling} are left"
        )
    yield from warnings
