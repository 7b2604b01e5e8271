"""The agents of a simulation: real ones, started, asked to stop, and killed at any await."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from prometheus_client.samples import Sample

from actions_gateway.agent.run import Agent
from actions_gateway.agent.tunables import Tunables
from actions_gateway.github.http import GitHubHttp
from actions_gateway.metrics.catalog import Component, Kind, Metric
from actions_gateway.metrics.registry import Metrics
from actions_gateway.settings import AgentSettings
from gateway_sandbox.github.service import Service
from simulation.clients import Link, SimulatedKube, SimulatedNetwork
from simulation.cluster import Cluster
from simulation.loop import Process, SimulatedClock

_GRACE_SECONDS = 60.0
"""The pod's `terminationGracePeriodSeconds`: after SIGTERM comes SIGKILL."""

Tell = Callable[[str, str], None]


@dataclass
class KillPlan:
    """Where an agent dies: when a request of this kind has been at this place `countdown` times, some turns later."""

    what: str
    where: str
    countdown: int
    turns: int = 0


@dataclass(eq=False)
class RunningAgent:
    """One agent process."""

    process: Process
    link: Link
    clock: SimulatedClock
    metrics: Metrics
    kube: SimulatedKube
    agent: Agent
    task: "asyncio.Task[None]"
    started: float
    is_leaving: bool = False
    """It was asked to stop."""
    kill_plans: list[KillPlan] = field(default_factory=list)

    @property
    def is_alive(self) -> bool:
        return not self.process.is_killed and not self.task.done()

    def total(self, metric: Metric, **wanted: str) -> float:
        """A counter, or a histogram's count, over all series that carry `wanted`."""
        return sum(sample.value for sample in self.samples(metric) if wanted.items() <= sample.labels.items())

    def samples(self, metric: Metric) -> Iterator[Sample]:
        """The series of a counter or histogram."""
        name = metric.name + ("_count" if metric.kind is Kind.HISTOGRAM else "")
        for family in self.metrics._families[metric.name].collect():
            yield from (sample for sample in family.samples if sample.name == name)


class Agents:
    """Every agent process that ever was."""

    def __init__(
        self, cluster: Cluster, service: Service, base_url: str, folder: Path, *, seed: str, tell: Tell
    ) -> None:
        self._cluster = cluster
        self._service = service
        self._settings = AgentSettings(
            namespace=cluster.namespace,
            gateway_name="ci",
            github_url=f"{base_url}/octo/demo",
            github_app_path=folder,
            wrapper_image="controller:test",
        )
        self._seed = seed
        self._tell = tell
        self.tunables = Tunables()
        self.ever: list[RunningAgent] = []
        self.kills: list[str] = []
        """Where each kill came."""
        self.on_killed: Callable[[RunningAgent], None] = lambda _: None
        self.on_started: Callable[[RunningAgent], None] = lambda _: None
        self.on_answer: Callable[[str, str, str], None] = lambda *_: None

    @property
    def alive(self) -> list[RunningAgent]:
        """Those that run."""
        return [one for one in self.ever if one.is_alive]

    def start(self) -> RunningAgent:
        """A new process, as the Deployment makes it."""
        loop = asyncio.get_running_loop()
        process = Process(f"agent-{len(self.ever) + 1}")
        clock = SimulatedClock(loop)
        rng = random.Random(f"{self._seed}/{process.name}")
        link = Link(process, random.Random(f"{self._seed}/{process.name}/link"), self._crossed)
        kube = SimulatedKube(self._cluster, link)
        metrics = Metrics(Component.AGENT, "simulated")
        agent = Agent(
            replace(self._settings, pod_name=process.name),
            client=kube,
            clock=clock,
            rng=rng,
            metrics=metrics,
            tunables=self.tunables,
            open_http=lambda on_answer: GitHubHttp(
                clock, on_answer=on_answer, transport=SimulatedNetwork(self._service, link)
            ),
        )
        task = process.start(agent.run(), name=process.name)
        self._cluster.agent_pods[process.name] = {"metadata": {"name": process.name}, "status": {"phase": "Running"}}
        running = RunningAgent(process, link, clock, metrics, kube, agent, task, loop.time())
        task.add_done_callback(lambda _: self._ended(running))
        self.ever.append(running)
        self._tell("process", f"{process.name} starts")
        self.on_started(running)
        return running

    def _crossed(self, owner: Process, what: str, where: str, outcome: str) -> None:
        self._tell("wire", f"{owner.name} {what} {where} {outcome}".rstrip())
        if where == "served":
            self.on_answer(owner.name, what, outcome)
        running = next((one for one in self.alive if one.process is owner), None)
        for plan in running.kill_plans if running else []:
            if plan.what == what and plan.where == where:
                plan.countdown -= 1
                if plan.countdown == 0 and running is not None:
                    self._kill_after(running, plan.turns, f"{what} {where} +{plan.turns}")

    def _kill_after(self, running: RunningAgent, turns: int, point: str) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._kill_after, running, turns - 1, point)
        else:
            self.kill(running, point)

    def kill(self, running: RunningAgent, point: str = "at rest") -> None:
        """SIGKILL, or the end of its node."""
        if running.is_alive:
            self._tell("process", f"{running.process.name} is killed: {point}")
            self.kills.append(point)
            running.process.kill()
            self.on_killed(running)

    async def stop(self, running: RunningAgent) -> None:
        """SIGTERM, and SIGKILL when that does not end it in time."""
        self._tell("process", f"{running.process.name} is asked to stop")
        if (pod := self._cluster.agent_pods.get(running.process.name)) is not None:
            pod["metadata"]["deletionTimestamp"] = running.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        running.is_leaving = True
        running.task.cancel()
        await asyncio.wait({running.task}, timeout=_GRACE_SECONDS)
        if not running.task.done():
            self._tell("violation", f"slow stop: {running.process.name} needed more than {_GRACE_SECONDS:.0f} s")
            self.kill(running, "grace period over")

    def _ended(self, running: RunningAgent) -> None:
        self._cluster.agent_pods.pop(running.process.name, None)
        if running.process.is_killed:
            running.task.cancelled() or running.task.exception()
            return
        if not running.task.cancelled() and (problem := running.task.exception()) is not None:
            self._tell("violation", f"agent died: {_names(problem)}")
        elif not running.is_leaving:
            self._tell("violation", "agent died: it returned")

    def total(self, metric: Metric, **wanted: str) -> float:
        """A counter over all agents and over all series that carry `wanted`."""
        return sum(one.total(metric, **wanted) for one in self.ever)


def _names(problem: BaseException) -> str:
    if isinstance(problem, BaseExceptionGroup):
        return f"{type(problem).__name__}({', '.join(_names(one) for one in problem.exceptions)})"
    return f"{type(problem).__name__}: {problem}"
