"""A week of a healthy tenant on virtual time: what its real agent exports while everyday things happen to it.

The agent, the GitHub that it speaks to, and the manager's own judgement of the gateway are real; what proxies,
Prometheus and Alertmanager export is played from their documented series. Nothing that happens is an incident: a
release rolls manager, agent and proxies, a key is rotated, a node is drained, a worker is evicted and rerun, GitHub is
away for a minute.
"""

import asyncio
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from actions_gateway.github import app
from actions_gateway.github.runservice import Conclusion
from gateway_sandbox.github.faults import PRESETS
from gateway_sandbox.github.settings import SimulatorSettings
from simulation.loop import VirtualLoop, run_virtually
from simulation.profiles import Profile
from simulation.recording import Recorder
from simulation.site import Site
from simulation.workers import Blow, Execution, Playing, Work
from simulation.world import _PARSE_KEY, World, _logs_into

HOUR, DAY = 3600.0, 86400.0
WEEK = 7 * DAY
WEDNESDAY = 2
"""Days after the world's beginning, which is a Monday at 08:00."""
SCRAPE_SECONDS = 30.0
_SETTLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What a control adds to the week: GitHub is away from `start` on for so long, in seconds."""

    start: float
    seconds: float


class Week(World):
    """The tenant's week, or its beginning; everything that is no routine happens on one day of it."""

    def __init__(self, loop: VirtualLoop, folder: Path, seconds: float, *, busy_day: int, fault: Fault | None) -> None:
        super().__init__(1, Profile("week"), loop, folder, keep_trace=False)
        # The week is judged by its alerts, and the invariants' looks at every moment would be most of its cost.
        self.agents.on_answer = lambda *_: None
        self.agents.on_started = lambda _: None
        self._seconds = seconds
        self._busy_at = busy_day * DAY
        self._fault = fault
        self.recorder = Recorder(SCRAPE_SECONDS)
        self.site = Site(self)

    def _github_settings(self) -> SimulatorSettings:
        return SimulatorSettings(journal_size=10)

    def work_of(self, plan_id: str) -> Work:
        """A job of some minutes; one in seven fails by itself, as tests do."""
        name = self.job_of(plan_id).plan.name
        rng = self.stream(f"work {name}")
        return Work(rng.uniform(60, 900), Conclusion.FAILED if rng.random() < 0.15 else Conclusion.SUCCEEDED)

    def began(self, execution: Execution) -> None:
        self.executions.setdefault(execution.plan_id, []).append(execution)

    def tell(self, kind: str, text: str) -> None:
        if kind == "violation":
            super().tell(kind, text)

    async def live(self) -> None:
        """The days one after the other, looked at with every scrape."""
        github = self.people.start(self.github.run(), name="GitHub")
        async with self.worker_http:
            self.create_group("cron")
            self.create_group("push", maxListeners=3, maxWorkers=6)
            self.agents.start()
            actors = [self._cron(), self._pushes(), self._busy_day(), self._incident()]
            tasks = [self.people.start(actor, name=actor.__name__) for actor in actors]
            scrapes = int(self._seconds / SCRAPE_SECONDS)
            for number in range(scrapes + 1):
                await asyncio.sleep(number * SCRAPE_SECONDS - self.loop.time())
                self.recorder.take(number, self.site.scrape())
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for running in self.agents.alive:
                await self.agents.stop(running)
        github.cancel()
        await asyncio.wait({github})

    # -- people's work -------------------------------------------------------------------------------------------

    async def _cron(self) -> None:
        """One job every ten minutes, day and night."""
        while True:
            await asyncio.sleep(600)
            self.start_run("cron", 1)

    async def _pushes(self) -> None:
        """Some jobs at a time on working days, most before noon and in the afternoon."""
        rng = self.stream("pushes")
        while True:
            await asyncio.sleep(rng.expovariate(1 / 1200))
            hour = (8 + self.loop.time() / HOUR) % 24
            is_working_day = (8 * HOUR + self.loop.time()) // DAY < 5
            if is_working_day and (9 <= hour < 12 or 13 <= hour < 18):
                self.start_run("push", rng.choice((1, 2, 4)))

    # -- everyday events -----------------------------------------------------------------------------------------

    async def _busy_day(self) -> None:
        at = self._busy_at
        await self._until(at + 1 * HOUR)
        await self._release()
        await self._until(at + 3 * HOUR)
        await self._rotate_key()
        await self._until(at + 5 * HOUR)
        await self._drain_node()
        await self._until(at + 7 * HOUR)
        await self._be_away(60)
        await self._until(at + 8 * HOUR)
        await self._evict()
        await self._until(at + 9 * HOUR)
        self.site.elect()

    async def _incident(self) -> None:
        if self._fault is not None:
            await self._until(self._fault.start)
            await self._be_away(self._fault.seconds)

    async def _until(self, seconds: float) -> None:
        await asyncio.sleep(seconds - self.loop.time())

    async def _release(self) -> None:
        """The manager first, then the tenant: its agent anew, its proxies one by one."""
        self.site.restart_manager()
        await asyncio.sleep(_SETTLED_SECONDS)
        await self._restart_agent()
        for _ in range(2):
            await asyncio.sleep(_SETTLED_SECONDS)
            self.site.replace_proxy()

    async def _restart_agent(self) -> None:
        for running in self.agents.alive:
            await self.agents.stop(running)
        await asyncio.sleep(3)
        self.agents.start()

    async def _rotate_key(self) -> None:
        """A Secret of another name with the new key, which rolls the agent; then the old key goes."""
        self.write_secret(1)
        self.use_key(1)
        self.site.refer_anew()
        await self._restart_agent()

    async def _drain_node(self) -> None:
        for playing in await self._running():
            self.kubelet.strike(playing, Blow.DRAIN)
        self.site.replace_proxy()

    async def _evict(self) -> None:
        self.kubelet.strike((await self._running())[0], Blow.EVICTION)

    async def _running(self) -> list[Playing]:
        """The pods whose workers run, once there is one."""
        while not (found := self.kubelet.running()):  # noqa: ASYNC110 - a kubelet tells nobody
            await asyncio.sleep(5)
        return found

    async def _be_away(self, seconds: float) -> None:
        fault = self.github.inject(PRESETS["github-outage"])
        await asyncio.sleep(seconds)
        self.github.clear_faults(fault)


def play_week(seconds: float = WEEK, *, busy_day: int = WEDNESDAY, fault: Fault | None = None) -> Recorder:
    """What was scraped; raises AssertionError when the simulation itself went wrong."""
    worlds: list[World] = []

    async def main(loop: VirtualLoop) -> None:
        week = Week(loop, Path(folder), seconds, busy_day=busy_day, fault=fault)
        worlds.append(week)
        await week.live()

    patched = mock.patch.object(app, "_parse_key", _PARSE_KEY)
    with patched, tempfile.TemporaryDirectory() as folder, _logs_into(worlds), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        run_virtually(main)
    (world,) = worlds
    assert not world.violations, world.violations
    assert isinstance(world, Week)
    return world.recorder
