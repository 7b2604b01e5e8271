"""The job queue and the long polls: which waiting session is offered which queued job, again and again until it acts.

Facts: a runner serves a job when its labels contain the job's, whatever their case (GitHub docs: "Using self-hosted
runners in a workflow"); one session has one open poll and holds at most one delivery (actions/runner
`src/Runner.Listener/BrokerMessageListener.cs`). An offer that nobody acknowledges is repeated on every poll of its
session; it goes back to the queue when its lease or its session ends (measured against github.com).
"""

import asyncio
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway_sandbox.github.models import (
    Delivery,
    DeliveryState,
    Job,
    JobState,
    Message,
    Poll,
    Reach,
    Runner,
    RunnerState,
    Session,
    Silence,
)
from gateway_sandbox.github.state import FIRST_MESSAGE_ID, Refused, State


class Dispatch:
    """Queued jobs by what they ask for, open polls by whom they serve; both first come, first served."""

    def __init__(self, state: State, *, consume: Callable[[Runner], None]) -> None:
        self._state = state
        self._consume = consume
        self._queue: dict[Reach, dict[int, Job]] = {}
        self._open: dict[Reach, dict[int, Poll]] = {}

    @property
    def open_poll_count(self) -> int:
        return sum(len(polls) for polls in self._open.values())

    # ------------------------------------------------------------------ queue

    def enqueue(self, job: Job) -> None:
        """Queues a job and offers it at once to sessions that wait for it."""
        job.state, job.waiting_for = JobState.QUEUED, None
        job.queued_at, job.queue_order = self._state.clock.now(), self._state.next_id("queue order")
        self._queue.setdefault(job.reach, {})[job.queue_order] = job
        self._offer_to_open_polls(job)

    def withdraw(self, job: Job) -> None:
        """Takes a job that nobody acquired out of the queue and voids its offers."""
        self._queue.get(job.reach, {}).pop(job.queue_order, None)
        for delivery in job.deliveries:
            if delivery.state is DeliveryState.OFFERED:
                self._void(delivery)

    def close_to_others(self, job: Job) -> None:
        """An acquired job is offered to no further session; offers already made to siblings stand."""
        self._queue.get(job.reach, {}).pop(job.queue_order, None)

    def _requeue(self, job: Job) -> None:
        if job.state is JobState.OFFERED and not self._live_offers(job):
            job.state = JobState.QUEUED
        if job.state in (JobState.QUEUED, JobState.OFFERED):
            jobs = self._queue.get(job.reach, {}) | {job.queue_order: job}
            self._queue[job.reach] = dict(sorted(jobs.items()))
            self._offer_to_open_polls(job)

    def _offer_to_open_polls(self, job: Job) -> None:
        while job.queue_order in self._queue.get(job.reach, {}):
            waiting = (polls.values() for reach, polls in self._open.items() if reach.serves(job.reach))
            ready = (next(filter(_can_take_a_job, polls), None) for polls in waiting)
            poll = min(filter(None, ready), key=lambda poll: poll.order, default=None)
            if poll is None:
                return
            _finish(poll, self._offer(poll.session, job))

    def _job_for(self, runner: Runner) -> Job | None:
        reach = runner.reach
        heads = [next(iter(jobs.values())) for wanted, jobs in self._queue.items() if jobs and reach.serves(wanted)]
        return min(heads, key=lambda job: job.queue_order, default=None)

    @staticmethod
    def _live_offers(job: Job) -> list[Delivery]:
        return [delivery for delivery in job.deliveries if delivery.state is DeliveryState.OFFERED]

    # ------------------------------------------------------------- deliveries

    def _offer(self, session: Session, job: Job) -> Message:
        settings, runner = self._state.settings, session.runner
        delivery = Delivery(self._new_request_id(job), job, runner, self._state.clock.monotonic())
        job.deliveries.append(delivery)
        job.state, runner.state, runner.delivery = JobState.OFFERED, RunnerState.ASSIGNED, delivery
        self._state.deliveries[delivery.request_id] = delivery
        delivery.lease = self._state.timers.after(settings.delivery_lease_seconds, partial(self.release, delivery))
        if len(self._live_offers(job)) >= job.fanout:
            self.close_to_others(job)
        return self._job_message(delivery)

    def _new_request_id(self, job: Job) -> str:
        """Equal to the payload's jobId, except for siblings of a fan-out and, if so set, after a lost lease."""
        repeated = bool(job.deliveries) and self._state.settings.new_request_id_after_lease
        if job.fanout > 1 or repeated:
            return str(uuid.uuid5(uuid.UUID(job.plan_id), f"delivery {len(job.deliveries)}"))
        return job.uuid

    def _job_message(self, delivery: Delivery) -> Message:
        delivery.offer_count += 1
        delivery.offered_seen = self._state.clock.monotonic()
        body = {
            "id": self._state.new_uuid(),
            "runner_request_id": delivery.request_id,
            "should_acknowledge": True,
            "run_service_url": run_service_url(self._state, delivery.job),
            "billing_owner_id": billing_owner_id(delivery.job),
        }
        return self.new_message("RunnerJobRequest", body)

    def new_message(self, message_type: str, body: dict[str, Any]) -> Message:
        return Message(self._state.next_id("message", FIRST_MESSAGE_ID), message_type, body)

    def release(self, delivery: Delivery) -> None:
        """Ends an offer that was not acquired (lease over, session gone, runner deleted): the job queues again."""
        if delivery.state is DeliveryState.OFFERED:
            self._void(delivery)
            self._requeue(delivery.job)

    def _void(self, delivery: Delivery) -> None:
        delivery.state, runner = DeliveryState.VOID, delivery.runner
        if delivery.lease is not None:
            delivery.lease.cancel()
        runner.delivery = None
        if runner.state is not RunnerState.ASSIGNED:
            return
        runner.state = RunnerState.IDLE
        if self._state.settings.consume_on == "assign":
            self._consume(runner)
        elif runner.session is not None:
            self.nudge(runner.session)

    # ------------------------------------------------------------------ polls

    async def poll(self, session: Session, *, is_online: bool) -> Message | Silence:
        """What one long poll brings: at once if something waits, else when something comes or the hold is over.

        A caller that is cancelled loses nothing: an unacknowledged job is offered again, another message stays in the
        outbox until `written`. A second poll ends the first one. Raises Refused when the session ends meanwhile.
        """
        if session.poll is not None:
            self._state.violate("concurrent polls", f"session {session.id} of {session.runner.name}")
            _finish(session.poll, Silence.NOTHING)
        loop = asyncio.get_running_loop()
        poll = Poll(session, self._state.next_id("poll"), is_online, loop.create_future())
        session.poll = poll
        polls = self._open.setdefault(session.runner.reach, {})
        polls[poll.order] = poll
        poll.timer = self._state.timers.after(
            self._state.settings.poll_hold_seconds, partial(_finish, poll, Silence.NOTHING)
        )
        self.nudge(session)
        self._state.changed()
        try:
            outcome: Message | Silence | Refused = await poll.outcome
        finally:
            polls.pop(poll.order, None)
            poll.timer.cancel()
            if session.poll is poll:
                session.poll = None
            session.last_seen = session.runner.polled_seen = self._state.clock.monotonic()
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def nudge(self, session: Session) -> None:
        """Ends the session's open poll if there is something to say."""
        poll = session.poll
        if poll is None or poll.outcome.done():
            return
        if session.outbox:
            _finish(poll, session.outbox[0])
        elif (repeat := self._unanswered(session)) is not None:
            wait = (
                repeat.offered_seen + self._state.settings.reoffer_min_interval_seconds - self._state.clock.monotonic()
            )
            if repeat.offer_count and wait > 0:
                self._state.timers.after(wait, partial(self.nudge, session))
            else:
                _finish(poll, self._job_message(repeat))
        elif _can_take_a_job(poll) and (job := self._job_for(session.runner)) is not None:
            _finish(poll, self._offer(session, job))

    def _unanswered(self, session: Session) -> Delivery | None:
        delivery = session.runner.delivery
        if delivery is None or delivery.state is not DeliveryState.OFFERED:
            return None
        return None if delivery.is_acknowledged and not self._state.settings.reoffer_acknowledged else delivery

    def send(self, session: Session, message_type: str, body: dict[str, Any]) -> None:
        """Queues a message other than a job for one session."""
        session.outbox.append(self.new_message(message_type, body))
        self.nudge(session)

    def send_cancellation(self, delivery: Delivery) -> None:
        """Tells the session of an acquired delivery, if there is one, that its job is to be cancelled."""
        if delivery.state is DeliveryState.ACQUIRED and delivery.runner.session is not None:
            body = {"jobId": delivery.job.uuid, "timeout": "00:05:00"}
            self.send(delivery.runner.session, "JobCancellation", body)

    @staticmethod
    def written(session: Session, message: Message) -> None:
        """The reply that carries `message` is on its way: it is not sent again."""
        if session.outbox and session.outbox[0] is message:
            session.outbox.popleft()

    @staticmethod
    def fail_poll(session: Session, refusal: Refused) -> None:
        """Ends the session's open poll with a refusal."""
        if session.poll is not None:
            _finish(session.poll, refusal)

    def clear(self) -> None:
        self._queue.clear()
        self._open.clear()


def _finish(poll: Poll, outcome: Message | Silence | Refused) -> None:
    if not poll.outcome.done():
        poll.outcome.set_result(outcome)


def _can_take_a_job(poll: Poll) -> bool:
    return poll.is_online and not poll.outcome.done() and poll.session.runner.state is RunnerState.IDLE


def run_service_url(state: State, job: Job) -> str:
    """The run service's address in a job message: shard and trailing slash vary from job to job."""
    return f"{state.base_url}/run/{job.id % 3 + 1}" + ("/" if job.id % 2 else "")


def billing_owner_id(job: Job) -> str:
    return "O_" + job.run.repository.partition("/")[0]
