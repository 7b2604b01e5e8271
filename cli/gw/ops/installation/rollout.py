"""Waits until the manager that was installed is available and leads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actions_gateway.api.names import MANAGER, MANAGER_LEASE, MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.installation.manager import SELECTOR
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import TimedOut
from gw.ops.installation.conversation import Conversation
from gw.ops.installation.refusal import doing
from gw.sources.cluster import Cluster, one_line
from gw.sources.platform import LeaseFact, parse_lease
from gw.sources.pods import PodFact, PodRole, parse_pod

Manifest = Mapping[str, Any]

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Rollout:
    """One look at the manager."""

    deployment: Manifest
    lease: LeaseFact | None
    pods: tuple[PodFact, ...]

    @property
    def is_available(self) -> bool:
        """Whether every wanted pod is of the newest template and serves."""
        status, wanted = self.deployment.get("status") or {}, self.wanted
        return (
            int(status.get("observedGeneration") or 0) >= int(self.deployment["metadata"].get("generation") or 0)
            and int(status.get("updatedReplicas") or 0) >= wanted
            and int(status.get("replicas") or 0) == wanted
            and int(status.get("availableReplicas") or 0) >= wanted
        )

    @property
    def wanted(self) -> int:
        replicas = (self.deployment.get("spec") or {}).get("replicas")
        return 1 if replicas is None else int(replicas)

    def leads(self, clock: Clock) -> bool:
        """Whether one of the pods holds the lease now: a manager that is gone may have left it unexpired."""
        if self.lease is None or self.lease.renewed_at is None:
            return False
        # Pod name, underscore, random digits: `identity` in actions_gateway/manager/run.py.
        if self.lease.holder.rpartition("_")[0] not in {pod.name for pod in self.pods}:
            return False
        return (clock.now() - self.lease.renewed_at).total_seconds() <= self.lease.duration_seconds

    def awaited(self, clock: Clock) -> str:
        """What stands in the way, in the cluster's own words."""
        if self.is_available:
            return "" if self.leads(clock) else "no pod of the manager holds the leader lease yet"
        status = self.deployment.get("status") or {}
        counted = f"{int(status.get('availableReplicas') or 0)} of {self.wanted} pods of the manager are available"
        blockers = list(dict.fromkeys(self._blockers()))
        return f"{counted} ({'; '.join(blockers)})" if blockers else counted

    def _blockers(self) -> Iterator[str]:
        for condition in (self.deployment.get("status") or {}).get("conditions") or []:
            if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
                yield one_line(str(condition.get("message") or ""))
        for pod in self.pods:
            if pod.unscheduled_message:
                yield one_line(pod.unscheduled_message)
            for container in pod.containers:
                if container.waiting_reason and container.waiting_reason != "ContainerCreating":
                    yield f"{container.waiting_reason}: {one_line(container.waiting_message)}".rstrip(": ")


async def wait_until_leading(
    cluster: Cluster, *, timeout_seconds: float, clock: Clock, conversation: Conversation
) -> str:
    """Who leads; raises TimedOut that names what holds it up."""
    deadline = clock.monotonic() + timeout_seconds
    told = False
    while True:
        look = await _look(cluster)
        if look.is_available and not told:
            told = True
            conversation.reached(f"{look.wanted} of {look.wanted} pods of the manager are available")
        awaited = look.awaited(clock)
        if not awaited and look.lease is not None:
            conversation.reached(f"{look.lease.holder} leads")
            return look.lease.holder
        if clock.monotonic() >= deadline:
            raise TimedOut(
                f"the manager does not lead after {timeout_seconds:.0f} s: {awaited}",
                f"Everything is written and may yet come up: `gw check`, or `kubectl describe pod -n "
                f"{MANAGER_NAMESPACE}`, tells.",
            )
        conversation.waiting(awaited)
        await clock.sleep(_LOOK_SECONDS)


async def _look(cluster: Cluster) -> Rollout:
    selector = ",".join(f"{key}={value}" for key, value in SELECTOR.items())
    with doing("watch the manager"):
        deployment = await cluster.get(r.DEPLOYMENTS, MANAGER, MANAGER_NAMESPACE)
        pods = await cluster.list(r.PODS, MANAGER_NAMESPACE, label_selector=selector)
        return Rollout(
            deployment, await _lease(cluster), tuple(parse_pod(item, PodRole.MANAGER) for item in pods.items)
        )


async def _lease(cluster: Cluster) -> LeaseFact | None:
    try:
        return parse_lease(await cluster.get(r.LEASES, MANAGER_LEASE, MANAGER_NAMESPACE))
    except errors.NotFound:
        return None
