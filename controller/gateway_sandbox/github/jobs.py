"""A job from its claim to its conclusion: acquire, renew, start, complete, cancel, and the limits of each.

Sources: actions/runner `src/Sdk/RSWebApi/*` (calls and bodies), `src/Runner.Listener/JobDispatcher.cs` (locks and
cancellation); limits and refusals as measured on github.com: a started job whose lock lapses fails after ten minutes, a
claimed job that never starts is cancelled after fifteen, and completing it is refused with 401.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import jwt

from gateway_sandbox.github.models import Delivery, DeliveryState, Job, JobState, Runner, RunnerState
from gateway_sandbox.github.runners import Runners
from gateway_sandbox.github.state import Refused, State

RESULTS = ("succeeded", "succeededWithIssues", "failed", "canceled", "skipped", "abandoned")
CONCLUSIONS = {
    "succeeded": "success",
    "succeededwithissues": "success",
    "failed": "failure",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "abandoned": "cancelled",
}
STEP_FIELDS = ("number", "name", "status", "conclusion", "started_at", "completed_at", "reason")


class Jobs:
    """What the run service and the results service know."""

    def __init__(self, state: State, runners: Runners, *, on_concluded: Callable[[Job], None]) -> None:
        self._state = state
        self._runners = runners
        self._on_concluded = on_concluded
        self._tokens: dict[str, Delivery] = {}
        self._token_key = state.new_secret("job-tokens-")

    # ------------------------------------------------------------------- claim

    def acquire(self, runner: Runner, request_id: object) -> Delivery:
        """Gives the delivery to its runner and spends the registration; Refused 401, 404, 409 or 422."""
        if runner.state in (RunnerState.CONSUMED, RunnerState.DELETED):
            raise Refused(401, envelope(401, "The runner registration is no longer valid."))
        if not isinstance(request_id, str) or not request_id:
            raise Refused(422, envelope(422, "jobMessageId is missing."))
        delivery = self._state.deliveries.get(request_id)
        if delivery is None or delivery.job.is_done or delivery.state is DeliveryState.VOID:
            was_cancelled = delivery is not None and delivery.job.conclusion == "cancelled"
            raise Refused(404, envelope(404, "The job was canceled" if was_cancelled else "The job was not found"))
        is_own = delivery.runner is runner
        if is_own and delivery.state is DeliveryState.OFFERED:
            self._bind(delivery)
        elif not is_own or self._state.settings.repeat_acquire == "conflict":
            raise Refused(409, envelope(409, "job assignment is invalid: MissingKey"))
        return delivery

    def _bind(self, delivery: Delivery) -> None:
        job, settings, now = delivery.job, self._state.settings, self._state.clock.monotonic()
        delivery.state, delivery.runner.state = DeliveryState.ACQUIRED, RunnerState.BUSY
        if delivery.lease is not None:
            delivery.lease.cancel()
        claims = {"plan_id": job.plan_id, "job_id": delivery.request_id, "jti": self._state.new_uuid()}
        delivery.token = jwt.encode(claims, self._token_key, algorithm="HS256")
        self._tokens[delivery.token] = delivery
        self._runners.dispatch.close_to_others(job)
        if job.state is not JobState.STARTED:
            job.state = JobState.ACQUIRED
        if job.runner is None:
            job.runner, job.started_at = delivery.runner, self._state.clock.now()
            limit = self._state.timers.after(job.plan.timeout_minutes * 60, partial(self.cancel, job))
            job.timers.append(limit)
        delivery.unstarted_due = now + settings.unstarted_limit_seconds
        self._watch_start(delivery)
        self._extend_lock(delivery)

    def _watch_start(self, delivery: Delivery) -> None:
        """Cancels the job once this delivery has been claimed for too long without a sign of a worker."""
        if delivery.state is not DeliveryState.ACQUIRED or delivery.is_started:
            return
        wait = delivery.unstarted_due - self._state.clock.monotonic()
        if wait > 0:
            self._state.timers.after(wait, partial(self._watch_start, delivery))
        else:
            self.conclude(delivery.job, "cancelled")

    # -------------------------------------------------------------------- lock

    def renew(self, bearer: str | None, wish: Mapping[str, Any]) -> Delivery:
        """Extends the lock; Refused 401 (not this job's token) or 404 (concluded or lapsed)."""
        delivery = self._owned(bearer, wish)
        settings, now = self._state.settings, self._state.clock.monotonic()
        if delivery.state is not DeliveryState.ACQUIRED or delivery.lock_due <= now:
            raise Refused(404, envelope(404, "The job's lock was not found"))
        self._extend_lock(delivery)
        if settings.renew_defers_unstarted:
            delivery.unstarted_due = now + settings.unstarted_limit_seconds
        if settings.started_on_first_renew:
            self.start(delivery)
        return delivery

    def _extend_lock(self, delivery: Delivery) -> None:
        seconds = self._state.settings.lock_seconds
        if delivery.lock is not None:
            delivery.lock.cancel()
        delivery.lock_due = self._state.clock.monotonic() + seconds
        delivery.lock = self._state.timers.after(seconds, partial(self._check_lock, delivery))

    def _check_lock(self, delivery: Delivery) -> None:
        lapsed = delivery.lock_due <= self._state.clock.monotonic()
        if lapsed and delivery.is_started and delivery.state is DeliveryState.ACQUIRED:
            self.conclude(delivery.job, "failure")

    # ------------------------------------------------------- start and results

    def start(self, delivery: Delivery) -> None:
        """The first sign of life of a worker; renewals alone are none."""
        if delivery.state is DeliveryState.ACQUIRED and not delivery.is_started:
            delivery.is_started, delivery.job.state = True, JobState.STARTED
            self._check_lock(delivery)

    def report_steps(self, bearer: str | None, plan_id: str, steps: Iterable[Mapping[str, Any]]) -> None:
        """Step states from the worker; they also prove that it runs."""
        delivery = self._owned(bearer, {"planId": plan_id})
        self._merge_steps(delivery.job, steps)
        self.start(delivery)

    def append_log(self, bearer: str | None, plan_id: str, text: str) -> None:
        self._owned(bearer, {"planId": plan_id}).job.log.append(text)

    @staticmethod
    def _merge_steps(job: Job, steps: Iterable[Mapping[str, Any]]) -> None:
        for reported in steps:
            step = job.steps.setdefault(int(reported["number"]), dict.fromkeys(STEP_FIELDS[:-1]))
            step.update({name: reported[name] for name in STEP_FIELDS if reported.get(name) is not None})
            step["status"] = str(step["status"] or "queued").lower()
            if step["conclusion"] is not None:
                word = str(step["conclusion"]).lower()
                step["conclusion"] = CONCLUSIONS.get(word, word)

    def complete(self, bearer: str | None, wish: Mapping[str, Any]) -> None:
        """The worker's own result; Refused 400, 401 (never started, or not this job) or 404 (concluded already)."""
        delivery = self._owned(bearer, wish)
        job = delivery.job
        if delivery.state is not DeliveryState.ACQUIRED:
            raise Refused(404, envelope(404, "The job was not found"))
        if job.state is not JobState.STARTED:
            raise _not_authorized()
        delivery.result = self._conclusion(wish, job)
        delivery.state = DeliveryState.RESOLVED
        job.completion_count += 1
        outputs = wish.get("outputs") or {}
        job.outputs.update({name: str(_unwrapped(value)) for name, value in outputs.items()})
        self._merge_steps(job, (step for step in wish.get("stepResults") or () if step.get("number") is not None))
        self._runners.consume(delivery.runner)
        self._conclude_if_resolved(job)

    def _conclusion(self, wish: Mapping[str, Any], job: Job) -> str:
        said = wish.get("conclusion")
        if said is None:
            if self._state.settings.missing_conclusion == "refuse":
                raise Refused(400, envelope(400, "conclusion is missing."))
            self._state.violate("completejob without conclusion", f"job {job.id}")
            said = RESULTS[0]
        if isinstance(said, int) and 0 <= said < len(RESULTS):
            said = RESULTS[said]
        conclusion = CONCLUSIONS.get(str(said).lower())
        if conclusion is None:
            raise Refused(400, envelope(400, f"conclusion {said!r} is unknown."))
        return conclusion

    def _conclude_if_resolved(self, job: Job) -> None:
        """Duplicate deliveries: the job ends when all acquired ones are completed, one of them with a real result."""
        acquired = [delivery for delivery in job.deliveries if delivery.token]
        if any(delivery.state is DeliveryState.ACQUIRED for delivery in acquired):
            return
        acquired.sort(key=lambda delivery: not delivery.is_started)
        results = [delivery.result for delivery in acquired if delivery.result and delivery.result != "skipped"]
        if results or len(acquired) == 1:
            self.conclude(job, results[0] if results else "success")

    # -------------------------------------------------------------- conclusion

    def conclude(self, job: Job, conclusion: str) -> None:
        """Ends a job whatever its state; its runners are spent, its offers void."""
        if job.is_done:
            return
        self._runners.dispatch.withdraw(job)
        job.state, job.waiting_for = JobState.CONCLUDED, None
        job.conclusion, job.completed_at = conclusion, self._state.clock.now()
        for delivery in job.deliveries:
            if delivery.state is DeliveryState.ACQUIRED:
                delivery.state = DeliveryState.RESOLVED
                self._runners.consume(delivery.runner)
        for timer in (*job.timers, *(delivery.lock for delivery in job.deliveries if delivery.lock)):
            timer.cancel()
        self._on_concluded(job)

    def cancel(self, job: Job, *, force: bool = False) -> None:
        """Asks a running job's session to stop and gives it its grace; a job that nobody runs ends at once."""
        if job.is_done or (job.is_cancelling and not force):
            return
        if force or job.state not in (JobState.ACQUIRED, JobState.STARTED):
            self.conclude(job, "cancelled")
            return
        job.is_cancelling = True
        for delivery in job.deliveries:
            self._runners.dispatch.send_cancellation(delivery)
        grace = self._state.settings.cancel_grace_seconds
        job.timers.append(self._state.timers.after(grace, partial(self.conclude, job, "cancelled")))

    # ------------------------------------------------------------------ tokens

    def known(self, bearer: str | None) -> Delivery | None:
        return self._tokens.get(bearer or "")

    def _owned(self, bearer: str | None, wish: Mapping[str, Any]) -> Delivery:
        """The delivery of a job token whose plan and job the call names; a runner token is not accepted."""
        delivery = self.known(bearer)
        if delivery is None or wish.get("planId") != delivery.job.plan_id:
            raise _not_authorized()
        if wish.get("jobId", delivery.request_id) not in (delivery.request_id, delivery.job.uuid):
            raise _not_authorized()
        return delivery

    def clear(self) -> None:
        self._tokens.clear()


def envelope(status: int, message: str) -> dict[str, Any]:
    """The run service's error document."""
    return {"source": "actions-run-service", "statusCode": status, "errorMessage": message}


def _not_authorized() -> Refused:
    return Refused(401, envelope(401, "Not authorized for this job"))


def _unwrapped(value: Any) -> Any:
    """Outputs come as plain values or as `{"value": …, "isSecret": …}`."""
    return value.get("value", "") if isinstance(value, Mapping) else value
