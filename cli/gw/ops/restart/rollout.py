"""The order of a restart, and the rollout until every pod is one that was made after it."""

from collections.abc import Collection
from dataclasses import dataclass, field

from actions_gateway.api import labels
from actions_gateway.engine.clock import Clock
from gw.checks.wording import counted
from gw.errors import Refused, TimedOut
from gw.ops.changes.carrying import Carried, Manner, carry_out
from gw.ops.changes.conversation import Conversation
from gw.ops.changes.plan import Plan, change_step
from gw.sources.cluster import Cluster, asking
from gw.sources.pods import PodRole
from gw.sources.rollouts import PodInstance, RolloutFact, gather_rollout

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose pods are restarted."""

    words: str
    """As in "the agent of team-a"."""
    namespace: str
    deployment: str
    selector: str
    role: PodRole
    plan_name: str
    """What the plan is about: the tenant, or the manager."""


@dataclass(frozen=True, slots=True)
class Restart:
    """How to go about it."""

    timeout_seconds: float
    manner: Manner = field(default_factory=Manner)


def refuse_unrestartable(subject: Subject, rollout: RolloutFact, *, scale_up: str) -> None:
    """Raises Refused where a restart would change nothing."""
    if rollout.wanted == 0:
        raise Refused(f"{subject.words} is scaled to 0 pods, so a restart would start none", scale_up)
    if rollout.is_paused:
        place = f"deploy/{subject.deployment} -n {subject.namespace}"
        raise Refused(
            f"the Deployment of {subject.words} is paused, so its controller would make no new pod",
            f"Find out why, then `kubectl rollout resume {place}`.",
        )


async def order_restart(
    cluster: Cluster,
    subject: Subject,
    rollout: RolloutFact,
    order: Restart,
    consequences: tuple[str, ...],
    *,
    mark: str,
    conversation: Conversation,
    field_manager: str,
) -> Carried:
    """Marks the Deployment's template; raises GwError.

    No repository holds the mark, so GitOps controllers leave it where it is.
    """
    patch = {"spec": {"template": {"metadata": {"annotations": {labels.RESTARTED_AT: mark}}}}}
    count = counted(len(rollout.pods), "pod")
    step = change_step(rollout.manifest, patch, f"{count} to be replaced")
    return await carry_out(
        cluster,
        Plan(subject.plan_name, (step,), consequences=consequences),
        order.manner,
        conversation=conversation,
        field_manager=field_manager,
        question=f"Restart {subject.words}?",
        heeds_gitops=False,
    )


async def follow_rollout(
    cluster: Cluster,
    subject: Subject,
    mark: str,
    before: Collection[PodInstance],
    *,
    clock: Clock,
    deadline: float,
    conversation: Conversation,
) -> tuple[PodInstance, ...]:
    """The new pods, once no other is left and all are ready; raises GwError, above all TimedOut.

    Refused when somebody restarts it once more.
    """
    old = {pod.uid for pod in before}
    while True:
        with asking(f"follow the rollout of {subject.words}"):
            rollout = await gather_rollout(
                cluster, subject.namespace, subject.deployment, subject.selector, subject.role
            )
        if rollout.restarted_at != mark:
            raise Refused(
                f"somebody else has restarted {subject.words} meanwhile, or taken the mark of this restart away",
                "Look who, then see how it is with `gw health`.",
            )
        new = rollout.made_after(mark)
        awaited = rollout.awaited(mark)
        if not awaited and not old & {pod.uid for pod in new}:
            for pod in new:
                conversation.reached(f"pod {pod.name} is new and ready")
            return new
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"the restart of {subject.words} is ordered, and is not through in time ({awaited})",
                f"Look at its pods: `kubectl describe pod -n {subject.namespace} -l {subject.selector}`.",
            )
        conversation.waiting(awaited)
        await clock.sleep(_LOOK_SECONDS)


def mark_of(clock: Clock, rollout: RolloutFact) -> str:
    """The mark of a restart that is ordered now, in the form that kubectl writes.

    The same mark twice would be no order: within a second of the last one it is told to the microsecond.
    """
    now = clock.now()
    mark = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return mark if mark != rollout.restarted_at else now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
