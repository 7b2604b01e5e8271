"""Bursts of jobs on the real control plane: how long a job waits for its pod, and what the agent and its calls cost.

One tenant, two groups of maxWorkers 300, half of the jobs queued on each at once. etcd, kube-apiserver, controllers and
scheduler are real; kwok plays nodes and pods, which complete 3 s after they run. GitHub is simulated in this process,
over TLS, with polls of 50 s; the agent is a process of its own under its own rights, its calls are those of the audit
log. It reaches GitHub without the egress proxy, as the reference did.

    python tests/bench/agent_bursts.py [A B C D E] [--jobs 500] [--rest 60] [--profile FOLDER]

A run of all scenarios takes about 20 minutes, most of it the sessions' drain before the rest is measured.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent_process import AgentProcess, agent_process
from measuring import percentile, show
from simulated_github import UNLIMITED, Site, simulated_github

from actions_gateway.api import labels
from actions_gateway.api.names import AGENT, WORKER
from actions_gateway.engine.clock import SystemClock
from actions_gateway.engine.supervision import cancel_and_wait
from actions_gateway.kube.client import Manifest, connect
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import NAMESPACES, NODES, PODS, RUNNERGROUPS, SECRETS, SERVICEACCOUNTS
from component.scale.fleet import create_all, until
from gateway_sandbox.certificates import SandboxCertificates
from gateway_sandbox.controllers.conditions import is_ready
from gateway_sandbox.controlplane.assets import CONTROL_PLANE, ProgramsMissing, require_programs
from gateway_sandbox.controlplane.kwok import build_fake_node, build_stage, start_kwok
from gateway_sandbox.controlplane.programs import KWOK
from gateway_sandbox.controlplane.server import ControlPlane, Options
from gateway_sandbox.github.models import Job
from gateway_sandbox.github.settings import SimulatorSettings
from support.audit import ACCOUNT, Request, requests_of
from support.installed import Callers, callers, group_in, install

GROUPS = ("ci-cpu", "ci-gpu")
MAX_WORKERS = 300
RUN_SECONDS = 3.0
_POD_TTL = "5s"
"""So that the deletion of the pods is among the calls of the burst."""
_NODES = 25
_LOOK_SECONDS = 0.1
_CALM_SECONDS = 3.0
"""For controllers and nodes to be done with what was measured before."""
_IN_FLIGHT = 16
_SMALL, _LARGE = "YmFzZTY0" * 250, "YmFzZTY0" * 750
"""2 KB and 6 KB: the sizes of a slot's state and a small payload."""
_LIMIT_SECONDS = 300.0
_SETTLE_SECONDS = 400.0
_ENDLESS = "burst-d"
"""The namespace whose pods never complete."""
_SESSIONS = "actions_gateway_active_sessions"
_READS = ("get", "list", "watch")

_COMPLETED_POD = """\
{{ $now := Now }}
phase: Succeeded
containerStatuses:
{{ range .status.containerStatuses }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ .state.running.startedAt | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
"""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A burst; the texts are those of the reference and what is to be reached."""

    title: str
    max_listeners: int
    waited: tuple[str, str]
    placed: tuple[str, str]
    kube_calls: tuple[str, str]
    github_calls: tuple[str, str]
    cpu: tuple[str, str]
    latency_seconds: float = 0.0
    limits: dict[str, Any] = field(default_factory=dict)
    """Fields of SimulatorSettings. Without any, GitHub keeps no limits and the agent's budgets are off."""


