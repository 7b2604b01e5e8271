"""Follows a change of a gateway: the manager hands it on to the RunnerGroups, their agent takes it.

The manager's status names the generation that its last pass was about, after that pass has written every object
(actions_gateway/manager/gateway/status.py); an agent's status names the generation of the RunnerGroup that it works by
(actions_gateway/agent/runnergroups/status.py). So a change is taken when both statuses are current and the groups are
those that the gateway asks for.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway.api import labels, names
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import resources as r
from gw.checks.wording import counted
from gw.errors import Refused, TimedOut
from gw.ops.tenants import groups_of
from gw.ops.verification import Listener
from gw.sources.cluster import Cluster, asking
from gw.sources.gateways import GatewayFact, GroupFact
from gw.sources.gathering import gather_gateways, gather_groups, gather_pods
from gw.sources.pods import PodFact, PodRole

LOOK_SECONDS = 0.5
LIVE_PHASES = ("Pending", "Running")
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an operation waits, by which clock, and who hears of it."""

    timeout_seconds: float
    clock: Clock
    listener: Listener


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a tenant."""

    gateway: GatewayFact
    groups: tuple[GroupFact, ...]
    pods: tuple[PodFact, ...]
    rolling: tuple[str, ...] = ()
    """The Deployments whose pods are not all of the present template yet."""

    @property
    def has_agent(self) -> bool:
        """Whether somebody is there who keeps the groups' statuses."""
        return any(pod.role is PodRole.AGENT and pod.is_ready for pod in self.pods)

    @property
    def workers(self) -> tuple[PodFact, ...]:
        """The pods of jobs that have not ended."""
        return tuple(pod for pod in self.pods if pod.role is PodRole.WORKER and pod.phase in LIVE_PHASES)

    def not_taken(self) -> Iterator[str]:
        """What manager and agent have not taken over yet; of a gateway that wants no agent, the manager alone."""
        if not self.gateway.is_observed:
            yield "the manager has not taken the change up"
            return
        wanted = {names.runner_group_name(self.gateway.name, name) for name in self.gateway.group_names}
        existing = {group.name for group in self.groups}
        yield from (f"the runner group {name} is not made yet" for name in sorted(wanted - existing))
        yield from (f"the runner group {name} is not gone yet" for name in sorted(existing - wanted))
        if not self.gateway.wants_no_agent:
            silent = [group.name for group in self.groups if group.name in wanted and not group.is_observed]
            yield from (f"the agent has not taken the change of {name}" for name in silent)

    def not_rolled(self) -> Iterator[str]:
        """What still runs as it did before the change."""
        yield from (f"the Deployment {name} changes its pods" for name in self.rolling)

    def open_sessions(self, among: Iterable[str]) -> Iterator[str]:
        """The groups that can still take a job."""
        meant = set(among)
        for group in self.groups:
            if group.name in meant and group.active_sessions:
                yield f"{counted(group.active_sessions, 'session')} of {group.name} open"

    def missing_sessions(self, among: Iterable[str]) -> Iterator[str]:
        """The groups that shall take jobs and have no session for them."""
        meant = set(among)
        silent = [group for group in self.groups if group.name in meant and not group.suspended]
        yield from (f"no session of {group.name} is open" for group in silent if not group.active_sessions)


async def look_at(cluster: Cluster, namespace: str, gateway_name: str) -> Look:
    """The tenant now; raises Refused when its gateway is gone or goes."""
    with asking(f"follow the change of {namespace}"):
        gateways, found, pods, deployments = await asyncio.gather(
            gather_gateways(cluster, namespace),
            gather_groups(cluster, namespace),
            gather_pods(cluster, namespace),
            cluster.list(r.DEPLOYMENTS, namespace, label_selector=f"{labels.MANAGED_BY}={labels.BY_MANAGER}"),
        )
    gateway = next((fact for fact in gateways if fact.name == gateway_name), None)
    if gateway is None or gateway.deleted_at is not None:
        raise Refused(f"the gateway of {namespace} is gone meanwhile, or goes", "Look who deletes it.")
    rolling = tuple(str(item["metadata"]["name"]) for item in deployments.items if _is_rolling(item))
    return Look(gateway, groups_of(gateway, found), pods, rolling)


async def until_none(
    cluster: Cluster,
    namespace: str,
    gateway_name: str,
    open_ends: Callable[[Look], Iterable[str]],
    *,
    reached: str,
    patience: Patience,
    standing: str = "it is written",
) -> Look:
    """Looks until nothing is open any more; raises TimedOut that names what is, and what stands all the same."""
    clock, deadline = patience.clock, patience.clock.monotonic() + patience.timeout_seconds
    while True:
        look = await look_at(cluster, namespace, gateway_name)
        left = list(open_ends(look))
        if not left:
            patience.listener.reached(reached)
            return look
        words = _enumerated(left)
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"{standing}, and after {patience.timeout_seconds:.0f} s {words}", _next_step(look, namespace)
            )
        patience.listener.waiting(words)
        await clock.sleep(LOOK_SECONDS)


def _next_step(look: Look, namespace: str) -> str:
    again = "The same command goes on waiting."
    if not look.gateway.is_observed:
        return f"See `gw health --check manager.running --check manager.leading`. {again}"
    if not look.has_agent:
        return f"No agent is ready: see `gw health {namespace} --check agent.available`. {again}"
    return f"See `gw health {namespace}`. {again}"


def _enumerated(words: list[str]) -> str:
    more = f", and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _is_rolling(deployment: Mapping[str, Any]) -> bool:
    """As `kubectl rollout status` has it (k8s.io/kubectl polymorphichelpers, rollout_status.go)."""
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    wanted = int(1 if spec.get("replicas") is None else spec["replicas"])
    updated, there = int(status.get("updatedReplicas") or 0), int(status.get("replicas") or 0)
    is_seen = int(status.get("observedGeneration") or 0) >= int(deployment["metadata"].get("generation") or 0)
    return not is_seen or updated < wanted or there > updated or int(status.get("availableReplicas") or 0) < updated
