"""Workflow runs: jobs that wait for others, matrices, conclusions, cancellation and reruns.

Sources: GitHub docs "Workflow syntax for GitHub Actions" (needs, if, strategy, continue-on-error) and "Re-running
workflows and jobs"; GitHub REST docs "Workflow runs" (refusals of rerun and cancel).
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gateway_sandbox.github.dispatch import Dispatch
from gateway_sandbox.github.models import Job, JobState, Run
from gateway_sandbox.github.payload import github_context
from gateway_sandbox.github.state import Refused, State
from gateway_sandbox.runner.workflow import PlannedJob, WorkflowError, job_should_run, parse_workflow, plan_jobs


class Runs:
    """Which of a run's jobs may be queued, and when the run is over."""

    def __init__(
        self, state: State, dispatch: Dispatch, cancel_job: Callable[..., None], conclude: Callable[[Job, str], None]
    ) -> None:
        self._state = state
        self._dispatch = dispatch
        self._cancel_job = cancel_job
        self._conclude = conclude
        self._held: set[int] = set()

    # ---------------------------------------------------------------- creation

    def start_workflow(self, repository: str, path: str, text: str, source: str | None) -> Run:
        """Parses a workflow file and starts a run of it; Refused 422 with the file's problem."""
        run = self._new_run(repository, path, path, source)
        try:
            workflow = parse_workflow(text)
            run.name, run.notices = workflow.name or path, workflow.notices
            plans = plan_jobs(workflow, github=github_context(self._state, run))
        except WorkflowError as exc:
            raise Refused(
                422, {"message": exc.message} | ({"line": exc.line} if exc.line is not None else {})
            ) from None
        self._begin(run, list(plans))
        return run

    def start_bare(self, repository: str, name: str, labels: Sequence[str], *, fanout: int | None) -> Job:
        """Starts a run of one job without steps that comes from no file."""
        plan = PlannedJob(
            key="job",
            name=name,
            labels=tuple(labels),
            needs=(),
            condition=None,
            matrix={},
            fail_fast=True,
            max_parallel=None,
            timeout_minutes=360.0,
            continue_on_error=False,
            message={},
        )
        run = self._new_run(repository, ".github/workflows/sandbox.yml", name, None)
        self._begin(run, [plan], fanout)
        return run.jobs[0]

    def _new_run(self, repository: str, path: str, name: str, source: str | None) -> Run:
        number = self._state.next_id(f"run number of {repository}")
        sha = f"{self._state.rng.getrandbits(160):040x}"
        run_id = self._state.next_id("run", 17_000_000_001)
        return Run(run_id, number, repository, path, name, sha, self._state.clock.now(), source)

    def _begin(self, run: Run, plans: list[PlannedJob], fanout: int | None = None) -> None:
        run.attempt_started_at = run.created_at
        run.jobs = [self._new_job(run, plan, fanout) for plan in plans]
        self._state.runs[run.id] = run
        self._progress(run)

    def _new_job(self, run: Run, plan: PlannedJob, fanout: int | None = None) -> Job:
        plan_id = self._state.new_uuid()
        job = Job(
            id=self._state.next_id("job", 76_000_000_001),
            run=run,
            plan=plan,
            attempt=run.attempt,
            plan_id=plan_id,
            uuid=str(uuid.uuid5(uuid.UUID(plan_id), plan.name)),
            created_at=self._state.clock.now(),
            fanout=fanout or self._state.settings.fanout,
        )
        self._state.jobs[job.id] = job
        return job

    # ---------------------------------------------------------------- progress

    def job_concluded(self, job: Job) -> None:
        """Lets the rest of the run react: fail-fast of a matrix, dependants, the end."""
        failed = job.conclusion == "failure" and not job.plan.continue_on_error
        if failed and job.plan.matrix and job.plan.fail_fast:
            with self._holding(job.run):
                for sibling in job.run.jobs:
                    if sibling.plan.key == job.plan.key:
                        self._cancel_job(sibling)
        self._progress(job.run)

    @contextmanager
    def _holding(self, run: Run) -> Iterator[None]:
        """While several jobs end at once, nothing new of the run is queued in between."""
        outermost = run.id not in self._held
        self._held.add(run.id)
        try:
            yield
        finally:
            if outermost:
                self._held.discard(run.id)

    def _progress(self, run: Run) -> None:
        if run.id in self._held:
            return
        with self._holding(run):
            while any(self._advance(run, job) for job in run.jobs if job.state is JobState.WAITING):
                pass
        if run.status == "completed" and run.completed_at is None:
            run.completed_at = self._state.clock.now()

    def _advance(self, run: Run, job: Job) -> bool:
        """Queues a waiting job if it may run, or ends it; True when it ended, since others may depend on it."""
        pending = [need for need in job.plan.needs if any(not other.is_done for other in _of_key(run, need))]
        if pending:
            job.waiting_for = f"needs: {', '.join(pending)}"
            return False
        unwanted = self._unwanted(run, job)
        if unwanted is not None:
            self._conclude(job, unwanted)
            return True
        running = sum(
            1 for other in _of_key(run, job.plan.key) if not other.is_done and other.state is not JobState.WAITING
        )
        if job.plan.max_parallel is not None and running >= job.plan.max_parallel:
            job.waiting_for = f"max-parallel: {job.plan.max_parallel}"
        else:
            self._dispatch.enqueue(job)
        return False

    def _unwanted(self, run: Run, job: Job) -> str | None:
        """The conclusion of a job that must not run, or None."""
        plan = job.plan
        if not plan.needs and plan.condition is None:
            return "cancelled" if run.is_cancelled else None
        needs = needs_context(run, job)
        try:
            wanted = job_should_run(
                plan,
                {need: facts["result"] for need, facts in needs.items()},
                github=github_context(self._state, run),
                run_cancelled=run.is_cancelled,
                needs_outputs={need: facts["outputs"] for need, facts in needs.items()},
            )
        except WorkflowError as exc:
            job.log.append(f"##[error]{exc.message}\n")
            return "failure"
        return None if wanted else ("cancelled" if run.is_cancelled else "skipped")

    # ------------------------------------------------------- cancel and reruns

    def cancel(self, run: Run, *, force: bool = False) -> None:
        """Refused 409 when the run is completed. Without `force`, jobs whose condition still holds go on."""
        if run.status == "completed":
            raise Refused(409, {"message": "Cannot cancel a workflow run that is completed.", "status": "409"})
        run.is_cancelled = True
        with self._holding(run):
            for job in run.jobs:
                if force or (job.state is not JobState.WAITING and self._unwanted(run, job) is not None):
                    self._cancel_job(job, force=force)
        self._progress(run)

    def rerun(self, run: Run) -> None:
        """A new attempt of every job; Refused 403 while the run is unfinished."""
        self._new_attempt(run, run.jobs)

    def rerun_failed(self, run: Run) -> None:
        """A new attempt of what failed or was cancelled, and of what depends on it; Refused 403 if there is nothing."""
        failed = [job for job in run.jobs if job.conclusion in ("failure", "cancelled")]
        if run.status == "completed" and not failed:
            raise Refused(403, {"message": "This workflow run cannot be retried", "status": "403"})
        self._new_attempt(run, failed)

    def rerun_job(self, job: Job) -> None:
        """A new attempt of one job and its dependants; Refused 403 when unfinished or of an old attempt."""
        if job not in job.run.jobs:
            raise Refused(403, {"message": "This job cannot be retried", "status": "403"})
        self._new_attempt(job.run, [job])

    def _new_attempt(self, run: Run, chosen: Collection[Job]) -> None:
        if run.status != "completed":
            raise Refused(403, {"message": "This workflow is already running", "status": "403"})
        run.attempt += 1
        run.is_cancelled, run.completed_at, run.attempt_started_at = False, None, self._state.clock.now()
        again = _with_dependants(run, chosen)
        run.earlier_jobs += again
        run.jobs = [self._new_job(run, job.plan) if job in again else job for job in run.jobs]
        self._progress(run)


