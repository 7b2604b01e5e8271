"""What the ledger of lost jobs says next: which are to be rerun, and how often their workflow run was helped already.

One entry per workflow run, since the budget is the run's. An entry outlives its last loss by a day, so that a budget is
not refilled by a restart, and a rerun that is asked for twice is asked for once. Pure.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from actions_gateway.api.ledger import MOST_OF_A_NAME, Cause, LostJob, RerunState, RunEntry

KEEP_SECONDS = 24 * 3600.0
"""GitHub ends every job of a run within a day or so; later, nobody waits for it."""
MOST_BYTES = 800 * 1024
"""Of all entries as text; a ConfigMap holds 1 MiB."""
MOST_RUNS = 1000
MOST_JOBS_OF_A_RUN = 64
"""Decided ones are kept only to recognise a loss that is heard of twice; no more are pending than the budget allows,
or people ask for."""


def reserved(entry: RunEntry, lost: LostJob, *, most_retries: int) -> RunEntry:
    """The entry with a lost job in it, charged to the budget or past it; unchanged when it is known already.

    Of a lost lock nobody here knows whether GitHub or a person ended the job: it is charged to nobody.
    """
    if lost.runner in entry.jobs:
        return entry
    is_manual = lost.cause is Cause.LOCK_LOST
    is_affordable = entry.retries < most_retries and not is_manual
    state = RerunState.MANUAL if is_manual else RerunState.PENDING if is_affordable else RerunState.EXHAUSTED
    jobs = dict(entry.jobs)
    decided_first = sorted(entry.jobs.values(), key=lambda job: job.is_pending)
    for job in decided_first[: max(0, len(jobs) + 1 - MOST_JOBS_OF_A_RUN)]:
        del jobs[job.runner]  # of the decided ones the oldest; a pending one last
    jobs[lost.runner] = replace(lost, name=lost.name[:MOST_OF_A_NAME], state=state)
    return replace(entry, retries=entry.retries + is_affordable, jobs=jobs)


def requested(entry: RunEntry, runner: str, token: str, at: datetime) -> RunEntry:
    """The entry after a person asked for a job's rerun: it waits for it again, whatever was decided, and charges
    nothing; unchanged when that very request was known, or the job is not in it."""
    job = entry.jobs.get(runner)
    if job is None or job.request == token:
        return entry
    asked = replace(job, state=RerunState.PENDING, request=token, not_before=at)
    return replace(entry, jobs={**entry.jobs, runner: asked})


def settled(entry: RunEntry, looked_at: LostJob, state: RerunState) -> RunEntry:
    """The entry after the rerun of a job that was open was decided; unchanged when another agent decided it before, or
    a person has asked for it since it was looked at."""
    job = entry.jobs.get(looked_at.runner)
    if job is None or not job.is_open or (job.state, job.request) != (looked_at.state, looked_at.request):
        return entry
    return replace(entry, jobs={**entry.jobs, job.runner: replace(job, state=state)})


def owned(entry: RunEntry, runner: str) -> RunEntry:
    """The entry after a lost job is ended because of us; unchanged when it is not in it."""
    job = entry.jobs.get(runner)
    return entry if job is None else replace(entry, jobs={**entry.jobs, runner: replace(job, is_own_ending=True)})


def unstarted(entry: RunEntry, runner: str) -> RunEntry:
    """The entry after it turned out that GitHub has seen no worker of a lost job; unchanged when it is not in it."""
    job = entry.jobs.get(runner)
    return entry if job is None else replace(entry, jobs={**entry.jobs, runner: replace(job, is_unstarted=True)})


def is_outlived(entry: RunEntry, now: datetime) -> bool:
    """Whether nobody needs the entry any more."""
    kept = timedelta(seconds=KEEP_SECONDS)
    # One that expired has waited for a day before somebody could be told of it.
    ends = [job.changed_at + kept * (2 if job.state is RerunState.EXPIRED else 1) for job in entry.jobs.values()]
    return not entry.pending and all(now > end for end in ends)


def superfluous(entries: Mapping[int, RunEntry], sizes: Mapping[int, int], now: datetime) -> list[int]:
    """Runs to be dropped: the outlived ones; where too many or too large, those without pending jobs, the oldest first.

    `sizes` are those of the entries as text, in bytes.
    """
    dropped = [run_id for run_id, entry in entries.items() if is_outlived(entry, now)]
    outlived = set(dropped)
    kept = [run_id for run_id in entries if run_id not in outlived]
    size = sum(sizes[run_id] for run_id in kept)
    kept.sort(key=lambda run_id: (bool(entries[run_id].pending), entries[run_id].last_change or now, run_id))
    for left, run_id in zip(range(len(kept), 0, -1), kept, strict=True):
        if left <= MOST_RUNS and size <= MOST_BYTES:
            break
        dropped.append(run_id)
        size -= sizes[run_id]
    return dropped
