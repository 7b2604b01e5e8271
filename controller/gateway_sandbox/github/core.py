"""The simulated GitHub without any transport: its state, its parts, and the control API that tests and the sandbox use.

It runs on an injected clock; `run` must be running (or a simulation calls `state.timers.fire_due`) for GitHub to do by
itself what it does after a while.
"""

import json
import random
from collections.abc import Sequence

from actions_gateway.engine.clock import Clock
from gateway_sandbox.github.apps import Apps
from gateway_sandbox.github.credentials import KeyPool
from gateway_sandbox.github.faultbook import FaultBook
from gateway_sandbox.github.faults import Fault
from gateway_sandbox.github.jobs import Jobs
from gateway_sandbox.github.journal import Journal, Request
from gateway_sandbox.github.models import Delivery, DeliveryState, Job, Run, Runner, Session
from gateway_sandbox.github.runners import Runners
from gateway_sandbox.github.runs import Runs
from gateway_sandbox.github.settings import SimulatorSettings
from gateway_sandbox.github.state import Refused, State, Violation

DEFAULT_REPOSITORY = "octo/demo"


class GitHub:
    """One GitHub with its apps, runners, queue and runs."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: SimulatorSettings | None = None,
        rng: random.Random | None = None,
        keys: KeyPool | None = None,
    ) -> None:
        settings = settings or SimulatorSettings()
        self.state = State(clock, settings, rng or random.SystemRandom())
        self.keys = keys or KeyPool()
        self.apps = Apps(self.state)
        self.agents = Runners(self.state, self.keys)
        self.work = Jobs(self.state, self.agents, on_concluded=lambda job: self.workflows.job_concluded(job))
        self.workflows = Runs(self.state, self.agents.dispatch, self.work.cancel, self.work.conclude)
        self.journal = Journal(settings.journal_size)
        self.faults = FaultBook(self.state, self.agents)

    async def run(self) -> None:
        """Drives GitHub's own timers until cancelled."""
        await self.state.timers.run()

    # ----------------------------------------------------------------- control

    def start_workflow(
        self, text: str, *, repository: str = DEFAULT_REPOSITORY, path: str = "sandbox.yml", source: str | None = None
    ) -> Run:
        """A run of a workflow file; Refused 422 with message and, if known, line."""
        run = self.workflows.start_workflow(repository, path, text, source)
        self.state.changed()
        return run

    def enqueue(
        self,
        labels: Sequence[str],
        *,
        repository: str = DEFAULT_REPOSITORY,
        name: str = "job",
        script: str | None = None,
        fanout: int | None = None,
    ) -> Job:
        """A run of one job: without steps, or with one bash step."""
        if script is not None:
            job = {"name": name, "runs-on": list(labels), "steps": [{"run": script}]}
            return self.start_workflow(json.dumps({"on": "push", "jobs": {"job": job}}), repository=repository).jobs[0]
        bare = self.workflows.start_bare(repository, name, labels, fanout=fanout)
        self.state.changed()
        return bare

    def cancel(self, run: Run, *, force: bool = False) -> None:
        self.workflows.cancel(run, force=force)
        self.state.changed()

    def conclude(self, job: Job, conclusion: str) -> None:
        """Ends a job behind the worker's back, with a conclusion in GitHub's words."""
        self.work.conclude(job, conclusion)
        self.state.changed()

    def worker_started(self, job: Job) -> None:
        """What the first step report of a worker does."""
        acquired = (delivery for delivery in job.deliveries if delivery.state is DeliveryState.ACQUIRED)
        first = next(acquired, None)
        if first is not None:
            self.work.start(first)
            self.state.changed()

    def inject(self, fault: Fault) -> int:
        return self.faults.inject(fault)

    def clear_faults(self, fault_id: int | None = None) -> None:
        self.faults.clear(fault_id)
        self.state.changed()

    def reset(self) -> None:
        """Forgets everything but apps and installations; open polls end with 503, faults are cleared."""
        self.faults.clear()
        self.agents.clear()
        self.work.clear()
        self.apps.forget_tokens()
        self.journal.clear()
        self.state.clear()

    # ------------------------------------------------------------------- looks

    def runners(self) -> list[Runner]:
        return list(self.state.runners.values())

    def sessions(self) -> list[Session]:
        return list(self.state.sessions.values())

    def runs(self) -> list[Run]:
        return list(self.state.runs.values())

    def jobs(self) -> list[Job]:
        """Of all attempts."""
        return list(self.state.jobs.values())

    def deliveries(self) -> list[Delivery]:
        """Every offer ever made, by job."""
        return [delivery for job in self.state.jobs.values() for delivery in job.deliveries]

    def requests(self, endpoint: str = "*", *, runner: str = "*", status: int | None = None) -> list[Request]:
        return self.journal.requests(endpoint, runner=runner, status=status)

    def violations(self) -> list[Violation]:
        return list(self.state.violations)

    @property
    def open_poll_count(self) -> int:
        return self.agents.dispatch.open_poll_count

    def run_of(self, run_id: int) -> Run:
        """Refused 404 when there is none."""
        run = self.state.runs.get(run_id)
        if run is None:
            raise Refused(404, {"message": "Not Found", "status": "404"})
        return run
