"""Adjusts a tenant's quota: find the object, refuse what would surprise, write, and prove that it counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from actions_gateway.api.quantities import parse_quantity
from actions_gateway.engine.clock import Clock
from gw.checks.model import Finding
from gw.checks.wording import counted
from gw.errors import Blind, Refused, TimedOut
from gw.exits import ExitCode
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Plan, change_step
from gw.ops.quota.amounts import Wish
from gw.ops.quota.proof import GroupProof, check_headroom, prove_workers, until_enforced
from gw.ops.quota.usage import GroupRoom, gather_quotas_of_tenant, room_of
from gw.sources.cluster import Cluster
from gw.sources.quotas import QuotaFact
from gw_alerts.thresholds import Severity

FIELD_MANAGER = "gw-quota-adjust"

Hard = Mapping[str, Mapping[str, str]]
"""New amounts by quota and key."""


@dataclass(frozen=True, slots=True)
class AdjustQuota:
    """How to go about it."""

    namespace: str
    wishes: tuple[Wish, ...]
    timeout_seconds: float
    manner: Manner = field(default_factory=Manner)
    name: str | None = None
    """Of the quota, where several could be meant."""
    force: bool = False
    """Go under what is used now."""


@dataclass(frozen=True, slots=True)
class AdjustedQuota:
    """What came of it."""

    carried: Carried
    hard: Hard
    rooms: tuple[GroupRoom, ...]
    """What the new amounts leave to each group, by the use that was counted before."""
    proofs: tuple[GroupProof, ...] = ()
    """Empty unless the amounts stand."""
    problems: tuple[Finding, ...] = ()
    """What `quota.headroom` finds in spite of it."""
    worst: Severity | None = None

    @property
    def stands(self) -> bool:
        """Whether the cluster counts with the amounts now."""
        return not self.carried.is_dry_run and not self.carried.kept_by

    @property
    def exit_code(self) -> ExitCode:
        if self.worst is not None and self.worst.reaches(Severity.PAGE):
            return ExitCode.PROBLEM
        return self.carried.exit_code


async def adjust_quota(
    cluster: Cluster, order: AdjustQuota, *, clock: Clock, conversation: Conversation
) -> AdjustedQuota:
    """The quota as it was asked for, counted by the next worker; raises GwError."""
    quotas, groups = await gather_quotas_of_tenant(cluster, order.namespace)
    hard = decide_hard(order, quotas)
    projected = tuple(_with_hard(quota, hard.get(quota.name, {})) for quota in quotas)
    rooms = tuple(room_of(group, projected) for group in groups)
    steps = [
        change_step(quota.manifest, {"spec": {"hard": dict(hard[quota.name])}})
        for quota in quotas
        if quota.name in hard
    ]
    plan = Plan(order.namespace, tuple(steps), consequences=tuple(_consequences(quotas, hard, rooms)))
    again = absolute_command(order, hard)
    conversation.goes_on_with(again)
    try:
        return await _carry_out(cluster, order, plan, hard, rooms, clock=clock, conversation=conversation)
    except (Blind, TimedOut) as error:
        # Given again, a relative amount would count from what stands by then.
        if any(wish.sign for wish in order.wishes):
            error.next_step = f"To go on from there: `{again}`."
        raise


def absolute_command(order: AdjustQuota, hard: Hard) -> str:
    """The command that means the same however often it is given."""
    amounts = " ".join(f"{key}={amount}" for of_quota in hard.values() for key, amount in of_quota.items())
    name = f" --name {order.name}" if order.name else ""
    return f"gw quota adjust {order.namespace} {amounts}{name}{' --force' if order.force else ''}"


async def _carry_out(
    cluster: Cluster,
    order: AdjustQuota,
    plan: Plan,
    hard: Hard,
    rooms: tuple[GroupRoom, ...],
    *,
    clock: Clock,
    conversation: Conversation,
) -> AdjustedQuota:
    carried = await carry_out(
        cluster,
        plan,
        order.manner,
        conversation=conversation,
        field_manager=FIELD_MANAGER,
        question=f"Write {counted(len(plan.steps), 'quota')} of {order.namespace}?",
    )
    adjusted = AdjustedQuota(carried, hard, rooms)
    if carried.is_dry_run or carried.kept_by or order.manner.export:
        return adjusted
    deadline = clock.monotonic() + order.timeout_seconds
    for name, amounts in hard.items():
        await until_enforced(
            cluster, order.namespace, name, amounts, clock=clock, deadline=deadline, listener=conversation
        )
    proofs = await prove_workers(
        cluster, order.namespace, hard, _counted(rooms, hard), clock=clock, deadline=deadline, listener=conversation
    )
    result = await check_headroom(cluster, order.namespace, clock)
    unproven = [proof.unproven for proof in proofs if proof.unproven]
    return replace(
        adjusted,
        carried=carried.with_unproven([*unproven, *result.unknown]),
        proofs=proofs,
        problems=result.problems,
        worst=result.worst,
    )


def decide_hard(order: AdjustQuota, quotas: Sequence[QuotaFact]) -> Hard:
    """The new amounts; raises Refused for a key that no quota has or several have, and for what is used already."""
    if not quotas:
        raise Refused(
            f"the namespace {order.namespace} has no ResourceQuota, so nothing bounds it but its groups' ceilings",
            f"The platform's owners make one: `kubectl create quota tenant-quota -n {order.namespace} --hard=pods=50`.",
        )
    hard: dict[str, dict[str, str]] = {}
    for wish in order.wishes:
        quota = _quota_of(wish, order, quotas)
        amount = wish.on(quota.wanted[wish.key])
        if not order.force:
            _refuse_under_use(wish, amount, quota)
        hard.setdefault(quota.name, {})[wish.key] = amount
    return hard


def _quota_of(wish: Wish, order: AdjustQuota, quotas: Sequence[QuotaFact]) -> QuotaFact:
    namespace, names = order.namespace, ", ".join(quota.name for quota in quotas)
    if order.name is not None:
        quotas = [quota for quota in quotas if quota.name == order.name]
        if not quotas:
            raise Refused(f"{namespace} has no ResourceQuota {order.name}", f"Its quotas are: {names}.")
    having = [quota for quota in quotas if wish.key in quota.wanted]
    if len(having) == 1:
        return having[0]
    if having:
        names = ", ".join(quota.name for quota in having)
        raise Refused(f"{wish.key} is bounded by several quotas: {names}", f"Say which with --name {having[0].name}.")
    what = f"quota {quotas[0].name} has no key {wish.key}" if len(quotas) == 1 else f"no quota has the key {wish.key}"
    keys = ", ".join(sorted({key for quota in quotas for key in quota.wanted}))
    advice = "A new one would bind pods that do not declare it, so it is the platform's owners' to add."
    raise Refused(f"{what} in {namespace}", f"The keys are: {keys}. {advice}")


def _refuse_under_use(wish: Wish, amount: str, quota: QuotaFact) -> None:
    after, before, used = parse_quantity(amount), parse_quantity(quota.wanted[wish.key]), quota.used.get(wish.key)
    if after >= before:
        return
    if used is None:
        raise Refused(
            f"{wish.key}={amount} is less than before, and how much of it is used is not known yet",
            "Wait until the quota controller has counted (`gw quota show` tells), or add --force.",
        )
    if after < parse_quantity(used):
        raise Refused(
            f"{wish.key}={amount} is under what is used now, {used} of quota {quota.name}",
            "Running pods would stay and no new one would start; add --force if that is meant.",
        )


def _with_hard(quota: QuotaFact, amounts: Mapping[str, str]) -> QuotaFact:
    """The quota as it will be once the controller has taken the new amounts over."""
    status = quota.manifest.get("status") or {}
    hard = {**quota.wanted, **amounts}
    return replace(quota, manifest={**quota.manifest, "status": {**status, "hard": hard}})


def _consequences(quotas: Sequence[QuotaFact], hard: Hard, rooms: Sequence[GroupRoom]) -> list[str]:
    lines = ["Running pods stay as they are; the next pod is counted with the new amounts"]
    for quota in quotas:
        for key, amount in hard.get(quota.name, {}).items():
            used = quota.used.get(key)
            if used is not None and parse_quantity(amount) < parse_quantity(used):
                lines.append(f"{used} of {key} are used: no pod that needs it starts until that is under {amount}")
    return [*lines, *(f"{room.group.name} has {_room_words(room)}" for room in rooms)]


def _room_words(room: GroupRoom) -> str:
    if room.problem:
        return f"unknown room: {room.problem}"
    words = f"room for {counted(room.more, 'more job')}"
    return f"{words}; then {room.binding.words}" if room.binding else f"{words}, all that its ceiling leaves"


def _counted(rooms: Sequence[GroupRoom], hard: Hard) -> tuple[GroupRoom, ...]:
    """The groups whose next worker one of the adjusted quotas counts."""
    return tuple(room for room in rooms if any(each.quota.name in hard for each in room.rooms))
