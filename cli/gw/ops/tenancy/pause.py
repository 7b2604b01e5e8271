"""Pauses a tenant or one runner group of it, and resumes it: running jobs go on to their end, no new one is claimed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from actions_gateway.engine.clock import Clock
from gw.checks.wording import counted
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Manifest, Plan, Step, change_step, unchanged_step
from gw.ops.tenancy.following import Look, Patience, until_none
from gw.ops.tenancy.groups import entries_of, entry_named, object_name, with_entry
from gw.ops.tenants import ServedGateway, groups_of, read_served, reading_types, refuse_deleted
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.gateways import GroupFact
from gw.sources.gathering import gather_groups

PAUSE_FIELDS, RESUME_FIELDS = "gw-tenant-pause", "gw-tenant-resume"
PAUSE_VERIFIED_BY = ("gateway.ready",)
RESUME_VERIFIED_BY = ("gateway.ready", "session.open")


@dataclass(frozen=True, slots=True)
class PauseTenant:
    """Which tenant shall take jobs, or none."""

    namespace: str
    is_pause: bool
    """False resumes."""
    timeout_seconds: float
    group: str | None = None
    """One runner group instead of the whole gateway, by its entry's name or the RunnerGroup's."""
    manner: Manner = field(default_factory=Manner)


@dataclass(frozen=True, slots=True)
class PausedTenant:
    """What came of it."""

    carried: Carried
    namespace: str
    is_pause: bool
    groups: tuple[str, ...]
    """The RunnerGroups that it is about."""
    running_jobs: int | None = None
    """In those groups, in the end; None unless the change stands."""
    sessions: int | None = None
    held: tuple[str, ...] = ()
    """Why some of them take no jobs after a resume, as sentences without a full stop."""

    @property
    def stands(self) -> bool:
        """Whether the agent works by it now."""
        return self.running_jobs is not None


async def pause_tenant(
    cluster: Cluster, order: PauseTenant, *, clock: Clock, conversation: Conversation
) -> PausedTenant:
    """The tenant without sessions, or with one for each group again; raises GwError."""
    served = await read_served(cluster, order.namespace)
    refuse_deleted(served.fact)
    with reading_types(f"read the runner groups of {order.namespace}"):
        groups = groups_of(served.fact, await gather_groups(cluster, order.namespace))
    step, meant = _wanted(order, served)
    of_them = [group for group in groups if group.name in meant]
    held = () if order.is_pause else tuple(_held(order, served))
    consequences = tuple(_paused(of_them) if order.is_pause else _resumed(held))
    verb = "Pause" if order.is_pause else "Resume"
    carried = await carry_out(
        cluster,
        Plan(order.namespace, (step,), consequences),
        order.manner,
        conversation=conversation,
        field_manager=PAUSE_FIELDS if order.is_pause else RESUME_FIELDS,
        question=f"{verb} {order.namespace if order.group is None else meant[0]}?",
    )
    result = PausedTenant(carried, order.namespace, order.is_pause, meant, held=held)
    if carried.is_dry_run or carried.kept_by or order.manner.export:
        return result
    return await _follow(cluster, order, result, served, clock=clock, conversation=conversation)


async def _follow(
    cluster: Cluster,
    order: PauseTenant,
    result: PausedTenant,
    served: ServedGateway,
    *,
    clock: Clock,
    conversation: Conversation,
) -> PausedTenant:
    patience = Patience(order.timeout_seconds, clock, conversation)
    ends, reached = _ends(order, result)
    look = await until_none(cluster, order.namespace, served.fact.name, ends, reached=reached, patience=patience)
    verified = await verify(
        cluster,
        PAUSE_VERIFIED_BY if order.is_pause else RESUME_VERIFIED_BY,
        namespace=order.namespace,
        timeout_seconds=order.timeout_seconds,
        clock=clock,
        listener=conversation,
    )
    of_them = [group for group in look.groups if group.name in result.groups]
    unproven = () if not look.gateway.contained else ("that its agent takes it: the gateway is contained",)
    return replace(
        result,
        carried=result.carried.with_unproven((*unproven, *verified.unproven)),
        running_jobs=sum(group.active_jobs for group in of_them),
        sessions=sum(group.active_sessions for group in of_them),
    )


def _ends(order: PauseTenant, result: PausedTenant) -> tuple[Callable[[Look], Iterable[str]], str]:
    def until_closed(look: Look) -> Iterable[str]:
        # A contained gateway has no agent that would correct what the last one wrote.
        sessions = () if look.gateway.contained else look.open_sessions(result.groups)
        yield from list(look.not_taken()) or sessions

    def until_open(look: Look) -> Iterable[str]:
        sessions = () if look.gateway.intention else look.missing_sessions(result.groups)
        yield from list(look.not_taken()) or sessions

    return (until_closed, "no session is open") if order.is_pause else (until_open, "the agent has taken it")


def _wanted(order: PauseTenant, served: ServedGateway) -> tuple[Step, tuple[str, ...]]:
    """What to write, and the RunnerGroups that it is about."""
    if order.group is None:
        meant = tuple(object_name(served, entry) for entry in entries_of(served))
        return _step(served, {"paused": order.is_pause}, meant, is_there=served.fact.paused == order.is_pause), meant
    entry = entry_named(served, order.group)
    meant = (object_name(served, entry),)
    entries = with_entry(entries_of(served), {**entry, "suspended": order.is_pause})
    is_there = bool(entry.get("suspended")) == order.is_pause
    return _step(served, {"runnerGroups": entries}, meant, is_there=is_there), meant


def _step(served: ServedGateway, spec: Manifest, meant: Sequence[str], *, is_there: bool) -> Step:
    """A field that is left out says the same as its default."""
    detail = ", ".join(meant)
    return unchanged_step(served.live, detail) if is_there else change_step(served.live, {"spec": spec}, detail)


def _paused(groups: Sequence[GroupFact]) -> Iterable[str]:
    yield "No new job is claimed: what GitHub has queued waits there, for a day at most"
    running = sum(group.active_jobs for group in groups)
    if running:
        yield f"{counted(running, 'running job')} {'goes on to its' if running == 1 else 'go on to their'} end"
    yield "Nobody is paged for it: a paused group is expected to have no session"


def _resumed(held: Sequence[str]) -> Iterable[str]:
    yield "Each runner group opens a session and takes what GitHub has queued for its labels"
    yield from held


def _held(order: PauseTenant, served: ServedGateway) -> Iterable[str]:
    """What keeps groups from taking jobs although they are resumed."""
    if served.fact.contained:
        yield "It is contained, so no agent runs: no session opens before the containment is lifted"
    if order.group is not None and served.fact.paused:
        yield f"The whole tenant is paused, so no session opens before `gw tenant resume {order.namespace}`"
    suspended = [str(entry["name"]) for entry in entries_of(served) if entry.get("suspended")]
    if order.group is None and suspended:
        yield f"{', '.join(suspended)} stay suspended; `gw tenant resume --runner-group NAME` ends that"