_CALLS = "<= 8"
SCENARIOS = {
    "A": Scenario(
        "maxListeners 10 + 10",
        10,
        waited=("38.3 / 76.0 s", "<= 5 / 10 s"),
        placed=("0.02 / 0.15 s", ""),
        kube_calls=("23.4 (4.8)", _CALLS),
        github_calls=("7.2", ""),
        cpu=("17.1 s; 68 MB", ""),
    ),
    "B": Scenario(
        "maxListeners 250 + 250",
        250,
        waited=("3.2 / 3.8 s", "<= upstream's, near the floor"),
        placed=("2.1 / 3.4 s", ""),
        kube_calls=("8.3 (4.0)", _CALLS),
        github_calls=("10.0", ""),
        cpu=("4.9 s; 122 MB", ""),
    ),
    "C": Scenario(
        "as B, 100 ms more for each GitHub call",
        250,
        waited=("10.4 / 15.4 s", "<= 5 / 8 s"),
        placed=("0.6 / 3.0 s", ""),
        kube_calls=("11.0 (4.0)", _CALLS),
        github_calls=("10.0", ""),
        cpu=("8.6 s; 129 MB", ""),
        latency_seconds=0.1,
    ),
    "D": Scenario(
        "as C, pods never end",
        250,
        waited=("51.2 / 101.3 s", "<= 5 / 8 s"),
        placed=("0.01 / 0.06 s", ""),
        kube_calls=("130.4 (2.4)", _CALLS),
        github_calls=("", ""),
        cpu=("40 s; 104 MB", ""),
        latency_seconds=0.1,
    ),
    "E": Scenario(
        "as B, with GitHub's limits: 900 points a minute, 5 a registration",
        250,
        waited=("", ""),
        placed=("", ""),
        kube_calls=("", _CALLS),
        github_calls=("", ""),
        cpu=("", ""),
        limits={"points_per_minute": 900},
    ),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What of it is measured, and how."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    jobs: int = 500
    rest_seconds: float = 60.0
    """0: neither the drain nor the rest is waited for."""
    profile: Path | None = None
    """The folder for the agents' profiles."""


def measure(choice: Choice | None = None) -> None:
    """One table for each scenario."""
    try:
        require_programs(*CONTROL_PLANE, KWOK)
    except ProgramsMissing as problem:
        print(f"left out: {problem}")
        return
    import uvloop

    uvloop.run(_measure(choice or Choice()))


async def _measure(choice: Choice) -> None:
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        users = tuple(_user(_namespace(name)) for name in choice.scenarios)
        plane = ControlPlane(
            folder / "data", SandboxCertificates.create(folder / "certificates"), Options(audited_users=users)
        )
        async with plane:
            await _furnish(plane)
            async with callers(plane) as everybody:
                for name in choice.scenarios:
                    (folder / name).mkdir()
                    await _Burst(name, choice, everybody, folder / name).measure()


async def _furnish(plane: ControlPlane) -> None:
    runs = {"key": ".status.phase", "operator": "In", "values": ["Running"]}
    ends = {"key": ".metadata.namespace", "operator": "NotIn", "values": [_ENDLESS]}
    stage = build_stage(
        "pod-complete", "Pod", [runs, ends], {"statusTemplate": _COMPLETED_POD}, delay_seconds=RUN_SECONDS
    )
    async with connect(plane.kubeconfig) as admin:
        await start_kwok(plane, admin, more_stages=[stage])
        await create_all(admin, NODES, [build_fake_node(f"fake-{number:03}") for number in range(_NODES)])
        await until(admin, NODES, None, is_ready, _NODES)
    await install(plane)


def _namespace(scenario: str) -> str:
    return f"burst-{scenario.lower()}"


def _user(namespace: str) -> str:
    return f"{ACCOUNT}{namespace}:{AGENT}"


class _Burst:
    """One scenario in a namespace of its own."""

    def __init__(self, name: str, choice: Choice, everybody: Callers, folder: Path) -> None:
        self._name = name
        self._scenario = SCENARIOS[name]
        self._choice = choice
        self._everybody = everybody
        self._admin = everybody.admin
        self._folder = folder
        self._namespace = _namespace(name)
        self._placed: dict[str, datetime] = {}
        """When the pod of a runner was seen first, by the runner's name."""

    async def measure(self) -> None:
        """Prints the table."""
        scenario, admin = self._scenario, self._admin
        print(f"\n-- {self._name}: {scenario.title}; load before {os.getloadavg()[0]:.1f}", flush=True)
        marks = {"metadata": {"name": self._namespace, "labels": {labels.TENANT: "true"}}}
        await admin.create(NAMESPACES, marks)
        await admin.create(SERVICEACCOUNTS, {"metadata": {"name": WORKER, "namespace": self._namespace}})
        await self._print_floor()
        settings = SimulatorSettings(**(scenario.limits or {"primary_budget": 10**6}))
        async with (
            self._everybody.agent(self._namespace),
            simulated_github(self._folder, settings, latency_seconds=scenario.latency_seconds) as github,
        ):
            for group in GROUPS:
                spec = {
                    "runnerLabels": [group],
                    "maxListeners": scenario.max_listeners,
                    "maxWorkers": MAX_WORKERS,
                    "completedPodTTL": _POD_TTL,
                }
                await admin.create(RUNNERGROUPS, group_in(self._namespace, name=group, **spec))
            async with self._agent(github) as agent, self._workers(github):
                await _until(lambda: agent.usage() and github.core.open_poll_count == len(GROUPS))
                await asyncio.sleep(2.0)
                await self._burst(github, agent)

    @asynccontextmanager
    async def _agent(self, github: Site) -> AsyncIterator[AgentProcess]:
        plane, profile = self._everybody.plane, self._choice.profile
        async with agent_process(
            self._folder,
            github.settings(self._namespace),
            kubeconfig=plane.folder / f"account-{self._namespace}-{AGENT}.kubeconfig",
            tunables={} if self._scenario.limits else {"github_limits": UNLIMITED},
            profile=profile / f"{self._name}.profile.txt" if profile else None,
        ) as agent:
            yield agent

    # -- the burst -----------------------------------------------------------------------------------------------

    async def _burst(self, github: Site, agent: AgentProcess) -> None:
        scenario, before, asked, calls = self._scenario, agent.usage(), len(self._requests()), github.calls()
        jobs = [
            github.core.enqueue([GROUPS[number % len(GROUPS)]], name=f"job {number}")
            for number in range(self._choice.jobs)
        ]
        try:
            await _until(lambda: agent.usage() and all(self._was_placed(job) for job in jobs))
            if self._namespace != _ENDLESS:
                await _until(lambda: agent.usage() and all(job.is_done for job in jobs))
        except TimeoutError:
            print(f"gave up after {_LIMIT_SECONDS:.0f} s", flush=True)
        placed = [job for job in jobs if self._was_placed(job)]
        print(f"{len(placed)} of {len(jobs)} jobs got a pod, {sum(job.is_done for job in jobs)} ended", flush=True)
        if not placed:
            return
        waited = [self._seconds(job, job.queued_at) for job in placed]
        claimed = [self._seconds(job, job.started_at) for job in placed]
        show("queued to pod created, p50 / p99", _pair(waited, 0.99), *scenario.waited)
        show("claimed to pod created, p50 / max", _pair(claimed, 1.0, 2), *scenario.placed)
        if self._namespace != _ENDLESS:
            await self._until_tidy()
        usage = agent.usage()
        requests = self._requests()[asked:]
        ours, statuses = _split(requests)
        writes = sum(request.right.verb not in _READS for request in ours)
        per_job = f"{len(ours) / len(jobs):.2f} ({writes / len(jobs):.2f})"
        show("Kubernetes calls a job (writes)", per_job, *scenario.kube_calls)
        show("status writes a job, all", f"{len(statuses) / len(jobs):.3f}, {len(statuses)}")
        for line in _by_kind(requests, len(jobs)):
            print(f"    {line}")
        show("GitHub calls a job", f"{(github.calls() - calls) / len(jobs):.2f}", *scenario.github_calls)
        for name, statuses_of in github.core.journal.counts().items():
            print(f"    {sum(statuses_of.values()) / len(jobs):6.3f}  {name} {statuses_of}")
        cpu = usage.cpu_seconds - before.cpu_seconds
        show(f"agent CPU for {len(jobs)}; peak memory", f"{cpu:.1f} s; {usage.peak_mib:.0f} MiB", *scenario.cpu)
        show("warnings in its log", agent.complaints(), "", "none")
        if scenario.limits:
            self._print_limits(github)
        if self._choice.rest_seconds:
            await self._rest(github, agent)

    def _was_placed(self, job: Job) -> bool:
        return job.runner is not None and job.runner.name in self._placed

    def _seconds(self, job: Job, since: datetime | None) -> float:
        assert job.runner is not None
        assert since is not None
        return (self._placed[job.runner.name] - since).total_seconds()

    async def _until_tidy(self) -> None:
        """Returns when neither a worker pod nor a job's Secret is left."""
        left = 1
        async with asyncio.timeout(_SETTLE_SECONDS):
            while left:
                await asyncio.sleep(1.0)
                pods = await self._admin.list(PODS, self._namespace, label_selector=labels.RUNNER_GROUP)
                secrets = await self._admin.list(SECRETS, self._namespace, label_selector=labels.RUNNER_GROUP)
                left = len(pods.items) + len(secrets.items)

    async def _rest(self, github: Site, agent: AgentProcess) -> None:
        """Waits for the drain, then counts what an agent with nothing to do asks for."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while (sessions := await agent.metric(_SESSIONS)) != len(GROUPS):  # noqa: ASYNC110 - a process is asked
                    await asyncio.sleep(2.0)
                await asyncio.sleep(2.0)
        except TimeoutError:
            print(f"not drained after {_SETTLE_SECONDS:.0f} s: {sessions:.0f} sessions", flush=True)
        before, asked, calls = agent.usage(), len(self._requests()), github.calls()
        drained = _split(self._requests())[1]
        await asyncio.sleep(self._choice.rest_seconds)
        cpu = (agent.usage().cpu_seconds - before.cpu_seconds) / self._choice.rest_seconds
        requests = self._requests()[asked:]
        watches = sum(request.right.verb == "watch" for request in requests)
        show("status writes until drained, all", f"{len(drained)}")
        title = f"at rest, in {self._choice.rest_seconds:.0f} s"
        text = f"Kubernetes {len(requests) - watches} (+ {watches} watches renewed), GitHub {github.calls() - calls}"
        show(title, f"{text}, CPU {cpu:.1%} of a core", "", "Kubernetes 0")

    def _print_limits(self, github: Site) -> None:
        """Points as GitHub's documentation counts them: 5 for a write, 1 for a read."""
        requests = [entry for entry in github.core.requests("rest.*") if entry.status != 304]
        refused = [entry for entry in github.core.requests() if entry.status == 429]
        refused += [entry for entry in requests if entry.status == 403]
        points = [(entry.at.timestamp(), 1 if entry.method == "GET" else 5) for entry in requests]
        busiest = max(sum(cost for at, cost in points if 0 <= at - start < 60) for start, _ in points)
        allowed = self._scenario.limits["points_per_minute"]
        show("refused for a limit (429, 403)", f"{len(refused)}", "", "0")
        show("points in the busiest minute", f"{busiest} ({busiest / allowed:.0%} of {allowed})", "", ">= 90 %")

    def _requests(self) -> list[Request]:
        return requests_of(self._everybody.plane.audit_log, _user(self._namespace))

    # -- the workers ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _workers(self, github: Site) -> AsyncIterator[None]:
        task = asyncio.create_task(self._follow_pods(github), name="workers")
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def _follow_pods(self, github: Site) -> None:
        """Notes when pods appear, and tells GitHub what their workers would: that they started and have succeeded."""
        changes = list_watch(
            self._admin,
            PODS,
            self._namespace,
            clock=SystemClock(),
            rng=random.Random(1),
            label_selector=labels.RUNNER_GROUP,
        )
        async for change in changes:
            if change.type is ChangeType.SYNCED:
                continue
            runner = change.object["metadata"]["annotations"][labels.RUNNER_NAME]
            self._placed.setdefault(runner, datetime.now(UTC))
            if (job := self._job_of(github, runner)) is None:
                continue
            match (change.object.get("status") or {}).get("phase"):
                case "Running":
                    github.core.worker_started(job)
                case "Succeeded":
                    github.core.conclude(job, "success")

    def _job_of(self, github: Site, runner: str) -> Job | None:
        holder = next((one for one in github.core.runners() if one.name == runner), None)
        return holder.delivery.job if holder is not None and holder.delivery is not None else None

    # -- the floor -----------------------------------------------------------------------------------------------

    async def _print_floor(self) -> None:
        """How fast this API server takes pods that nobody looks at; then a job's writes, with scheduler and nodes at
        work, but without GitHub and agent."""
        count, began = self._choice.jobs, SystemClock().monotonic()
        await create_all(self._admin, PODS, (_gated_pod(f"floor-{number}", self._namespace) for number in range(count)))
        seconds = SystemClock().monotonic() - began
        show("floor: plain pod creates", f"{count / seconds:.0f}/s, {seconds:.1f} s for {count}")
        await self._admin.request("DELETE", PODS.path(self._namespace), query={"gracePeriodSeconds": "0"})
        await asyncio.sleep(_CALM_SECONDS)
        began, placed, gate = SystemClock().monotonic(), list[float](), asyncio.Semaphore(_IN_FLIGHT)

        async def write(name: str) -> None:
            async with gate:
                pod = _gated_pod(name, self._namespace)
                del pod["spec"]["schedulingGates"]
                await self._admin.create(SECRETS, {"metadata": pod["metadata"], "data": {"state": _SMALL}})
                await self._admin.patch(SECRETS, name, {"data": {"payload": _LARGE}}, namespace=self._namespace)
                await self._admin.create(PODS, pod)
                placed.append(SystemClock().monotonic() - began)

        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(write(f"floor-{number}"))
        show("floor: a job's three writes alone, p50 / p99", _pair(placed, 0.99))
        for resource in (PODS, SECRETS):
            await self._admin.request("DELETE", resource.path(self._namespace), query={"gracePeriodSeconds": "0"})
        await asyncio.sleep(_CALM_SECONDS)


def _gated_pod(name: str, namespace: str) -> Manifest:
    container = {"name": "main", "image": "nothing", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    spec = {"containers": [container], "schedulingGates": [{"name": "bench.example.com/floor"}]}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _pair(values: list[float], share: float, digits: int = 1) -> str:
    return f"{percentile(values, 0.5):.{digits}f} / {percentile(values, share):.{digits}f} s"


def _split(requests: list[Request]) -> tuple[list[Request], list[Request]]:
    """Without and with the writes of RunnerGroups' statuses."""
    statuses = [request for request in requests if request.right.resource == "runnergroups/status"]
    return [request for request in requests if request.right.resource != "runnergroups/status"], statuses


def _by_kind(requests: list[Request], jobs: int) -> list[str]:
    counts: dict[tuple[str, str, int], int] = {}
    for request in requests:
        key = (request.right.resource, request.right.verb, request.code)
        counts[key] = counts.get(key, 0) + 1
    return [f"{count / jobs:6.3f}  {verb} {name} {code}" for (name, verb, code), count in sorted(counts.items())]


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_LIMIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - a process is looked at
            await asyncio.sleep(_LOOK_SECONDS)


def parse(arguments: list[str]) -> Choice:
    """The command line."""
    defaults = Choice()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="default: all")
    parser.add_argument("--jobs", type=int, default=defaults.jobs)
    parser.add_argument("--rest", type=float, default=defaults.rest_seconds, help="seconds; 0 measures no rest")
    parser.add_argument("--profile", type=Path, help="folder for the agents' profiles")
    given = parser.parse_args(arguments)
    return Choice(tuple(given.scenarios or SCENARIOS), given.jobs, given.rest, given.profile)


if __name__ == "__main__":
    measure(parse(sys.argv[1:]))
