"""What became of claimed jobs: which ended without their worker's word, which against it, and who is told of that."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from actions_gateway.api.ledger import Cause
from actions_gateway.github.runservice import Conclusion
from actions_gateway.metrics import catalog
from gateway_sandbox.github.models import Job
from simulation.ceilings import group_of, pod_name_of
from simulation.cluster import Json
from simulation.loop import EPOCH
from simulation.workers import Blow

if TYPE_CHECKING:
    from simulation.world import World

_CLAIM_SECONDS = 10.0
"""A group may be deleted while a claim is under way."""
_NO_WORKER, _TORN_DOWN = "no worker", "torn down"
_DISRUPTIONS = tuple(blow for blow in Blow if blow is not Blow.CRASH)
_LOST_LOCK = "JobLockLost"
"""The event of a worker that is deleted since GitHub no longer knows its job: what ended the job, it does not say."""
_LOCK_FAULTS = ("renew-", "lock-", "run-", "github-")
_CLAIM_FAULTS = ("acquire-", "run-", "github-")


class Losses:
    """The fates of one world's jobs."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._deleted_groups: list[tuple[str, float]] = []
        self._ledgers: list[tuple[float, list[Json]]] = []
        """Those that were deleted with their tenant."""
        self._faults: list[tuple[str, float, float]] = []
        self._cut: set[str] = set()
        """Deliveries, by request id, that an agent died of claiming: nobody may know their tokens."""

    # -- what is noted -------------------------------------------------------------------------------------------

    def group_deleted(self, name: str) -> None:
        """Its jobs end with it."""
        self._deleted_groups.append((name, self._world.loop.time()))

    def ledger_deleted(self) -> None:
        """The tenant's ConfigMaps are about to go: nothing that they hold will be rerun."""
        self._ledgers.append((self._world.loop.time(), self._world.cluster.all("configmaps")))

    def faulty(self, name: str, since: float) -> None:
        """GitHub had a fault until now."""
        self._faults.append((name, since, self._world.loop.time()))

    def claims_cut(self, request_ids: set[str]) -> None:
        """An agent died while these claims may have been answered and were not written down."""
        self._cut |= request_ids

    # -- single jobs ---------------------------------------------------------------------------------------------

    def why_final(self, job: Job) -> str:
        """Why nobody may rerun it; empty when one may."""
        world = self._world
        if job.plan_id in world.cancelled_plans and job.conclusion == "cancelled":
            return "was cancelled by a person"
        for execution in world.executions.get(job.plan_id, ()):
            if execution.reported is Conclusion.SUCCEEDED:
                return "had succeeded"
            if execution.reported is Conclusion.FAILED and not execution.was_disrupted:
                return "had failed by itself"
        return ""

    def _lost(self) -> list[tuple[Job, str, str]]:
        """Claimed jobs that ended without their worker's word: the job, its group, and how."""
        world, found = self._world, []
        for job in world.github.jobs():
            claims = [delivery for delivery in job.deliveries if delivery.token]
            if not claims or not job.is_done or self.why_final(job):
                continue
            executions = world.executions.get(job.plan_id, [])
            if any(one.reported is not None and not one.was_disrupted for one in executions):
                continue
            blow = next((one.blow for one in executions if one.blow is not None), None)
            if blow is Blow.CRASH and job.conclusion == "failure" and job.completion_count:
                continue  # the agent has completed it, with an annotation
            how = blow.value if blow else _TORN_DOWN if executions else _NO_WORKER
            found.append((job, group_of(claims[0]), how))
        return found

    def _is_cancelled(self, job: Job) -> bool:
        return (job.run.id, job.attempt) in self._world.cancelled_runs

    def _went_with_its_group(self, job: Job) -> bool:
        """Whether its group was deleted between its claim and its end."""
        _, ended = _seconds(job)
        claims = [delivery for delivery in job.deliveries if delivery.token]
        return any(
            name == group_of(delivery)
            and self._world.invariants.ceilings.claims[pod_name_of(delivery)] - _CLAIM_SECONDS < at <= ended
            for name, at in self._deleted_groups
            for delivery in claims
        )

    def _met(self, job: Job, prefixes: tuple[str, ...]) -> bool:
        """Whether GitHub had one of these faults between the job's claim and its end."""
        began, ended = _seconds(job)
        return any(
            name.startswith(prefixes) and since <= ended and until >= began for name, since, until in self._faults
        )

    @staticmethod
    def _names_of(job: Job) -> list[str]:
        claims = [delivery for delivery in job.deliveries if delivery.token]
        return [name for delivery in claims for name in (delivery.runner.name, pod_name_of(delivery))]

    def _written(self, *reasons: str, but: str = "") -> str:
        """The ledger and the events but those of one reason; with reasons, only what has one of them.

        That a lock was lost stands in the ledger, too, and says no more there than its event.
        """
        world = self._world
        events = [one for one in world.cluster.all("events") if not reasons or one.get("reason") in reasons]
        maps = [*(one for _, ledger in self._ledgers for one in ledger), *world.cluster.all("configmaps")]
        ledger = [job for one in maps for job in _jobs_of(one) if (_LOST_LOCK in reasons) is _is_lost_lock(job)]
        said = [] if reasons and _LOST_LOCK not in reasons else ledger
        return json.dumps([said, [one for one in events if not but or one.get("reason") != but]])

    def _is_told_of(self, job: Job) -> bool:
        """Whether a person asked for it, or the ledger or an event names the job, by its runner or its pod."""
        if self._is_cancelled(job) or self._went_with_its_group(job):
            return True
        names, written, torn_down = self._names_of(job), self._written(but=_LOST_LOCK), self._written(_LOST_LOCK)
        if any(name in written for name in names):
            return True
        return any(name in torn_down for name in names) and self._had_lost_its_lock(job)

    def _had_lost_its_lock(self, job: Job) -> bool:
        """Whether a worker that was torn down could not have gone on: its job was over, or GitHub said so."""
        executions = self._world.executions.get(job.plan_id, [])
        was_unseen = not any(delivery.is_started for delivery in job.deliveries)
        had_its_end = any(one.reported is not None or one.blow is not None for one in executions)
        return was_unseen or had_its_end or self._met(job, _LOCK_FAULTS) or self._has_lost_claim(job)

    def _has_lost_claim(self, job: Job) -> bool:
        """Whether a delivery of it was claimed and its token got lost, and an event says so."""
        is_faulty, told = self._met(job, _CLAIM_FAULTS), self._written("JobUnidentified")
        lost = [one for one in job.deliveries if one.token and (is_faulty or one.request_id in self._cut)]
        return any(delivery.runner.name in told for delivery in lost)

    def _is_to_be_rerun(self, job: Job) -> bool:
        """Whether the agent could know that nobody wants it to stay lost."""
        world = self._world
        # With a silent watch, a lock that is gone is all that an agent hears of the end of a worker.
        was_blind = world.profile.kube_faults and world.agents.total(catalog.RENEW_JOB_TEARDOWNS)
        # A pod that went while no agent ran, and whose job GitHub has ended since, may have failed by itself; a claim
        # that was cut off may not be found.
        blind = self._written(_LOST_LOCK, "JobUnidentified")
        was_blind = was_blind or any(name in blind for name in self._names_of(job))
        _, ended = _seconds(job)
        was_blind = was_blind or any(at >= ended for at, _ in self._ledgers)
        return not was_blind and not self._is_cancelled(job) and not self._went_with_its_group(job)

    # -- all jobs ------------------------------------------------------------------------------------------------

    def unexplained(self) -> list[str]:
        """What nobody can understand who looks at it."""
        found = list(self._spoiled())
        lost = self._lost()
        untold: dict[str, list[str]] = {}
        for job, group, how in lost:
            what = f"{job.plan.name} of run {job.run.id} ({how}, {job.conclusion})"
            if not self._is_told_of(job):
                untold.setdefault(group, []).append(what)
            losses = sum(1 for other, *_ in lost if other.run is job.run)
            is_rerun = later(job, job.run.attempt + 1)
            if not is_rerun and losses <= self._world.profile.retries and self._is_to_be_rerun(job):
                if how in _DISRUPTIONS:
                    found.append(f"disrupted job not rerun: {what}")
                elif how == _NO_WORKER:
                    found.append(f"unstarted job not rerun: {what}")
        for group, jobs in untold.items():
            # Told one by one, in the ledger or by an event; where those may not be written, by the metrics alone.
            if not self._world.profile.kube_faults:
                found += [f"job lost silently: {what}" for what in jobs]
            elif any(name == group for name, _ in self._deleted_groups):
                continue  # its metrics went with it
            elif (told := self._told(group)) < (count := sum(1 for _, other, _ in lost if other == group)):
                found.append(f"job lost silently: {count} in {group}, {told:.0f} told: {', '.join(jobs)}")
        return found

    def _spoiled(self) -> Iterator[str]:
        """Jobs that succeeded at their worker and not at GitHub."""
        world = self._world
        for job in world.github.jobs():
            reported = [one.reported for one in world.executions.get(job.plan_id, ())]
            if Conclusion.SUCCEEDED not in reported or not job.is_done or job.conclusion == "success":
                continue
            is_told = self._has_lost_claim(job) or self._has_unheard_completion(job)
            if not is_told and not self._is_cancelled(job) and not self._went_with_its_group(job):
                yield f"green job spoiled: {job.plan.name} of run {job.run.id} is {job.conclusion}"

    def _has_unheard_completion(self, job: Job) -> bool:
        """Whether GitHub took no completion for a while, and the metric says that one was given up."""
        groups = {group_of(delivery) for delivery in job.deliveries if delivery.token}
        given_up = sum(
            self._world.agents.total(catalog.DUPLICATE_COMPLETIONS, runner_group=group, outcome="error")
            for group in groups
        )
        return bool(given_up) and self._met(job, ("complete-", "run-", "github-"))

    def _told(self, group: str) -> float:
        """How many lost jobs, rerun or not, the metrics of the group tell of."""
        total, own = self._world.agents.total, {"runner_group": group}
        refused = ("already_claimed", "acquirejob_failed")
        return (
            sum(total(catalog.JOB_ACQUISITION_ERRORS, **own, reason=reason) for reason in refused)
            + total(catalog.JOB_DURATION, **own, result="lost")
            + sum(total(catalog.JOBS_ADOPTED, **own, outcome=one) for one in ("found", "unidentified"))
        )

    def gap_kills(self) -> dict[str, int]:
        """What became of the jobs whose agent was killed between the claim's answer and the payload's write."""
        found: Counter[str] = Counter()
        for plan_id, job in self._world.gaps.items():
            if plan_id in self._world.executions:
                found["run all the same"] += 1
            elif later(job, job.run.attempt + 1):
                found["rerun"] += 1
            else:
                found[f"concluded {job.conclusion}"] += 1
        return dict(found)


def _jobs_of(ledger: Json) -> list[Json]:
    """The entries of a ledger's jobs."""
    entries = [json.loads(text) for key, text in (ledger.get("data") or {}).items() if key.isdecimal()]
    return [job for entry in entries for job in entry["jobs"]]


def _is_lost_lock(job: Json) -> bool:
    return bool(job["cause"] == Cause.LOCK_LOST.value)


def later(job: Job, before: int) -> bool:
    """Whether the job has a later attempt than its own, below `before`."""
    others = (*job.run.jobs, *job.run.earlier_jobs)
    return any(one.plan.name == job.plan.name and job.attempt < one.attempt < before for one in others)


def _seconds(job: Job) -> tuple[float, float]:
    """Claim and end of a job, on the loop's clock."""
    began, ended = job.started_at, job.completed_at
    return (
        (began - EPOCH).total_seconds() if began else float("-inf"),
        (ended - EPOCH).total_seconds() if ended else float("inf"),
    )
