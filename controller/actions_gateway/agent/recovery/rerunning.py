"""Rerunning lost jobs: each of its own, once its workflow run has concluded, within the run's budget.

GitHub reruns a job only after its whole run has ended (GitHub REST docs, "Re-run a job from a workflow run": 403 until
then), so each one is looked after at growing distances. Rerunning a run's failed jobs would be one call, and would also
rerun the ones that are red by themselves.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from actions_gateway.agent.basics import Basics, Group
from actions_gateway.agent.recovery.cancellations import is_persons_doing, is_same
from actions_gateway.agent.recovery.ledger import KEEP_SECONDS, owned, reserved, settled, unstarted
from actions_gateway.agent.recovery.looks import LAST_LOOK_SECONDS, NO_MORE, Key, Looks
from actions_gateway.agent.recovery.requests import RerunRequests
from actions_gateway.agent.recovery.store import LedgerStore
from actions_gateway.agent.signals import Signal, first_of, within
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.api.ledger import MOST_OF_A_NAME, Cause, LostJob, RerunState, RunEntry
from actions_gateway.github.errors import (
    Forbidden,
    GitHubError,
    InvalidRequest,
    NotFound,
    PermissionMissing,
    Unauthorized,
)
from actions_gateway.github.payload import RunIdentity
from actions_gateway.github.runs import GitHubRuns, RerunRefused, RunNotConcluded
from actions_gateway.github.secrets import Secret
from actions_gateway.kube.events import EventRecorder
from actions_gateway.metrics.catalog import EVICTION_RETRIES, EVICTION_RETRIES_EXHAUSTED, RERUNS

log = structlog.get_logger(__name__)

_GROUPS_SECONDS = 30.0
"""So long the first look waits for the groups, which events refer to; there may be none."""
_GONE = (NotFound, InvalidRequest, RerunRefused)


@dataclass(frozen=True, slots=True)
class Loss:
    """A job that lost its worker."""

    identity: RunIdentity
    runner: str
    cause: Cause
    is_own_ending: bool
    is_unstarted: bool
    group: dict[str, Any]
    """Its RunnerGroup's manifest."""
    most_retries: int
    delay_seconds: float


def loss_of(
    group: Group,
    identity: RunIdentity,
    runner: str,
    cause: Cause,
    *,
    is_own_ending: bool = False,
    is_unstarted: bool = False,
) -> Loss:
    """The loss of a job of a group, within the group's present limits."""
    retries, delay = group.settings.max_eviction_retries, parse_duration_seconds(group.settings.eviction_retry_delay)
    return Loss(identity, runner, cause, is_own_ending, is_unstarted, group.manifest, retries, delay)


