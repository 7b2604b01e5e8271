"""One claimed job, from its claim or its adoption to its end.

The lock is renewed from the first moment, while Secret and pod are still being made, until the worker has ended. A
worker that cannot be started is retried for as long as the group's retries and its `pendingPodDeadline` allow. A job
that never started is not completed, since a green job that did not run is worse than a late red one; like every job
whose worker was taken away it goes into the ledger, to be rerun. The slot is freed last, so that whenever the agent
dies, the next one finds the job and does what is left to do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.outcome import Outcome, PodView, Result, judge
from actions_gateway.agent.jobs.plans import complete_duplicate, skipped_at
from actions_gateway.agent.jobs.renewing import Loss, Renewal
from actions_gateway.agent.jobs.reporting import NO_RESULT, Completion, annotation_text, complete
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.starting import Start, Starter
from actions_gateway.agent.jobs.trouble import Trouble
from actions_gateway.agent.jobs.watching import Step, Watch, decide_step
from actions_gateway.agent.jobs.worker import Worker
from actions_gateway.agent.recovery.rerunning import loss_of
from actions_gateway.agent.signals import first_of
from actions_gateway.agent.writing import until_written
from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.api.ledger import Cause
from actions_gateway.github.runservice import Conclusion
from actions_gateway.kube.errors import KubeError
from actions_gateway.metrics.catalog import JOB_DURATION, POD_CREATION_LATENCY, RENEW_JOB_TEARDOWNS, WORKER_PODS_REAPED

log = structlog.get_logger(__name__)

_STEP_PAUSE_SECONDS = 1.0
_FAILED_PAUSE_SECONDS = 60.0
_ASIDE_LOOK_SECONDS = 30.0

_UNSTARTED = Outcome(
    Result.LOST,
    is_reported=False,
    has_started=False,
    detail="its worker could not be started",
    cause=Cause.ABANDONED,
)


class Job:
    """The task of one job; `run` ends when nothing of it is left but its pod.

    `found` is the pod that an adopted job has, as it was seen; an adopted job without one has yet to be started.
    """

    def __init__(
        self,
        claimed: ClaimedJob,
        group: Group,
        services: JobServices,
        *,
        on_change: Callable[[], None],
        found: PodView | None = None,
    ) -> None:
        self._claimed = claimed
        self._group = group
        self._services = services
        basics = self._basics = services.basics
        self._clock = basics.clock
        self._on_change = on_change
        self._changed = claimed.line.changed
        """Fires for whatever the watch has to look at: pod, lock, cancellation."""
        self.worker = Worker(claimed, group, services, found=found)
        self.renewal = Renewal(claimed.service, basics, request_id=claimed.request_id, on_loss=self._changed.notify)
        self.is_running = found is not None and found.has_started
        """The worker has started."""
        self.has_ended = False
        self._is_scheduled = claimed.is_adopted
        """Its latency was measured, or cannot be."""
        self._last_view = found
        self._watch = Watch(created=self._clock.monotonic())
        self._deleted_for: Step | None = None
        self._labels = basics.labels_of(group.name)
        bound = self._log = log.bind(runner_group=group.name, pod=self.worker.name, request_id=claimed.request_id)
        self._starter = Starter(
            claimed, group, services, self.worker, self.renewal, tell=self._tell, on_change=on_change, log=bound
        )

    @property
    def runner_name(self) -> str:
        """The registration that took the job."""
        return self._claimed.runner_name

    @property
    def refusal(self) -> str:
        """Why the API server does not admit its pod; empty when it does."""
        return self._starter.refusal

    @property
    def trouble(self) -> Trouble | None:
        """What keeps its worker from running; None while nothing does."""
        return self._last_view.trouble if self._last_view is not None else None

    @property
    def is_settled(self) -> bool:
        """Whether its pod exists, or will not be made by this agent: nothing is half-done."""
        return self._starter.settled.is_set()

    async def leave(self) -> None:
        """The agent ends: returns when nothing of the job is half-done."""
        self._starter.leave()
        await self._starter.settled.wait()

    @property
    def waiting_since(self) -> float | None:
        """From when on the job has waited for its worker to run (monotonic clock); None once it runs or has ended."""
        return None if self.is_running or self.has_ended else self._claimed.first_delivered

    @property
    def unheld_since(self) -> float | None:
        """The same without the time for which its group's own ceiling held it."""
        return None if (since := self.waiting_since) is None else since + self._claimed.held_seconds

    def pod_changed(self, view: PodView) -> None:
        """The watch has something new about the pod of this job's name."""
        self.worker.saw(view)
        if view.uid == self.worker.uid:
            self._last_view = view
        self._changed.notify()

    async def run(self) -> None:
        """Carries the job to its end and frees its place and its slot."""
        try:
            outcome = await self._carry_out()
            self._free_place(outcome)
            self._services.plans.ended(self._claimed.plan_id, await self._settle(outcome))
            if self._starter.other is not None and outcome.cause is None:
                await self._stand_aside()
            if not self.worker.uid:
                # Nothing of a job that was given up may be left, not even a pod whose creation seemed to fail.
                await until_written(self.worker.withdraw, self._basics, what=f"withdrawal of {self.worker.name}")
            await self._services.slots.release(self._claimed.slot)
        except Exception:
            self._log.exception("job task failed")
            if not self.has_ended:
                self._free_place(replace(_UNSTARTED, detail="its task failed"))
            self._services.plans.ended(self._claimed.plan_id, Result.LOST)
            await self._tell("JobTaskFailed", f"the task of pod {self.worker.name} failed: see the agent's log")
            # Nothing is known of its pod: the slot stays, and what it says is gone by, as after a restart.
            await self._clock.sleep(_FAILED_PAUSE_SECONDS)
            self._services.slots.disown(self._claimed.slot)

    async def _carry_out(self) -> Outcome:
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(self.renewal.run(), name=f"renew {self.worker.name}")
            try:
                return await (self._follow() if self.worker.uid else self._start_and_follow())
            finally:
                renewing.cancel()

    def _free_place(self, outcome: Outcome) -> None:
        self.has_ended = True
        self._starter.settled.set()
        self._claimed.reservation.release()
        self._claimed.line.ended.set()
        seconds = self._clock.monotonic() - self._claimed.claimed
        self._basics.metrics.observe(JOB_DURATION, seconds, **self._labels, result=outcome.result.value)
        cause = outcome.cause.value if outcome.cause else ""
        self._log.info(
            "job ended", result=outcome.result.value, cause=cause, detail=outcome.detail, seconds=round(seconds, 1)
        )
        self._on_change()

    # -- start ---------------------------------------------------------------------------------------------------

    async def _start_and_follow(self) -> Outcome:
        match await self._starter.run():
            case Start.PLACED:
                return await self._follow()
            case Start.ELSEWHERE:
                return replace(_UNSTARTED, is_reported=True, detail="another agent's worker runs it", cause=None)
            case Start.POINTLESS:
                return replace(self._unstarted(), cause=None)
            case Start.GIVEN_UP:
                return self._unstarted()

    def _unstarted(self) -> Outcome:
        if self._claimed.line.cancel_deadline is not None:
            text = "cancelled before its worker started"
            return replace(_UNSTARTED, result=Result.CANCELED, detail=text, cause=None)
        return self._without_lock(_UNSTARTED) if self.renewal.loss is not None else _UNSTARTED

    def _without_lock(self, outcome: Outcome) -> Outcome:
        """The job is not ours any more: nothing may be said about it.

        It is rerun only when GitHub ended it since it had not started for too long, or may have given it to nobody;
        before that limit, a person ended it. One that had started was ended by whatever it was: a person decides.
        """
        age = self._clock.monotonic() - self._claimed.claimed
        is_limit = self.renewal.loss is Loss.LOCK_EXPIRED or age >= self._basics.tunables.unstarted_limit_seconds
        has_succeeded = outcome.is_reported and outcome.result is Result.SUCCEEDED
        cause = Cause.ABANDONED if is_limit else None
        if outcome.has_started:
            cause = None if has_succeeded else Cause.LOCK_LOST
        return replace(outcome, result=Result.LOST, is_reported=True, detail="its lock was lost", cause=cause)

    async def _stand_aside(self) -> None:
        """Completes this delivery as skipped once the other agent's worker has started: GitHub cancels a job of which a
        claimed delivery stays open, and one that is skipped concludes nothing (see `Plans`)."""
        due = skipped_at(self._claimed.claimed, self._basics)
        while True:
            changed, view = self._changed.next, self._services.pods.get(self.worker.name) or self._starter.other
            left = due - self._clock.monotonic()
            if left <= 0 or (view is not None and (view.has_started or view.has_ended)):
                said = await complete_duplicate(self._claimed.service, Conclusion.SKIPPED, self._basics, self._log)
                # Its container may run for some moments before GitHub hears from it.
                if said is not Completion.UNSTARTED or left <= 0:
                    return
            await first_of(changed.wait(), self._clock.sleep(min(max(left, 0.0), _ASIDE_LOOK_SECONDS)))

    # -- watch ---------------------------------------------------------------------------------------------------

    async def _follow(self) -> Outcome:
        """The outcome of the worker; acts on cancellations, a lost lock and a worker that does not start."""
        self._starter.settled.set()
        self._claimed.reservation.placed()
        is_cancelled = self._claimed.line.cancel_deadline is not None
        now = self._clock.monotonic()
        pending_due = now + parse_duration_seconds(self._group.settings.pending_pod_deadline)
        self._watch = Watch(created=now, pending_due=pending_due, is_cancellation_shown=is_cancelled)
        if self._last_view is None or not self._last_view.has_ended:
            # The watch may have told more since it was found; of what it shows no more, the API server is asked.
            self._last_view = self.worker.view
        is_unseen_end = self._claimed.is_adopted and self._last_view is not None and self._last_view.is_gone
        if is_unseen_end and not await self._is_still_ours():
            return self._without_lock(replace(_UNSTARTED, has_started=True))
        while True:
            changed = self._changed.next
            if (outcome := self._look_at_pod()) is not None:
                return self._final(outcome)
            self._watch = self._updated_watch()
            step, wait = decide_step(self._watch, now=self._clock.monotonic(), tunables=self._basics.tunables)
            if step is not Step.WAIT:
                wait = await self._take(step)
            if wait > 0:
                await first_of(changed.wait(), self._clock.sleep(wait))

    async def _is_still_ours(self) -> bool:
        """Asked for a worker that vanished while no agent ran: if GitHub has ended the job, it ended for a reason."""
        await self.renewal.renew_once()
        if self.renewal.loss is None:
            return True
        text = f"pod {self.worker.name} vanished while no agent ran, and GitHub has ended its job: look at the run"
        await self._tell("JobLockLost", text)
        return False

    def _look_at_pod(self) -> Outcome | None:
        view = self._last_view
        if view is None:
            return None
        if view.is_scheduled and not self._is_scheduled:
            self._is_scheduled = True
            waited = self._clock.monotonic() - self._claimed.first_delivered - self._claimed.held_seconds
            self._basics.metrics.observe(POD_CREATION_LATENCY, max(0.0, waited), **self._labels)
        if view.has_started and not self.is_running:
            self.is_running = True
            self._claimed.reservation.started()
            self._on_change()
        return judge(view, has_started=self.is_running)

    def _updated_watch(self) -> Watch:
        watch, deadline, now = self._watch, self._claimed.line.cancel_deadline, self._clock.monotonic()
        if deadline is not None and watch.cancel_deadline is None:
            watch = replace(watch, cancel_deadline=now + (deadline - self._clock.now()).total_seconds())
        if self.renewal.loss is not None and watch.lost is None:
            watch = replace(watch, lost=now)
        if self.is_running:
            watch = replace(watch, pending_due=None)
        elif (trouble := self.trouble) is not None and trouble.is_permanent and watch.pending_due is not None:
            watch = replace(watch, pending_due=min(now, watch.pending_due))
        due = self._last_view.deletion_due if self._last_view is not None else None
        if due is not None and watch.unreachable_due is None:
            left = (due - self._clock.now()).total_seconds() + self._basics.tunables.unreachable_node_seconds
            watch = replace(watch, unreachable_due=now + left)
        return replace(watch, is_seen=self._last_view is not None)

    async def _take(self, step: Step) -> float:
        """Carries out a step; the seconds to wait before the next look, 0 when it is done."""
        try:
            match step:
                case Step.SHOW_CANCELLATION:
                    await self.worker.show_cancellation()
                    self._watch = replace(self._watch, is_cancellation_shown=True)
                    self._log.info("job cancelled at GitHub")
                case Step.DELETE_CANCELLED | Step.DELETE_LOST | Step.DELETE_PENDING:
                    await self._delete(step)
                case Step.LOOK:
                    self._last_view = await self._looked()
                case Step.TAKE_FOR_GONE:
                    await self._tell("WorkerNodeLost", f"pod {self.worker.name} is deleted and does not end")
                    self._last_view = replace(self._last_view, is_gone=True) if self._last_view is not None else None
                case Step.WAIT:
                    pass
                case _:
                    assert_never(step)
        except KubeError as problem:
            self._log.warning("job step failed", step=step.value, problem=problem.message)
            return max(_STEP_PAUSE_SECONDS, problem.retry_after_seconds or 0.0)
        return 0.0

    async def _looked(self) -> PodView:
        """The pod as the API server has it; an end of which the watch has told meanwhile is the later word."""
        view, shown = await self.worker.look(), self.worker.view
        return shown if shown is not None and shown.has_ended else view

    async def _delete(self, step: Step) -> None:
        if step is not Step.DELETE_CANCELLED:
            # The watch may lag behind: a worker that has ended, or has started, is not to be torn down.
            self._last_view = view = await self._looked()
            if view.has_ended or (step is Step.DELETE_PENDING and view.has_started):
                return
        await self.worker.delete(step.value)
        self._watch = replace(self._watch, is_deleted=True)
        self._deleted_for = step
        self._basics.metrics.inc(WORKER_PODS_REAPED, 1, **self._labels, reason=step.value)
        if step is Step.DELETE_LOST:
            loss = self.renewal.loss or Loss.JOB_NOT_FOUND
            namespace = self._basics.namespace
            self._basics.metrics.inc(RENEW_JOB_TEARDOWNS, namespace=namespace, reason=loss.value)
            await self._tell("JobLockLost", f"pod {self.worker.name} is deleted: the lock of its job is lost")
        if step is Step.DELETE_PENDING:
            self._claimed.reservation.failed()
            why = trouble.text if (trouble := self.trouble) is not None else "its worker did not start in time"
            await self._tell("WorkerPodStuckPending", f"pod {self.worker.name} is deleted: {why}")

    def _final(self, outcome: Outcome) -> Outcome:
        if self._claimed.line.cancel_deadline is not None:
            # A person ended it, whatever became of its worker meanwhile.
            result = outcome.result if outcome.is_reported else Result.CANCELED
            return replace(outcome, result=result, cause=None)
        return self._without_lock(outcome) if self._deleted_for is Step.DELETE_LOST else outcome

    # -- end -----------------------------------------------------------------------------------------------------

    async def _settle(self, outcome: Outcome) -> Result:
        """Says and remembers what the end of the worker leaves to say; the result that GitHub has for the job."""
        if outcome.cause is not None:
            await self._remember(outcome, outcome.cause)
        if outcome.is_reported:
            return outcome.result
        said = await self._complete(outcome) if outcome.has_started else Completion.UNSTARTED
        if said is Completion.UNSTARTED and outcome.result is Result.LOST and not self._claimed.is_adopted:
            # An adopted job has no session that would have heard of a cancellation: GitHub's own limit ends it, and
            # what ends it before is a person.
            await self._services.reruns.end_unstarted(self._claimed.identity, self.runner_name)
        is_canceled = outcome.result is Result.CANCELED
        return Result.LOST if said is Completion.UNSTARTED else Result.CANCELED if is_canceled else Result.FAILED

    async def _remember(self, outcome: Outcome, cause: Cause) -> None:
        loss = loss_of(
            self._group,
            self._claimed.identity,
            self.runner_name,
            cause,
            # A worker that was told to stop reports its job as cancelled, without a person.
            is_own_ending=outcome.has_started and outcome.result is Result.CANCELED,
            is_unstarted=not outcome.has_started,
        )
        await self._services.reruns.lost(loss)

    async def _complete(self, outcome: Outcome) -> Completion:
        conclusion = "canceled" if outcome.result is Result.CANCELED else "failed"
        said = await complete(
            self._claimed.service,
            conclusion,
            title=NO_RESULT,
            message=annotation_text(outcome),
            basics=self._basics,
            log=self._log,
        )
        age, tunables = self._clock.monotonic() - self._claimed.claimed, self._basics.tunables
        if said is Completion.UNSTARTED and age > tunables.unstarted_limit_seconds + tunables.lock_lost_grace_seconds:
            # GitHub keeps no job so long of which it has seen no worker: the job's token has expired.
            return Completion.UNKNOWN
        if said is Completion.UNSTARTED and outcome.cause is not None:
            await self._services.reruns.never_started(self._claimed.identity, self.runner_name)
        return said

    async def _tell(self, reason: str, message: str) -> None:
        self._log.warning("job in trouble", reason=reason, problem=message)
        await self._services.events.record(self._group.manifest, reason, message, action="Run", warning=True)
