"""Removes a tenant: drains it, deletes its gateway, waits until it is gone, and deletes the namespace if gw made it.

A run that ends anywhere is gone on with by the same command: whatever it finds done, it does not do again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from actions_gateway.api.conditions import ConditionType, is_true
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.wording import counted
from gw.errors import GwError, Refused, TimedOut
from gw.ops.blockers import GOES_ON, Blockers, told, until_gone
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Action, Plan, Step
from gw.ops.changes.writing import write
from gw.ops.tenancy.following import Look, Patience, until_none
from gw.ops.tenancy.removal import Found, Removal, decide_removal, gather_removal, told_job
from gw.ops.tenants import not_a_tenant
from gw.sources.cluster import Cluster, asking
from gw.sources.gathering import gather_pods

FIELD_MANAGER = "gw-tenant-remove"


@dataclass(frozen=True, slots=True)
class RemoveTenant:
    """How to go about it."""

    namespace: str
    timeout_seconds: float
    """For running jobs, and again for each deletion."""
    is_forced: bool = False
    """Running jobs are not waited for."""
    keeps_namespace: bool = False
    ignores_absent: bool = False
    """One that is not there is as good as removed; else its name is taken for a mistake."""
    manner: Manner = field(default_factory=Manner)


@dataclass(frozen=True, slots=True)
class RemovedTenant:
    """What came of it."""

    carried: Carried
    namespace: str
    had_gateway: bool
    """Whether this run found one."""
    is_drained: bool
    """Whether its jobs were waited for."""
    takes_namespace: bool
    stands: bool = False
    """Whether it is gone now."""
    was_absent: bool = False
    """Whether no namespace of that name was there."""


async def remove_tenant(
    cluster: Cluster, order: RemoveTenant, *, clock: Clock, conversation: Conversation
) -> RemovedTenant:
    """The tenant that is gone; raises GwError. Nothing is written before rights, server and person agree."""
    found = await gather_removal(cluster, order.namespace)
    if found.is_absent:
        return await _absent(cluster, order)
    removal = decide_removal(found, order.namespace, is_forced=order.is_forced, keeps_namespace=order.keeps_namespace)
    remover = _Remover(cluster, order, found, removal, Patience(order.timeout_seconds, clock, conversation))
    jobs = f" Running jobs that are cut off: {len(found.workers)}." if found.workers and not removal.drains else ""
    carried = await carry_out(
        cluster,
        removal.plan,
        order.manner,
        conversation=conversation,
        field_manager=FIELD_MANAGER,
        question=f"This cannot be undone.{jobs}",
        destroys=order.namespace,
        writing=remover.write,
    )
    result = RemovedTenant(carried, order.namespace, found.served is not None, removal.drains, removal.takes_namespace)
    if carried.is_dry_run:
        return result
    if not carried.is_written:
        await remover.until_gateways_gone()
    await remover.until_namespace_gone()
    return replace(result, stands=True)


async def _absent(cluster: Cluster, order: RemoveTenant) -> RemovedTenant:
    if not order.ignores_absent:
        refusal = await not_a_tenant(cluster, order.namespace)
        refusal.next_step = f"{refusal.next_step} After an earlier removal, --ignore-not-found takes this for done."
        raise refusal
    nothing = Carried(Plan(order.namespace, ()), is_written=False, is_dry_run=order.manner.dry_run)
    return RemovedTenant(
        nothing,
        order.namespace,
        had_gateway=False,
        is_drained=False,
        takes_namespace=True,
        stands=True,
        was_absent=True,
    )


@dataclass(frozen=True, slots=True)
class _Remover:
    """One removal: its writes wait for one another."""

    cluster: Cluster
    order: RemoveTenant
    found: Found
    removal: Removal
    patience: Patience

    async def write(self, cluster: Cluster, plan: Plan, conversation: Conversation, *, field_manager: str) -> None:
        """The steps of the plan in their order, each when the one before it has come to its end; raises GwError."""

        async def write_those(steps: Iterable[Step]) -> None:
            await write(cluster, replace(plan, steps=tuple(steps)), conversation, field_manager=field_manager)

        await write_those(step for step in plan.to_write if step.action is Action.CHANGE)
        if self.removal.drains:
            await self._drain()
        deletions = [step for step in plan.to_write if step.action is Action.DELETE]
        await write_those(step for step in deletions if step.resource != r.NAMESPACES)
        await self.until_gateways_gone()
        await write_those(step for step in deletions if step.resource == r.NAMESPACES)

    async def until_namespace_gone(self) -> None:
        """Returns when the namespace is gone, if it goes; raises TimedOut that says what holds it up."""
        if self.removal.takes_namespace:
            await self._until_gone(f"the namespace {self.order.namespace} is gone", self._namespace)

    async def _drain(self) -> None:
        assert self.found.served is not None
        name, namespace = self.found.served.fact.name, self.order.namespace
        try:
            await until_none(
                self.cluster,
                namespace,
                name,
                self._undrained,
                reached="no job runs any more",
                patience=self.patience,
                standing="it is paused",
            )
        except GwError as problem:
            problem.details = (*problem.details, "The gateway is paused and not deleted.")
            if isinstance(problem, TimedOut):
                problem.next_step = (
                    "Run the same command again to go on waiting, or with --force to cut the jobs off; "
                    f"`gw tenant resume {namespace}` takes the pause back. {problem.next_step}"
                )
            raise

    def _undrained(self, look: Look) -> Iterable[str]:
        if not look.gateway.paused:
            raise Refused(
                f"somebody has resumed {self.order.namespace} meanwhile, and it was not deleted",
                "Look who needs it, then run the same command again.",
            )
        yield from (f"{told_job(pod)} runs" for pod in look.workers)
        yield from list(look.not_taken()) or look.open_sessions(group.name for group in look.groups)
        for group in look.groups:
            without = group.active_jobs - sum(pod.group == group.name for pod in look.workers)
            if without > 0:
                yield f"{counted(without, 'job')} of {group.name} without a running worker"

    async def until_gateways_gone(self) -> None:
        """Returns when gateways, groups and pods are gone; raises TimedOut that says what holds them up."""
        try:
            await self._until_gone(f"the gateway of {self.order.namespace} is gone", self._gateways)
        except TimedOut as problem:
            if not await self._is_taken_down():
                problem.next_step = (
                    "No manager takes it down: see `gw health --check manager.running --check manager.leading`, "
                    f"then {GOES_ON}"
                )
            raise

    async def _until_gone(self, what: str, blockers: Blockers) -> None:
        await until_gone(
            what,
            blockers,
            deadline=self.patience.clock.monotonic() + self.patience.timeout_seconds,
            timeout_seconds=self.patience.timeout_seconds,
            clock=self.patience.clock,
            listener=self.patience.listener,
        )

    async def _gateways(self) -> list[str]:
        """Gateways and groups; without any, the pods that are left of them."""
        namespace = self.order.namespace
        with asking(f"watch {namespace} end"):
            left = [
                told(item)
                for resource in (r.ACTIONSGATEWAYS, r.RUNNERGROUPS)
                for item in (await self.cluster.list(resource, namespace)).items
            ]
            return left or [f"Pod {namespace}/{pod.name}" for pod in await gather_pods(self.cluster, namespace)]

    async def _namespace(self) -> list[str]:
        with asking(f"watch the namespace {self.order.namespace} end"):
            try:
                return [told(await self.cluster.get(r.NAMESPACES, self.order.namespace))]
            except errors.NotFound:
                return []

    async def _is_taken_down(self) -> bool:
        """Whether a manager has said so of every gateway that is left."""
        with asking(f"watch {self.order.namespace} end"):
            left = (await self.cluster.list(r.ACTIONSGATEWAYS, self.order.namespace)).items
        return all(is_true(item, ConditionType.DELETING) for item in left)
