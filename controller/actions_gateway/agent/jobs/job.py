"""One claimed job, from its claim to its end.

The lock is renewed from the first moment, while Secret and pod are still being made, until the worker has ended. A
worker that cannot be started is retried for as long as the group's `pendingPodDeadline` allows. A job that never
started is not completed, since a green job that did not run is worse than a late red one: its lock is left to lapse.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import structlog

from actions_gateway.agent.basics import Group
from actions_gateway.agent.jobs.acquirer import ClaimedJob
from actions_gateway.agent.jobs.outcome import Outcome, PodView, Result, judge
from actions_gateway.agent.jobs.renewing import Loss, Renewal
from actions_gateway.agent.jobs.reporting import report
from actions_gateway.agent.jobs.services import JobServices
from actions_gateway.agent.jobs.watching import Step, Watch, decide_step
from actions_gateway.agent.jobs.worker import Worker
from actions_gateway.agent.signals import first_of
from actions_gateway.agent.writing import until_written
from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.kube.errors import KubeError, NamespaceTerminating
from actions_gateway.metrics.catalog import JOB_DURATION, POD_CREATION_LATENCY, RENEW_JOB_TEARDOWNS, WORKER_PODS_REAPED

log = structlog.get_logger(__name__)

_STEP_PAUSE_SECONDS = 1.0

_UNSTARTED = Outcome(Result.LOST, is_reported=False, has_started=False, detail="its worker could not be started")


class Job:
    """The task of one job; `run` ends when nothing of it is left but its pod."""

    def __init__(
        self, claimed: ClaimedJob, group: Group, services: JobServices, *, on_change: Callable[[], None]
    ) -> None:
        self._claimed = claimed
        self._group = group
        self._services = services
        basics = self._basics = services.basics
        self._clock = basics.clock
        self._on_change = on_change
        self._changed = claimed.line.changed
        """Fires for whatever the watch has to look at: pod, lock, cancellation."""
        self.worker = Worker(claimed, group, services)
        self.renewal = Renewal(claimed.service, basics, request_id=claimed.request_id, on_loss=self._changed.notify)
        self.is_running = False
        """The worker has started."""
        self.has_ended = False
        self.refusal = ""
        """Why the API server does not admit its pod; empty when it does."""
        self.placed = asyncio.Event()
        """The pod exists, or will not be made: nothing is half-done."""
        self._is_scheduled = False
        self._last_view: PodView | None = None
        self._watch = Watch(created=self._clock.monotonic())
        self._deleted_for: Step | None = None
        self._labels = basics.labels_of(group.name)
        self._log = log.bind(runner_group=group.name, pod=self.worker.name, request_id=claimed.request_id)

    @property
    def runner_name(self) -> str:
        """The registration that took the job."""
        return self._claimed.runner_name

    def pod_changed(self, view: PodView) -> None:
        """The watch has something new about the pod of this job's name."""
        if view.uid == self.worker.uid:
            self._last_view = view
        self._changed.notify()

    async def run(self) -> None:
        """Carries the job to its end and frees its place and its slot."""
        try:
            outcome = await self._carry_out()
            self._free_place(outcome)
            if outcome.has_started and not outcome.is_reported:
                await report(self._claimed, outcome, services=self._services, log=self._log)
            if not self.worker.uid:
                # Nothing of a job that was given up may be left, not even a pod whose creation seemed to fail.
                await until_written(self.worker.withdraw, self._basics, what=f"withdrawal of {self.worker.name}")
            await self._services.slots.release(self._claimed.slot)
        except Exception:
            self._log.exception("job task failed")
            # Nothing is known of its pod: the slot stays, so that a worker that starts late finds its Secret.
            if not self.has_ended:
                self._free_place(replace(_UNSTARTED, detail="its task failed"))

    async def _carry_out(self) -> Outcome:
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(self.renewal.run(), name=f"renew {self.worker.name}")
            try:
                return await self._follow() if await self._start() else self._unstarted()
            finally:
                renewing.cancel()

    def _free_place(self, outcome: Outcome) -> None:
        self.has_ended = True
        self.placed.set()
        self._claimed.reservation.release()
        self._services.plans.discard(self._claimed.plan_id)
        self._claimed.line.ended.set()
        seconds = self._clock.monotonic() - self._claimed.claimed
        self._basics.metrics.observe(JOB_DURATION, seconds, **self._labels, result=outcome.result.value)
        self._log.info("job ended", result=outcome.result.value, detail=outcome.detail, seconds=round(seconds, 1))
        self._on_change()

    # -- start ---------------------------------------------------------------------------------------------------

    async def _start(self) -> bool:
        """Whether the worker's pod exists; tries until the deadline, the loss of the lock or a cancellation."""
        basics = self._basics
        deadline = self._clock.monotonic() + parse_duration_seconds(self._group.settings.pending_pod_deadline)
        failures = 0
        while True:
            changed = self._changed.next
            try:
                is_ours = await self.worker.start()
            except NamespaceTerminating as problem:
                # It takes nothing new any more, however long one waits.
                self._log.info("worker not created: the namespace is being deleted", problem=problem.message)
                return False
            except KubeError as problem:
                failures += 1
                asked = problem.retry_after_seconds
                self._refused(problem.message)
                await self._tell("WorkerPodCreateFailed", f"pod {self.worker.name} is not created: {problem.message}")
            else:
                self._log.info("worker created" if is_ours else "job runs in another pod", slot=self._claimed.slot.name)
                self._refused("")
                self.placed.set()
                return is_ours
            if self._clock.monotonic() >= deadline or self.renewal.loss or self._claimed.line.cancel_deadline:
                return False
            pause = basics.tunables.write_backoff.delay_seconds(failures, basics.rng, asked_seconds=asked)
            await first_of(changed.wait(), self._clock.sleep(pause))

    def _refused(self, refusal: str) -> None:
        if refusal != self.refusal:
            self.refusal = refusal
            self._on_change()

    def _unstarted(self) -> Outcome:
        if self._claimed.line.cancel_deadline is None:
            return _UNSTARTED
        return replace(_UNSTARTED, result=Result.CANCELED, detail="cancelled before its worker started")

    # -- watch ---------------------------------------------------------------------------------------------------

    async def _follow(self) -> Outcome:
        """The outcome of the worker; acts on cancellations and a lost lock until there is one."""
        is_cancelled = self._claimed.line.cancel_deadline is not None
        now = self._clock.monotonic()
        self._watch = Watch(created=now, is_cancellation_shown=is_cancelled)
        self._last_view = self._last_view or self.worker.view
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
            self._on_change()
        return judge(view, has_started=self.is_running)

    def _updated_watch(self) -> Watch:
        watch, deadline = self._watch, self._claimed.line.cancel_deadline
        if deadline is not None and watch.cancel_deadline is None:
            left = (deadline - self._clock.now()).total_seconds()
            watch = replace(watch, cancel_deadline=self._clock.monotonic() + left)
        if self.renewal.loss is not None and watch.lost is None:
            watch = replace(watch, lost=self._clock.monotonic())
        return replace(watch, is_seen=self._last_view is not None)

    async def _take(self, step: Step) -> float:
        """Carries out a step; the seconds to wait before the next look, 0 when it is done."""
        try:
            match step:
                case Step.SHOW_CANCELLATION:
                    await self.worker.show_cancellation()
                    self._watch = replace(self._watch, is_cancellation_shown=True)
                    self._log.info("job cancelled at GitHub")
                case Step.DELETE_CANCELLED | Step.DELETE_LOST:
                    await self._delete(step)
                case Step.LOOK:
                    self._last_view = await self.worker.look()
                case Step.WAIT:
                    pass
                case _:
                    assert_never(step)
        except KubeError as problem:
            self._log.warning("job step failed", step=step.value, problem=problem.message)
            return max(_STEP_PAUSE_SECONDS, problem.retry_after_seconds or 0.0)
        return 0.0

    async def _delete(self, step: Step) -> None:
        await self.worker.delete()
        self._watch = replace(self._watch, is_deleted=True)
        self._deleted_for = step
        self._basics.metrics.inc(WORKER_PODS_REAPED, 1, **self._labels, reason=step.value)
        if step is Step.DELETE_LOST:
            loss = self.renewal.loss or Loss.JOB_NOT_FOUND
            namespace = self._basics.namespace
            self._basics.metrics.inc(RENEW_JOB_TEARDOWNS, namespace=namespace, reason=loss.value)
            await self._tell("JobLockLost", f"pod {self.worker.name} is deleted: the lock of its job is lost")

    def _final(self, outcome: Outcome) -> Outcome:
        if self._deleted_for is Step.DELETE_LOST:
            # The job is not ours any more: nothing may be said about it.
            return replace(outcome, result=Result.LOST, is_reported=True, detail="its lock was lost")
        if self._claimed.line.cancel_deadline is not None and not outcome.is_reported:
            return replace(outcome, result=Result.CANCELED)
        return outcome

    async def _tell(self, reason: str, message: str) -> None:
        self._log.warning("job in trouble", reason=reason, problem=message)
        await self._services.events.record(self._group.manifest, reason, message, action="Run", warning=True)
