"""Restarts a tenant's agent and proves that it works: the pod is new, sessions are open, running jobs are adopted."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from actions_gateway.api import names
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from gw.checks.wording import counted
from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.changes.carrying import Carried
from gw.ops.changes.conversation import Conversation
from gw.ops.restart.adoption import Adoption, follow_adoption, running_workers
from gw.ops.restart.rollout import (
    Restart,
    Subject,
    follow_rollout,
    mark_of,
    order_restart,
    refuse_unrestartable,
)
from gw.ops.tenants import groups_of, not_a_tenant, reading_types
from gw.ops.verification import verify
from gw.sources.cluster import Cluster
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups
from gw.sources.pods import AGENT_SELECTOR, PodRole
from gw.sources.rollouts import PodInstance, RolloutFact, gather_rollout

FIELD_MANAGER = "gw-agent-restart"
VERIFIED_BY = ("agent.available", "session.open")
"""The checks that a restarted agent passes: each group has at least one session, by the new agent's own report.

An agent is ready only once every group's status is its own (actions_gateway/agent/health.py), so a count in a status
beside a new and ready pod is none that the old agent left.
"""


@dataclass(frozen=True, slots=True)
class RestartedAgent:
    """What came of it; after a dry run nothing but the plan."""

    namespace: str
    carried: Carried
    replaced: tuple[PodInstance, ...]
    pods: tuple[PodInstance, ...] = ()
    groups: tuple[GroupFact, ...] = ()
    adoption: Adoption | None = None

    @property
    def exit_code(self) -> ExitCode:
        """A problem when jobs run that nobody keeps; unknown when that, or the checks' answer, could not be seen."""
        if self.adoption is not None and self.adoption.missing:
            return ExitCode.PROBLEM
        return ExitCode.UNKNOWN if self.carried.plan.unproven else self.carried.exit_code


async def restart_agent(
    cluster: Cluster, namespace: str, order: Restart, *, clock: Clock, conversation: Conversation
) -> RestartedAgent:
    """The agent anew, proven; raises GwError."""
    subject = Subject(
        f"the agent of {namespace}", namespace, names.AGENT, AGENT_SELECTOR, PodRole.AGENT, plan_name=namespace
    )
    with reading_types(f"read the tenant {namespace}"):
        gateways = await gather_gateways(cluster, namespace)
        if not gateways:
            raise await not_a_tenant(cluster, namespace)
        rollout, workers = await asyncio.gather(_rollout(cluster, subject), running_workers(cluster, namespace))
    gateway = min(gateways, key=lambda fact: (fact.created_at is None, fact.created_at, fact.name))
    _refuse_stopped(gateway)
    refuse_unrestartable(subject, rollout, scale_up=f"The manager scales it: `gw health {namespace}` says why.")
    mark = mark_of(clock, rollout)
    carried = await order_restart(
        cluster,
        subject,
        rollout,
        order,
        tuple(_consequences(gateway, workers)),
        mark=mark,
        conversation=conversation,
        field_manager=FIELD_MANAGER,
    )
    restarted = RestartedAgent(namespace, carried, rollout.pods)
    if carried.is_dry_run:
        return restarted
    deadline = clock.monotonic() + order.timeout_seconds
    pods = await follow_rollout(
        cluster, subject, mark, rollout.pods, clock=clock, deadline=deadline, conversation=conversation
    )
    verified = await verify(
        cluster,
        VERIFIED_BY,
        namespace=namespace,
        timeout_seconds=max(0.0, deadline - clock.monotonic()),
        clock=clock,
        listener=conversation,
        takes_due=False,
    )
    adoption = await follow_adoption(
        cluster, namespace, pods[0], workers, clock=clock, deadline=deadline, listener=conversation
    )
    with reading_types(f"read the runner groups of {namespace}"):
        groups = groups_of(gateway, await gather_groups(cluster, namespace))
    unproven = [*verified.unproven, *([adoption.unproven] if adoption.unproven else [])]
    return RestartedAgent(namespace, carried.with_unproven(unproven), rollout.pods, pods, groups, adoption)


async def _rollout(cluster: Cluster, subject: Subject) -> RolloutFact:
    try:
        return await gather_rollout(cluster, subject.namespace, subject.deployment, subject.selector, subject.role)
    except errors.NotFound:
        raise Refused(
            f"{subject.namespace} has no agent to restart: there is no Deployment {subject.deployment}",
            f"The manager makes it: `gw health {subject.namespace}` says what keeps it from that.",
        ) from None


def _refuse_stopped(gateway: GatewayFact) -> None:
    """Of what by somebody's will has no agent; a paused gateway has one, which keeps its running jobs."""
    if not gateway.wants_no_agent:
        return
    advice = (
        "It goes with the gateway: `gw tenant show` tells how far that is."
        if gateway.deleted_at is not None
        else "End the incident first: `gw incident list` shows it."
    )
    raise Refused(
        f"the gateway of {gateway.namespace} is {gateway.intention}, so its agent is scaled to 0 pods or about to be",
        advice,
    )


def _consequences(gateway: GatewayFact, workers: tuple[PodInstance, ...]) -> Iterator[str]:
    """Lives of locks and times of redelivery: the protocol's notes on the run service and the broker."""
    if workers:
        count = counted(len(workers), "job")
        yield f"Running jobs go on in their pods ({count}): a lock lives for 10 min, and the new agent adopts them"
    yield "No job is claimed until the new agent is ready; what waits is delivered again within 2 min of that"
    if gateway.paused:
        yield "The gateway is paused, so no session opens afterwards either"
