"""What became of a tenant's running jobs when its agent was restarted, by the new agent's own words.

No object says which jobs an agent has adopted: a group's `activeJobs` counts every worker that runs. The agent's log
does, with the worker's pod (`job adopted`, then `earlier jobs taken over`; actions_gateway/agent/adoption). It renews
the lock of an adopted job at once and tells of each renewal that failed, not of one that succeeded
(actions_gateway/agent/jobs/renewing.py): no failure told is as much as can be said of locks.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from actions_gateway.api import names
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from gw.checks.wording import counted
from gw.ops.verification import Listener
from gw.sources.cluster import Cluster, asking, one_line
from gw.sources.logs import LogQuery, LogSource, parse_entry, read_log
from gw.sources.pods import WORKER_SELECTOR, PodRole
from gw.sources.rollouts import PodInstance, gather_instances

_LOOK_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 30.0
"""Adoption comes before the first session; what could not be read at once follows soon."""
_ADOPTED, _THROUGH, _UNRENEWED = "job adopted", "earlier jobs taken over", "renewal failed"


@dataclass(frozen=True, slots=True)
class AgentWords:
    """What an agent's log says of the jobs that it found."""

    adopted: frozenset[str]
    """Their workers' pods."""
    is_through: bool
    """Whether it has looked at all that it could find."""
    failed_renewals: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """The workers that ran before, by what they are now."""

    before: int
    running: tuple[str, ...]
    """Pods that still run."""
    adopted: tuple[str, ...]
    """Those of them that the new agent has taken over."""
    ended: int
    """Workers that have ended meanwhile."""
    failed_renewals: int = 0
    unproven: str = ""
    """Why nothing is known of it, as a sentence without a full stop."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Pods that still run and of which the new agent says nothing; empty while nothing is known."""
        return () if self.unproven else tuple(name for name in self.running if name not in self.adopted)

    @property
    def words(self) -> str:
        """For people, without a full stop."""
        if not self.before:
            return "no job was running"
        running = len(self.running)
        ended = f", {self.ended} ended meanwhile" if self.ended else ""
        if self.unproven:
            return f"{counted(running, 'job')} still running{ended}"
        return f"{len(self.adopted)} of {running} running jobs adopted{ended}"


async def follow_adoption(
    cluster: Cluster,
    namespace: str,
    agent: PodInstance,
    before: Collection[PodInstance],
    *,
    clock: Clock,
    deadline: float,
    listener: Listener,
) -> Adoption:
    """Looks until the agent has adopted every worker that still runs, or for as long as that may take; raises GwError.

    To be asked once sessions are open.
    """
    if not before:
        return Adoption(0, (), (), 0)
    deadline = min(deadline, clock.monotonic() + _LONGEST_WAIT_SECONDS)
    while True:
        with asking(f"list the workers of {namespace}"):
            now = await running_workers(cluster, namespace)
        try:
            words = await read_words(cluster, namespace, agent.name)
        except errors.KubeError as problem:
            why = f"that its jobs are adopted: the agent's log cannot be read ({one_line(problem.message)})"
            return _decide(before, now, None, why)
        adoption = _decide(before, now, words)
        if words.is_through and not adoption.missing:
            listener.reached(adoption.words)
            return adoption
        if clock.monotonic() >= deadline:
            why = "" if words.is_through else "that its jobs are adopted: the agent's log does not tell of them"
            return replace(adoption, unproven=why)
        listener.waiting(f"the agent adopts running jobs: {len(adoption.adopted)} so far")
        await clock.sleep(_LOOK_SECONDS)


async def running_workers(cluster: Cluster, namespace: str) -> tuple[PodInstance, ...]:
    """The tenant's workers that have not ended; raises KubeError."""
    pods = await gather_instances(cluster, namespace, WORKER_SELECTOR, PodRole.WORKER)
    return tuple(pod for pod in pods if pod.fact.phase in ("Pending", "Running") and not pod.is_leaving)


async def read_words(cluster: Cluster, namespace: str, pod: str) -> AgentWords:
    """What the agent's log says by now; raises KubeError."""
    adopted, is_through, failed = set[str](), False, 0
    async for line in read_log(cluster, LogSource(namespace, pod, names.AGENT_CONTAINER), LogQuery()):
        entry = parse_entry(line.text)
        if entry.event == _ADOPTED and entry.fields.get("pod"):
            adopted.add(str(entry.fields["pod"]))
        is_through |= entry.event == _THROUGH
        failed += entry.event == _UNRENEWED
    return AgentWords(frozenset(adopted), is_through, failed)


def _decide(
    before: Collection[PodInstance], now: Collection[PodInstance], words: AgentWords | None, unproven: str = ""
) -> Adoption:
    there = {pod.uid for pod in now}
    running = [pod.name for pod in before if pod.uid in there]
    adopted = words.adopted if words is not None else frozenset[str]()
    return Adoption(
        before=len(before),
        running=tuple(running),
        adopted=tuple(name for name in running if name in adopted),
        ended=len(before) - len(running),
        failed_renewals=words.failed_renewals if words is not None else 0,
        unproven=unproven,
    )
