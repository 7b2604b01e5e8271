"""One simulated tenant: GitHub, a cluster, its people and its agents, put together from a seed."""

import asyncio
import base64
import contextlib
import functools
import hashlib
import json
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from actions_gateway.api.names import runner_group_name
from actions_gateway.github import app
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.runservice import Conclusion
from actions_gateway.kube.resources import RUNNERGROUPS
from gateway_sandbox.github.core import GitHub
from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.models import Job, Run
from gateway_sandbox.github.service import Service
from gateway_sandbox.github.settings import SimulatorSettings
from simulation.agents import Agents, RunningAgent
from simulation.asking import Requests
from simulation.clients import Link, SimulatedNetwork
from simulation.cluster import Cluster, Json
from simulation.invariants import Invariants
from simulation.loop import Process, SimulatedClock, Stopped, VirtualLoop, run_virtually
from simulation.profiles import Profile
from simulation.scenario import play, settle
from simulation.workers import Execution, Kubelet, Truth, Work

NAMESPACE = "team-a"
BASE_URL = "https://github.invalid"
APP_ID, INSTALLATION_ID = 1234, 77

_MOST_VIOLATIONS = 100
KEYS = KeyPool()
APP_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
asyncio.run(KEYS.prepare(2))
_PARSE_KEY = functools.cache(app._parse_key)
"""A key's validation takes 50 ms, and a simulation starts dozens of agents with the same one."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    at: float
    invariant: str
    detail: str

    def __str__(self) -> str:
        return f"{self.at / 60:.2f} min: {self.invariant}: {self.detail}"


@dataclass
class Report:
    """What became of one seed."""

    seed: int
    profile: str
    is_short: bool
    violations: list[Violation]
    virtual_seconds: float
    jobs: int
    reruns: int
    kills: int
    gap_kills: dict[str, int]
    """Jobs whose agent was killed between the claim's answer and the payload's write, by what became of them."""
    digest: str
    """Of the whole trace: equal seeds, equal digests."""
    events: int
    trace: list[str] = field(default_factory=list)

    @property
    def replay(self) -> str:
        """How to see it again."""
        short = " --short" if self.is_short else ""
        return f"replay: python tests/simulation --seed {self.seed} --profile {self.profile}{short} --trace"


class World(Truth):
    """Everything of one seed."""

    def __init__(self, seed: int, profile: Profile, loop: VirtualLoop, folder: Path, *, keep_trace: bool) -> None:
        self.seed = f"{seed}/{profile.name}"
        self.profile = profile
        self.loop = loop
        self.rng = self.stream("world")
        self.clock = SimulatedClock(loop)
        self.people = Process("people")
        self.violations: list[Violation] = []
        self._digest = hashlib.sha256()
        self.trace: list[str] | None = [] if keep_trace else None
        self.told = 0
        self.until = ""
        """The invariant whose first violation ends the run."""
        KEYS.reset()
        self.github = GitHub(clock=self.clock, settings=self._github_settings(), rng=self.stream("github"), keys=KEYS)
        self.github.state.base_url = BASE_URL
        self.app_folder = folder
        self._keys: tuple[int, int | None] = 0, 0
        """GitHub's, and the Secret's."""
        self.use_key(0)
        self.write_secret(0)
        self.github.apps.add_installation(INSTALLATION_ID, APP_ID)
        self.service = Service(self.github)
        self.cluster = Cluster(self.clock, self.stream("cluster"), NAMESPACE)
        self.node_link = Link(Process("node"), self.stream("node"), lambda *_: None)
        self.worker_http = GitHubHttp(self.clock, transport=SimulatedNetwork(self.service, self.node_link))
        self.kubelet = Kubelet(self.cluster, self.worker_http, BASE_URL, self, self.clock, self.seed)
        self.agents = Agents(self.cluster, self.service, BASE_URL, folder, seed=self.seed, tell=self.tell)
        self.agents.on_killed = self._killed
        self.executions: dict[str, list[Execution]] = {}
        """By plan."""
        self.jobs_by_plan: dict[str, Job] = {}
        self.cancelled_runs: set[tuple[int, int]] = set()
        """Id and attempt."""
        self.cancelled_plans: set[str] = set()
        """What a person cancelled while the agent could hear of it; a job that was given up before looks the same."""
        self.gaps: dict[str, Job] = {}
        """Jobs, by plan, whose agent was killed after the claim and before the payload was written."""
        self.is_restless = True
        self.requests = Requests(self)
        self.invariants = Invariants(self)
        self.agents.on_answer = self.invariants.answered
        self.agents.on_started = self.invariants.started

    def stream(self, name: str) -> random.Random:
        """Randomness of one part's own, so that parts do not disturb each other."""
        return random.Random(f"{self.seed}/{name}")

    def _github_settings(self) -> SimulatorSettings:
        rng = self.rng
        return SimulatorSettings(
            fanout=rng.choice((2, 2, 3)) if self.profile.duplicates else 1,
            repeat_acquire=rng.choice(("conflict", "same")),
            reoffer_min_interval_seconds=rng.choice((0.0, 1.0)),
            propagation_delay_seconds=rng.choice((0.0, 0.0, 3.0)),
            dead_session_reply=rng.choice(("envelope", "403", "404", "410")),
            deleted_runner_reply=rng.choice(("401", "not_found")),
            new_request_id_after_lease=rng.random() < 0.3,
            renew_defers_unstarted=rng.random() < 0.5,
            blob_style=rng.choice(("pascal", "camel")),
            journal_size=10,
        )

    # -- what is told --------------------------------------------------------------------------------------------

    def tell(self, kind: str, text: str) -> None:
        """One line of the trace; a violation is more than that."""
        line = f"{self.loop.time():12.4f} {kind:9} {text}"
        self._digest.update(line.encode() + b"\n")
        self.told += 1
        if self.trace is not None:
            self.trace.append(line)
        if kind == "violation":
            name, _, detail = text.partition(": ")
            self.violations.append(Violation(self.loop.time(), name, detail))
            self.loop.is_enough = name == self.until or len(self.violations) == _MOST_VIOLATIONS

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()[:16]

    # -- truth ---------------------------------------------------------------------------------------------------

    def job_of(self, plan_id: str) -> Job:
        """GitHub's job behind a plan."""
        if plan_id not in self.jobs_by_plan:
            self.jobs_by_plan = {job.plan_id: job for job in self.github.jobs()}
        return self.jobs_by_plan[plan_id]

    def work_of(self, plan_id: str) -> Work:
        rng = random.Random(f"{self.seed}/{self.job_of(plan_id).plan.name}")
        # Of several deliveries, those that nobody completes end their job after a quarter of an hour.
        weights = (12, 6, 3 if self.profile.duplicates else 1)
        seconds = rng.choices((rng.uniform(1, 20), rng.uniform(30, 300), rng.uniform(600, 1100)), weights)[0]
        return Work(seconds, Conclusion.FAILED if rng.random() < 0.15 else Conclusion.SUCCEEDED)

    def began(self, execution: Execution) -> None:
        self.tell("worker", f"{execution.pod} begins plan {execution.plan_id}")
        self.invariants.began(execution)
        self.executions.setdefault(execution.plan_id, []).append(execution)

    def ended(self, execution: Execution) -> None:
        said = execution.reported.value if execution.reported else "nothing"
        self.tell("worker", f"{execution.pod} ends, reported {said}")

    def _killed(self, _: RunningAgent) -> None:
        """Finds the claims that nobody can know of from the cluster."""
        self.invariants.ceilings.note_cuts()
        ledger = json.dumps(self.cluster.all("configmaps"))
        filled, open_claims = set(), set()
        for secret in self.cluster.all("secrets"):
            data = secret.get("data") or {}
            if "payload" in data:
                filled.add(data["plan-id"])
            elif "state" in data:
                open_claims.add(json.loads(base64.b64decode(data["state"]))["requestId"])
        self.invariants.losses.claims_cut(open_claims)
        for job in self.github.jobs():
            runners = [one.runner.name for one in job.deliveries if one.token]
            if job.is_done or not runners or job.plan_id in self.executions:
                continue
            if any(name in ledger for name in runners):
                continue  # it was given up before
            if app_text(job.plan_id) not in filled:
                self.gaps.setdefault(job.plan_id, job)

    # -- people and things ---------------------------------------------------------------------------------------

    def use_key(self, number: int) -> None:
        """The App's only key from now on."""
        self._keys = number, self._keys[1]
        public = APP_KEYS[number].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.github.apps.add_app(APP_ID, public.decode())
        for installation in self.github.apps.installations.values():
            installation.app = self.github.apps._apps[str(APP_ID)]

    def write_secret(self, key: int | None) -> None:
        """What the App's Secret holds, as its mount shows it; None for nothing usable."""
        self._keys = self._keys[0], key
        text = "garbage" if key is None else _pem(key)
        fields = {"appId": str(APP_ID), "installationId": str(INSTALLATION_ID), "privateKey": text}
        for name, value in fields.items():
            (self.app_folder / name).write_text(value)

    @property
    def is_credential_good(self) -> bool:
        """Whether GitHub accepts what the Secret holds."""
        return self._keys[0] == self._keys[1]

    def create_group(self, name: str, **spec: Any) -> Json:
        """As the manager does."""
        own = {"runnerLabels": [name], "completedPodTTL": "1m", "maxEvictionRetries": self.profile.retries}
        manifest = {
            "apiVersion": RUNNERGROUPS.api_version,
            "kind": RUNNERGROUPS.kind,
            "metadata": {"name": runner_group_name("ci", name)},
            "spec": {**own, **spec},
        }
        self.tell("manager", f"creates {name}: {json.dumps(spec)}")
        return self.cluster.create("runnergroups", manifest)

    def delete_group(self, group: Json) -> None:
        """As the manager does; its jobs end with it."""
        self.invariants.losses.group_deleted(group["metadata"]["name"])
        self.cluster.delete("runnergroups", group)

    def groups(self) -> list[Json]:
        """The RunnerGroups."""
        return self.cluster.all("runnergroups")

    def start_run(self, label: str, jobs: int) -> Run:
        """A push with a workflow of so many independent jobs."""
        number = len(self.github.runs()) + 1
        described = {
            f"j{index}": {"name": f"run {number} job {index}", "runs-on": [label], "steps": [{"run": "true"}]}
            for index in range(jobs)
        }
        run = self.github.start_workflow(json.dumps({"on": "push", "jobs": described}))
        self.tell("user", f"starts run {run.id} of {jobs} for {label}")
        return run

    def cancel_run(self, run: Run) -> None:
        """A person cancels a run that is not over."""
        if run.status != "completed":
            self.tell("user", f"cancels run {run.id}")
            self.cancelled_runs.add((run.id, run.attempt))
            ledger, alive = json.dumps(self.cluster.all("configmaps")), {one.process.name for one in self.agents.alive}
            for job in run.jobs:
                # The notice goes to the session that claimed the job: that of an agent that is gone hears nothing.
                sessions = [one.runner.session for one in job.deliveries if one.token]
                heard = [one for one in sessions if one is not None and one.owner_name in alive]
                held = [one for one in heard if one.runner.name not in ledger]
                if held or any(one.ended is None for one in self.executions.get(job.plan_id, ())):
                    self.cancelled_plans.add(job.plan_id)
            self.github.cancel(run)

    async def live(self) -> None:
        """From the first moment to the last check."""
        self.loop.on_advance = self.invariants.advanced
        github = self.people.start(self.github.run(), name="GitHub")
        async with self.worker_http:
            await play(self)
            await settle(self)
        github.cancel()
        await asyncio.wait({github})


