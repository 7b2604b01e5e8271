"""A thousand sessions over TLS in one agent: what each holds, what they cost while idle, and jobs per second.

Ten groups of 100 maxListeners. The agent is a process of its own; GitHub is simulated in this one, over TLS, with polls
of 50 s. Kubernetes is played inside the agent's process (`played_kube`): on two cores an API server would be what is
measured, and the reference had none either. Its few dictionary operations count as the agent's CPU.

The groups are at their bounds from the start (`sessions_at_rest`) and do not drain; the bound is raised once the agent
with one session each, its base, has been looked at.

    python tests/bench/agent_sessions.py [idle saturated] [--seconds 60] [--profile FOLDER]
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parents[1]))

import polls
from agent_process import AgentProcess, agent_process
from measuring import show
from played_kube import GROUP_COUNT, LISTENERS, RUN_SECONDS
from simulated_github import UNLIMITED, Site, simulated_github

from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from gateway_sandbox.github.models import Job, JobState
from gateway_sandbox.github.settings import SimulatorSettings

NAMESPACE = "team-a"
SESSIONS = GROUP_COUNT * LISTENERS
PARTS = ("idle", "saturated")
_GROWN = {"sessions_at_rest": LISTENERS, "empty_polls_before_drain": 10**9, "github_limits": UNLIMITED}
_SETTLE_SECONDS = 10.0
_WARM_UP_SECONDS = 20.0
"""The first wave is a thousand claims at once."""
_LIMIT_SECONDS = 600.0
_LOOK_SECONDS = 0.02
_QUEUED = 50
"""So many jobs wait for each group at any time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of it is measured."""

    parts: tuple[str, ...] = PARTS
    seconds: float = 60.0
    profile: Path | None = None


def measure(choice: Choice | None = None) -> None:
    """Prints one table for each part."""
    import uvloop

    choice = choice or Choice()
    if "idle" in choice.parts:
        transport, *_ = polls.measured(polls.HTTPX)[polls.HTTPX]
        uvloop.run(_idle(choice, transport))
    if "saturated" in choice.parts:
        uvloop.run(_saturated(choice))


@asynccontextmanager
async def _agent(choice: Choice, part: str) -> AsyncIterator[tuple[Site, AgentProcess, Path]]:
    print(f"\n-- {part}; load before {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        async with (
            simulated_github(folder, SimulatorSettings(primary_budget=10**6)) as github,
            agent_process(
                folder,
                github.settings(NAMESPACE),
                tunables=_GROWN,
                profile=choice.profile / f"{part}.profile.txt" if choice.profile else None,
            ) as agent,
        ):
            await _until(agent, lambda: github.core.open_poll_count == GROUP_COUNT)
            yield github, agent, folder


async def _idle(choice: Choice, transport: float) -> None:
    async with _agent(choice, "idle") as (github, agent, _):
        await asyncio.sleep(_SETTLE_SECONDS)
        base = agent.usage()
        show(f"base, {GROUP_COUNT} sessions", f"{base.resident_mib:.0f} MiB", "", "< 100 MiB")
        seconds = await _grow(github, agent)
        grown = agent.usage()
        cpu = grown.cpu_seconds - base.cpu_seconds
        show(f"{SESSIONS} sessions open", f"in {seconds:.1f} s, {cpu:.1f} s of CPU")
        await asyncio.sleep(_SETTLE_SECONDS)
        before = agent.usage()
        await asyncio.sleep(choice.seconds)
        after, open_polls = agent.usage(), github.core.open_poll_count
        each = (after.resident_mib - base.resident_mib) * 1024 / (SESSIONS - GROUP_COUNT)
        share = (after.cpu_seconds - before.cpu_seconds) / choice.seconds
        show("resident; each session", f"{after.resident_mib:.0f} MiB; {each:.1f} KiB", "125 KiB of heap each")
        show("the bare transport's poll, this run", f"{transport:.1f} KiB")
        show("a session above the bare transport", f"{each - transport:.1f} KiB", "", "<= 25 KiB")
        show(f"idle CPU, over {choice.seconds:.0f} s", f"{share:.1%} of a core, {open_polls} open", "", "< 5 %")


async def _saturated(choice: Choice) -> None:
    async with _agent(choice, "saturated") as (github, agent, folder):
        await _grow(github, agent)
        await asyncio.sleep(_SETTLE_SECONDS)
        before = await _census(agent, folder)
        load = _Load(github)
        working = asyncio.create_task(load.run(), name="load")
        await asyncio.sleep(_WARM_UP_SECONDS)
        began, done, cpu, own = SystemClock().monotonic(), load.done, agent.usage().cpu_seconds, os.times()
        held, waiting = [], []
        while SystemClock().monotonic() - began < choice.seconds:
            held.append(len(github.core.sessions()))
            waiting.append(github.core.open_poll_count)
            await asyncio.sleep(0.25)
        seconds, jobs = SystemClock().monotonic() - began, load.done - done
        cpu, now = agent.usage().cpu_seconds - cpu, os.times()
        show("jobs a second, 100 ms each", f"{jobs / seconds:.0f}", "651 (Go, all in one process)")
        show("sessions held, on average", f"{mean(held):.0f} of {SESSIONS}", "991")
        show("polls open, on average", f"{mean(waiting):.0f}")
        show("agent CPU", f"{cpu / seconds:.0%} of a core, {cpu / max(1, jobs) * 1000:.1f} ms a job")
        simulator = now.user + now.system - own.user - own.system
        show("GitHub's CPU (this process)", f"{simulator / seconds:.0%} of a core")
        await cancel_and_wait(working)
        load.withdraw()
        await _until(agent, lambda: github.core.open_poll_count == SESSIONS)
        await asyncio.sleep(_SETTLE_SECONDS)
        after = await _census(agent, folder)
        leaked = {name: after.get(name, 0) - count for name, count in before.items() if after.get(name, 0) != count}
        leaked |= {name: count for name, count in after.items() if name not in before and count}
        show("tasks and objects beside before", json.dumps(leaked) if leaked else "none more", "", "none")
        show("warnings in its log", agent.complaints(), "", "none")
        show("peak memory", f"{agent.usage().peak_mib:.0f} MiB")
        await agent.stop()
        show("sessions left at its end", f"{len(github.core.sessions())}", "0", "0")


async def _grow(github: Site, agent: AgentProcess) -> float:
    """Lets every group open all its sessions; returns how long that took."""
    began = SystemClock().monotonic()
    agent.process.send_signal(signal.SIGUSR1)
    await _until(agent, lambda: github.core.open_poll_count == SESSIONS)
    return SystemClock().monotonic() - began


async def _census(agent: AgentProcess, folder: Path) -> dict[str, int]:
    """The agent's tasks by name and its objects in Kubernetes by kind."""
    path = folder / "agent.census"
    path.unlink(missing_ok=True)
    agent.process.send_signal(signal.SIGUSR2)
    while True:
        with suppress(FileNotFoundError, ValueError):
            counts: dict[str, int] = json.loads(path.read_text())
            return counts
        await asyncio.sleep(_LOOK_SECONDS)


