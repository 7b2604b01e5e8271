"""What the jobs of a sandbox's run printed."""

from dataclasses import dataclass

from gw.errors import Refused
from gw.sources.simulator import JobFact, RunFact, Simulator


@dataclass(frozen=True, slots=True)
class JobLog:
    """One job and its output."""

    job: JobFact
    text: str


@dataclass(frozen=True, slots=True)
class RunLogs:
    """The output of one job or of all jobs of a run."""

    run: RunFact
    logs: tuple[JobLog, ...]


async def read_logs(simulator: Simulator, *, run_id: int | None, job: str | None) -> RunLogs:
    """The logs of the named run, else of the latest one; raises Refused when there is no such run or job."""
    run = await _run(simulator, run_id)
    jobs = run.jobs if job is None else (_job(run, job),)
    return RunLogs(run, tuple([JobLog(each, await simulator.job_log(run.id, each.id)) for each in jobs]))


async def _run(simulator: Simulator, run_id: int | None) -> RunFact:
    runs = {run.id: run for run in await simulator.list_runs()}
    if not runs:
        raise Refused("the sandbox has run nothing yet", "Give it a workflow with `gw sandbox run FILE`.")
    if run_id is not None and run_id not in runs:
        raise Refused(f"the sandbox has no run {run_id}", f"Name one of: {', '.join(map(str, runs))}.")
    return runs[max(runs) if run_id is None else run_id]


def _job(run: RunFact, wanted: str) -> JobFact:
    """By id or name; else the only one whose name begins so."""
    exact = [job for job in run.jobs if wanted in (str(job.id), job.name)]
    matching = exact or [job for job in run.jobs if job.name.startswith(wanted)]
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(job.name for job in (matching or run.jobs))
    what = f"run {run.id} has {'several jobs' if matching else 'no job'} {wanted!r}"
    raise Refused(what, f"Name one of: {names}.")
