"""Restarts the manager and proves that it works: its pods are new, one of them leads, every gateway is looked at."""

from dataclasses import dataclass

from actions_gateway.api import names
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from gw.errors import Refused, TimedOut
from gw.exits import ExitCode
from gw.ops.changes.carrying import Carried
from gw.ops.changes.conversation import Conversation
from gw.ops.restart.rollout import (
    Restart,
    Subject,
    follow_rollout,
    mark_of,
    order_restart,
    refuse_unrestartable,
)
from gw.ops.tenants import reading_types
from gw.ops.verification import verify
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import GatewayFact
from gw.sources.gathering import gather_gateways, gather_manager
from gw.sources.pods import MANAGER_SELECTOR, PodRole
from gw.sources.rollouts import PodInstance, RolloutFact, gather_rollout

FIELD_MANAGER = "gw-manager-restart"
VERIFIED_BY = ("manager.running", "manager.leading")
"""The checks that a restarted manager passes."""
SUBJECT = Subject(
    "the manager", names.MANAGER_NAMESPACE, names.MANAGER, MANAGER_SELECTOR, PodRole.MANAGER, plan_name="the manager"
)

_LOOK_SECONDS = 0.5
_SCALE_UP = f"Run `kubectl scale deploy/{names.MANAGER} -n {names.MANAGER_NAMESPACE} --replicas=2`."
_CONSEQUENCES = (
    "Tenants go on: agents, proxies and running jobs need no manager",
    "Changes of gateways wait until a new manager leads, some seconds later",
)


@dataclass(frozen=True, slots=True)
class RestartedManager:
    """What came of it; after a dry run nothing but the plan."""

    carried: Carried
    replaced: tuple[PodInstance, ...]
    pods: tuple[PodInstance, ...] = ()
    leader: str = ""
    """The new pod that holds the leader lease."""
    gateways: int = 0
    """How many gateways' statuses speak of their present spec: all of them."""

    @property
    def exit_code(self) -> ExitCode:
        return self.carried.exit_code


async def restart_manager(
    cluster: Cluster, order: Restart, *, clock: Clock, conversation: Conversation
) -> RestartedManager:
    """The manager anew, proven; raises GwError."""
    rollout = await _rollout(cluster)
    refuse_unrestartable(SUBJECT, rollout, scale_up=_SCALE_UP)
    mark = mark_of(clock, rollout)
    carried = await order_restart(
        cluster,
        SUBJECT,
        rollout,
        order,
        _CONSEQUENCES,
        mark=mark,
        conversation=conversation,
        field_manager=FIELD_MANAGER,
    )
    if carried.is_dry_run:
        return RestartedManager(carried, rollout.pods)
    deadline = clock.monotonic() + order.timeout_seconds
    pods = await follow_rollout(
        cluster, SUBJECT, mark, rollout.pods, clock=clock, deadline=deadline, conversation=conversation
    )
    leader = await _until_led(cluster, pods, clock=clock, deadline=deadline, conversation=conversation)
    verified = await verify(
        cluster,
        VERIFIED_BY,
        namespace=None,
        timeout_seconds=max(0.0, deadline - clock.monotonic()),
        clock=clock,
        listener=conversation,
        takes_due=False,
    )
    gateways = await _until_observed(cluster, clock=clock, deadline=deadline, conversation=conversation)
    return RestartedManager(carried.with_unproven(verified.unproven), rollout.pods, pods, leader, len(gateways))


async def _rollout(cluster: Cluster) -> RolloutFact:
    with asking("read the manager"):
        try:
            return await gather_rollout(cluster, SUBJECT.namespace, SUBJECT.deployment, SUBJECT.selector, SUBJECT.role)
        except errors.NotFound:
            raise Refused(
                f"the manager is not installed: {names.MANAGER_NAMESPACE} has no Deployment {names.MANAGER}",
                "Install Actions Gateway here with `gw install`, or name another cluster with --context.",
            ) from None


async def _until_led(
    cluster: Cluster, pods: tuple[PodInstance, ...], *, clock: Clock, deadline: float, conversation: Conversation
) -> str:
    """The new pod that leads. A manager's identity begins with its pod's name (actions_gateway/manager/run.py)."""
    while True:
        with asking("read the leader lease"):
            lease = (await gather_manager(cluster)).lease
        holder = lease.holder.rpartition("_")[0] if lease is not None else ""
        if holder in {pod.name for pod in pods}:
            conversation.reached(f"{holder} leads")
            return holder
        if clock.monotonic() >= deadline:
            what = f"{lease.holder} still holds it" if lease is not None and lease.holder else "nobody holds it"
            raise TimedOut(
                f"the manager's pods are new, and none of them holds the leader lease in time ({what})",
                "Look at their logs with `gw logs manager`.",
            )
        conversation.waiting("a new pod takes the leader lease")
        await clock.sleep(_LOOK_SECONDS)


async def _until_observed(
    cluster: Cluster, *, clock: Clock, deadline: float, conversation: Conversation
) -> tuple[GatewayFact, ...]:
    """The gateways, once every status speaks of its spec; those on their way out are looked at otherwise."""
    while True:
        with reading_types("list the gateways"):
            found = await gather_gateways(cluster, None)
        staying = tuple(gateway for gateway in found if gateway.deleted_at is None)
        late = [f"{gateway.namespace}/{gateway.name}" for gateway in staying if not gateway.is_observed]
        if not late:
            conversation.reached("every gateway's status speaks of its present spec")
            return staying
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"a new manager leads, and has not taken up {late[0]} in time ({len(late)} of {len(staying)} to go)",
                f"See `gw health {late[0].partition('/')[0]}`.",
            )
        conversation.waiting(f"the manager looks at {late[0]}")
        await clock.sleep(_LOOK_SECONDS)