async def _until(agent: AgentProcess, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LIMIT_SECONDS):
        while not holds():
            agent.usage()  # fails once it has ended
            await asyncio.sleep(_LOOK_SECONDS)


class _Load:
    """Keeps jobs queued for every group, and ends each at GitHub when its worker ends."""

    def __init__(self, github: Site) -> None:
        self._core = github.core
        self._groups: list[list[Job]] = [[] for _ in range(GROUP_COUNT)]
        self.done = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for number, jobs in enumerate(self._groups):
                self._groups[number] = [job for job in jobs if not self._ended(job)]
                queued = sum(job.state is JobState.QUEUED for job in jobs)
                for _ in range(_QUEUED - queued):
                    self._groups[number].append(self._core.enqueue([f"ci-{number}"]))
            await asyncio.sleep(_LOOK_SECONDS)

    def _ended(self, job: Job) -> bool:
        if job.started_at is None:
            return False
        if (self._core.state.clock.now() - job.started_at).total_seconds() < RUN_SECONDS:
            return False
        self._core.conclude(job, "success")
        self.done += 1
        return True

    def withdraw(self) -> None:
        """Ends what is left."""
        for job in (job for jobs in self._groups for job in jobs):
            self._core.conclude(job, "cancelled" if job.started_at is None else "success")


def parse(arguments: list[str]) -> Choice:
    """The command line."""
    defaults = Choice()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="how long each part is measured")
    parser.add_argument("--profile", type=Path, help="folder for the agents' profiles")
    given = parser.parse_args(arguments)
    return Choice(tuple(given.parts or PARTS), given.seconds, given.profile)


if __name__ == "__main__":
    measure(parse(sys.argv[1:]))
