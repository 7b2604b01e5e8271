"""What must have happened by when, on virtual time: after an agent's start, and once the jobs are gone."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actions_gateway.api import labels
from actions_gateway.metrics.catalog import GITHUB_BUDGET_WAITING
from gateway_sandbox.github.models import Delivery, DeliveryState
from simulation.agents import RunningAgent
from simulation.ceilings import is_live, pod_name_of
from simulation.cluster import Json

if TYPE_CHECKING:
    from simulation.world import World

_SECONDS_AFTER_START = 10
_DRAINING_SECONDS = 600.0
"""From the last job's end to one session for each group."""
_RELEASE_SECONDS = 1800.0
"""And to the last slot's release: deliveries and cut claims of a job are looked after for a quarter of an hour."""


@dataclass(eq=False)
class _Start:
    """One agent's first seconds."""

    running: RunningAgent
    silent: dict[str, str]
    """Uid to name of groups that have had no session of this agent yet."""
    locks: dict[Delivery, tuple[float, str]]
    """Locks of jobs whose workers live: the end at the start, and the pod's uid."""
    seconds: int = 0


@dataclass(eq=False)
class Timing:
    """The time limits of one world."""

    world: "World"
    _late: set[str] = field(default_factory=set)

    def started(self, running: RunningAgent) -> None:
        """An agent begins: soon every open group has a session, and every lock that it found was renewed."""
        world = self.world
        live = [pod["metadata"] for pod in world.cluster.all("pods") if is_live(pod)]
        # Of several deliveries of a job, only the one that it runs under is renewed.
        pods = {(pod["name"], pod["annotations"].get(labels.RUNNER_NAME)): pod["uid"] for pod in live}
        held = {
            delivery: (delivery.lock_due, pods[key])
            for job in world.github.jobs()
            for delivery in job.deliveries
            if delivery.state is DeliveryState.ACQUIRED
            and (key := (pod_name_of(delivery), delivery.runner.name)) in pods
        }
        silent = {one["metadata"]["uid"]: one["metadata"]["name"] for one in self._open_groups()}
        if world.agents.alive == [running]:
            world.loop.call_later(1.0, self._look, _Start(running, silent, held))

    def _open_groups(self) -> list[Json]:
        return [one for one in self.world.groups() if not one["spec"].get("suspended")]

    def _look(self, start: _Start) -> None:
        world, running = self.world, start.running
        if not self._is_undisturbed(running):
            return
        own = [one for one in world.github.sessions() if one.owner_name == running.process.name]
        opened = {session.runner.name.rsplit("-", 2)[0] for session in own}
        there = {one["metadata"]["uid"] for one in self._open_groups()}
        start.silent = {uid: name for uid, name in start.silent.items() if uid in there and name not in opened}
        live = {pod["metadata"]["uid"] for pod in world.cluster.all("pods") if is_live(pod)}
        start.locks = {
            delivery: (due, uid)
            for delivery, (due, uid) in start.locks.items()
            if uid in live and delivery.state is DeliveryState.ACQUIRED and delivery.lock_due <= due
        }
        start.seconds += 1
        if start.seconds < _SECONDS_AFTER_START:
            world.loop.call_later(1.0, self._look, start)
            return
        after = f"{_SECONDS_AFTER_START} s after the start of {running.process.name}"
        for name in start.silent.values():
            world.tell("violation", f"slow start: {name} has no session {after}")
        for delivery in start.locks:
            world.tell("violation", f"late renewal: {delivery.job.plan.name} of {delivery.runner.name} {after}")

    def _is_undisturbed(self, running: RunningAgent) -> bool:
        """Whether GitHub and Kubernetes answer the only agent, which may go on."""
        world, link = self.world, running.link
        is_scarce = any(
            running.metrics.value(GITHUB_BUDGET_WAITING, namespace=world.cluster.namespace, priority=one)
            for one in ("vital", "routine")
        )
        is_served = not world.github.faults.active and world.is_credential_good and not is_scarce
        is_linked = not link.kube_trouble.probability and not link.stall_watches
        is_alone = world.agents.alive == [running] and not running.is_leaving
        return is_alone and is_served and is_linked and not running.clock.skew_seconds

    def quiet(self, seconds: float) -> None:
        """For so long no job has moved; one that still runs has its session."""
        problems = self.world.invariants.unsettled() if seconds >= _DRAINING_SECONDS else []
        if any(problem.startswith("job stuck") for problem in problems):
            return
        for problem in problems:
            kind, _, name = problem.partition(": ")
            is_late = kind == "leaked session" or (kind == "leaked Secret" and seconds >= _RELEASE_SECONDS)
            if is_late and name not in self._late:
                self._late.add(name)
                what = "slow draining" if kind == "leaked session" else "slow release"
                self.world.tell("violation", f"{what}: {name} {seconds:.0f} s after the last job")