def _of_key(run: Run, key: str) -> list[Job]:
    return [job for job in run.jobs if job.plan.key == key]


def _with_dependants(run: Run, chosen: Collection[Job]) -> list[Job]:
    keys = {job.plan.key for job in chosen}
    while more := {job.plan.key for job in run.jobs if keys.intersection(job.plan.needs)} - keys:
        keys |= more
    dependants = keys - {job.plan.key for job in chosen}
    return [job for job in run.jobs if job in chosen or job.plan.key in dependants]


def result_of(run: Run, key: str) -> str:
    """The result of a job key as its dependants see it; the worst of a matrix, a tolerated failure being a success."""
    found = {
        "success" if job.conclusion == "failure" and job.plan.continue_on_error else job.conclusion
        for job in _of_key(run, key)
    }
    return next((word for word in ("failure", "cancelled", "success") if word in found), "skipped")


def needs_context(run: Run, job: Job) -> Mapping[str, Any]:
    """The `needs` context of a job: result and outputs of each key."""
    outputs: dict[str, dict[str, str]] = {}
    for need in job.plan.needs:
        outputs[need] = {name: value for other in _of_key(run, need) for name, value in other.outputs.items()}
    return {need: {"result": result_of(run, need), "outputs": outputs[need]} for need in job.plan.needs}