def app_text(plan_id: str) -> str:
    """A plan's id as a Secret holds it."""
    return base64.b64encode(plan_id.encode()).decode()


@functools.cache
def _pem(number: int) -> str:
    return APP_KEYS[number].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def simulate(
    seed: int, profile: Profile, *, keep_trace: bool = False, is_short: bool = False, until: str = ""
) -> Report:
    """Plays one seed, at most until an invariant is violated; a short one is restless for a third of the time."""
    if is_short:
        profile = replace(profile, minutes=(profile.minutes[0] / 3, profile.minutes[1] / 3))
    worlds: list[World] = []

    async def main(loop: VirtualLoop) -> None:
        worlds.append(World(seed, profile, loop, Path(folder), keep_trace=keep_trace))
        worlds[0].until = until
        await worlds[0].live()

    patched = mock.patch.object(app, "_parse_key", _PARSE_KEY)
    with patched, tempfile.TemporaryDirectory() as folder, _logs_into(worlds), warnings.catch_warnings():
        # A killed agent's last moments begin things that never run.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            run_virtually(main)
        except Stopped:
            pass
        except RuntimeError as problem:  # Hang, HotLoop, and what the harness itself trips over
            if not worlds:
                raise
            worlds[0].tell("violation", f"{type(problem).__name__}: {problem}")
    world = worlds[0]
    for failure in world.loop.failures:
        world.tell("violation", f"unheard failure: {failure}")
    return Report(
        seed=seed,
        profile=profile.name,
        is_short=is_short,
        violations=world.violations,
        virtual_seconds=world.loop.time(),
        jobs=len(world.github.jobs()),
        reruns=sum(run.attempt - 1 for run in world.github.runs()),
        kills=len(world.agents.kills),
        gap_kills=world.invariants.losses.gap_kills(),
        digest=world.digest,
        events=world.told,
        trace=world.trace or [],
    )


@contextlib.contextmanager
def _logs_into(worlds: list[World]) -> Iterator[None]:
    """The agents' log lines become lines of the trace; what they log as an error is a violation."""
    before = structlog.get_config()

    def take(_: Any, method: str, line: Any) -> Any:
        if worlds:
            said = " ".join(f"{key}={value}" for key, value in line.items() if key not in ("event", "exc_info"))
            if method in ("error", "exception", "critical"):
                problem = line.get("exc_info") and sys.exc_info()[1]
                worlds[0].tell("violation", f"internal error: {line['event']} {said} {problem!r}")
            else:
                worlds[0].tell("log", f"{line['event']} {said}")
        raise structlog.DropEvent

    structlog.configure(processors=[take], wrapper_class=structlog.make_filtering_bound_logger(20))
    try:
        yield
    finally:
        structlog.configure(**before)