class Reruns:
    """Takes losses in and carries the reruns out."""

    def __init__(
        self,
        runs: GitHubRuns,
        tokens: InstallationTokens,
        store: LedgerStore,
        events: EventRecorder,
        basics: Basics,
    ) -> None:
        self._runs = runs
        self._tokens = tokens
        self._store = store
        self._events = events
        self._basics = basics
        self._clock = basics.clock
        self._changed = Signal()
        self._looks = Looks(basics.clock)
        self._groups: dict[str, dict[str, Any]] = {}
        """The manifests of groups, for events; by name."""
        self._are_groups_known = asyncio.Event()
        self._forbidden: dict[str, type[GitHubError]] = {}
        """By group: how GitHub forbids its reruns, which is told once."""
        self._requests = RerunRequests(store, self._clock, self._changed, self._tell)

    async def lost(self, loss: Loss) -> None:
        """Remembers a lost job; when this returns, a restart forgets nothing of it."""
        identity, name = loss.identity, str(loss.group["metadata"]["name"])
        self.know(loss.group)
        labels = self._basics.labels_of(name)
        if identity.run_id is None or identity.repository is None:
            self._basics.metrics.inc(RERUNS, 1, **labels, outcome="unidentified")
            await self._tell(name, "RerunImpossible", f"the run of the job of runner {loss.runner} is unknown")
            return
        now = self._clock.now()
        lost = LostJob(
            runner=loss.runner,
            job_id=identity.check_run_id,
            name=identity.job_name,
            group=name,
            cause=loss.cause,
            attempt=identity.run_attempt or 0,
            lost_at=now,
            not_before=now + timedelta(seconds=loss.delay_seconds),
            is_own_ending=loss.is_own_ending,
            is_unstarted=loss.is_unstarted,
        )
        before, after = await self._store.change(
            identity.run_id,
            lambda entry: reserved(entry or RunEntry(identity.repository or ""), lost, most_retries=loss.most_retries),
            owners=loss.group["metadata"].get("ownerReferences") or [],
        )
        if before is None or loss.runner not in before.jobs:
            await self._count(identity.run_id, after.jobs[loss.runner])
        self._changed.notify()

    async def _count(self, run_id: int, job: LostJob) -> None:
        is_exhausted = job.state is RerunState.EXHAUSTED
        if job.state is not RerunState.MANUAL:  # those are told by RENEW_JOB_TEARDOWNS and an event of their own
            metric = EVICTION_RETRIES_EXHAUSTED if is_exhausted else EVICTION_RETRIES
            self._basics.metrics.inc(metric, 1, **self._basics.labels_of(job.group), cause=job.cause.value)
        log.info("job lost", runner_group=job.group, run_id=run_id, job=job.name, cause=job.cause, state=job.state)
        if is_exhausted:
            text = f"job {job.name} of run {run_id} was lost ({job.cause.value}) and its run has no retry left"
            await self._tell(job.group, "EvictionRetriesExhausted", f"{text}: gw job rerun {run_id}")

    async def never_started(self, identity: RunIdentity, runner: str) -> None:
        """GitHub turns out to have seen no worker of a lost job, and ends it by its own limit."""
        await self._change(identity, runner, unstarted)

    async def _change(self, identity: RunIdentity, runner: str, change: Callable[[RunEntry, str], RunEntry]) -> None:
        entry = self._store.entries.get(identity.run_id or 0)
        if identity.run_id is not None and entry is not None and runner in entry.jobs:
            await self._store.change(identity.run_id, lambda entry: change(entry or RunEntry(""), runner))

    async def run(self) -> None:
        """Carries reruns out until cancelled."""
        await self._store.load()
        await within(_GROUPS_SECONDS, self._are_groups_known.wait(), self._clock)
        while True:
            changed = self._changed.next
            for key in await self._requests.take():
                self._looks.begin_anew(key)
            wait = await self._work()
            await first_of(changed.wait(), self._clock.sleep(wait))

    async def _work(self) -> float:
        """Looks after every job that is due; the seconds until the next one is."""
        jobs = {(run_id, one.runner): one for run_id, entry in self._store.entries.items() for one in entry.open}
        self._looks.keep(jobs)
        is_due = any(job.is_pending and self._looks.is_due(key, job) for key, job in jobs.items())
        if is_due and self._tokens.peek() is None:
            await within(LAST_LOOK_SECONDS, self._tokens.get(), self._clock)
        for key in self._looks.in_order(jobs):
            if self._looks.is_due(key, jobs[key]) and (job := self._present(key)) is not None:
                self._looks.looked(key, job, await self._look(key[0], job))
        return self._looks.seconds_left(jobs)

    def _present(self, key: Key) -> LostJob | None:
        """The job as the ledger has it by now; None when nothing is open of it any more."""
        entry = self._store.entries.get(key[0])
        job = entry.jobs.get(key[1]) if entry is not None else None
        return job if job is not None and job.is_open else None

    async def _look(self, run_id: int, job: LostJob) -> float | None:
        """One look at a lost job; how long to wait for the next one, where GitHub or its end tells."""
        token, state, why, wait = self._tokens.peek(), RerunState.PENDING, "its run does not end", None
        try:
            if token is None:
                why = "there is no installation token"
            else:
                state = await self._decide(token, run_id, job)
                if job.is_pending:
                    self._forbidden.pop(job.group, None)
        except RunNotConcluded:
            pass
        except _GONE as problem:
            state, why = RerunState.REFUSED, str(problem)
        except GitHubError as problem:
            why, wait = str(problem), problem.retry_after_seconds
            log.info("run not looked at", run_id=run_id, problem=why)
            if isinstance(problem, Unauthorized) and token is not None:
                self._tokens.reject(token)
            if isinstance(problem, Forbidden) and job.is_pending:
                await self._tell_forbidden(run_id, job, problem)
        if state is RerunState.PENDING and self._is_overdue(job, self._clock.now()):
            state = RerunState.EXPIRED
        if state is RerunState.PENDING:
            return wait
        if not job.is_pending and state not in (RerunState.WITHHELD, RerunState.UNNEEDED):
            return NO_MORE
        await self._settle(run_id, job, state, why)
        return wait

    async def _tell_forbidden(self, run_id: int, job: LostJob, problem: Forbidden) -> None:
        """Once for each kind of refusal: it may be lifted, and until then every look meets it."""
        if self._forbidden.get(job.group) is not type(problem):
            self._forbidden[job.group] = type(problem)
            advice = "; grant the GitHub App actions: write" if isinstance(problem, PermissionMissing) else ""
            text = f"job {job.name} of run {run_id} was lost and cannot be rerun for now: {problem}{advice}"
            await self._tell(job.group, "RerunForbidden", text)

    @staticmethod
    def _is_overdue(job: LostJob, now: datetime) -> bool:
        return now - job.changed_at > timedelta(seconds=KEEP_SECONDS)

    async def _decide(self, token: Secret, run_id: int, job: LostJob) -> RerunState:
        entry = self._store.entries.get(run_id)
        if entry is None:
            raise RerunRefused("the ledger has no room for it")
        run = await self._runs.get_run(token, entry.repository, run_id)
        if not run.is_completed:
            return RerunState.PENDING
        latest = await self._runs.list_jobs(token, entry.repository, run_id)
        found = next((one for one in latest if is_same(job, one)), None)
        if found is None:
            # A rerun has put another job in its place, and an earlier agent may have asked for that one.
            is_replaced = any(one.name[:MOST_OF_A_NAME] == job.name and one.attempt > job.attempt for one in latest)
            if is_replaced:
                return RerunState.UNNEEDED
            raise RerunRefused("the run does not show it")
        if found.conclusion == "success":
            return RerunState.UNNEEDED
        limit = self._basics.tunables.unstarted_limit_seconds
        if is_persons_doing(entry, job, run, latest, unstarted_limit_seconds=limit):
            return RerunState.WITHHELD
        if not job.is_pending:
            return job.state
        await self._runs.rerun_job(token, entry.repository, found.id)
        return RerunState.REQUESTED

    async def _settle(self, run_id: int, job: LostJob, state: RerunState, why: str) -> None:
        _, after = await self._store.change(run_id, lambda entry: settled(entry or RunEntry(""), job, state))
        log.info("rerun decided", runner_group=job.group, run_id=run_id, job=job.name, state=state, why=why)
        known = after.jobs.get(job.runner)
        if known is not None and known.request != job.request and state is not RerunState.REQUESTED:
            return  # a person has asked for it meanwhile: the next look tells
        self._basics.metrics.inc(RERUNS, 1, **self._basics.labels_of(job.group), outcome=state.value)
        match state:
            case RerunState.REQUESTED:
                asked = " as was asked for" if job.request else ""
                text = f"job {job.name} of run {run_id} lost its worker ({job.cause.value}) and is rerun{asked}"
                await self._tell(job.group, "JobRerun", text, warning=False)
            case RerunState.WITHHELD:
                asked = " after its rerun was asked for" if job.request else ""
                text = f"job {job.name} of run {run_id} is not rerun: it or its run was cancelled{asked}"
                await self._tell(job.group, "RerunWithheld", text, warning=False)
            case RerunState.REFUSED | RerunState.EXPIRED:
                text = f"job {job.name} of run {run_id} lost its worker and cannot be rerun ({state.value}: {why})"
                await self._tell(job.group, "RerunFailed", f"{text}; look at the run")
            case _:
                pass

    def ask(self, group: dict[str, Any]) -> None:
        """A group's present manifest, whose annotation may ask for reruns."""
        self._requests.hear(group)

    def know(self, group: dict[str, Any]) -> None:
        """A group's present manifest, which events of its jobs refer to."""
        self._groups[str(group["metadata"]["name"])] = group
        self._are_groups_known.set()

    async def _tell(self, group: str, reason: str, message: str, *, warning: bool = True) -> None:
        if (manifest := self._groups.get(group)) is not None:
            await self._events.record(manifest, reason, message, action="Rerun", warning=warning)

    # -- endings -------------------------------------------------------------------------------------------------

    async def end_unstarted(self, identity: RunIdentity, runner: str) -> bool:
        """Ends a job that no worker ever started, where that ends nothing else; whether it did.

        GitHub cancels whole runs only, so the job has to be the last of its run that goes on; any other one ends by
        GitHub's own limit for jobs that do not start.
        """
        if identity.run_id is None or identity.repository is None:
            return False
        token = self._tokens.peek()
        if token is None:
            return False
        try:
            jobs = await self._runs.list_jobs(token, identity.repository, identity.run_id)
            going_on = [job for job in jobs if not job.is_completed]
            if [job.runner_name for job in going_on] != [runner]:
                return False
            # Before, so that nobody takes it for a person's doing, whoever looks at it later.
            await self._change(identity, runner, owned)
            return await self._runs.force_cancel(token, identity.repository, identity.run_id)
        except GitHubError as problem:
            log.info("run not cancelled", run_id=identity.run_id, problem=str(problem))
            return False

    async def find(self, runner: str, repositories: list[str]) -> RunIdentity | None:
        """The job that a runner has, by a look through the runs in progress; raises GitHubError."""
        token = await self._tokens.get()
        for repository in repositories:
            for run in await self._runs.list_running(token, repository):
                for job in await self._runs.list_jobs(token, repository, run.id):
                    if job.runner_name == runner and not job.is_completed:
                        return RunIdentity(repository, run.id, job.attempt, job.id, job.name)
        return None
