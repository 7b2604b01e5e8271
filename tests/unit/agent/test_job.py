"""One job's task on a clock of its own: start, cancellation, lost lock, and what is told to GitHub."""

import asyncio
from datetime import timedelta

import pytest

from actions_gateway.agent.jobs.outcome import PodView, view_of
from actions_gateway.api import labels
from actions_gateway.api.ledger import Cause
from actions_gateway.github.errors import LockLost, NotAuthorizedForJob, ServerError
from actions_gateway.metrics.catalog import (
    JOB_DURATION,
    POD_CREATION_LATENCY,
    RENEW_JOB_TEARDOWNS,
    WORKER_PODS_REAPED,
)
from support.aio import run
from support.clock import settle
from unit.agent.job_world import Manifest, World, adopting, playing


def test_a_worker_that_reports_ends_its_job_without_a_word_from_the_agent() -> None:
    async def body(world: World) -> None:
        assert world.filled == {"payload"}
        await world.run_worker()
        assert world.job.is_running
        await world.clock.advance(100)
        await world.end_worker(0)
        assert not world.completed
        assert world.slot_freed
        assert world.value(JOB_DURATION, result="succeeded") == 1

    playing(body)


def test_a_job_waits_for_its_worker_since_its_first_delivery_less_the_time_held() -> None:
    async def body(world: World) -> None:
        assert (world.job.waiting_since, world.job.unheld_since) == (-10.0, -6.0)
        await world.show("Pending")
        assert world.job.unheld_since == -6.0
        await world.run_worker()
        assert (world.job.waiting_since, world.job.unheld_since) == (None, None)
        await world.end_worker(0)

    playing(body)


def test_the_latency_runs_from_the_first_delivery_to_scheduled_less_the_time_held() -> None:
    async def body(world: World) -> None:
        await world.clock.advance(3)
        await world.show("Pending")
        assert world.value(POD_CREATION_LATENCY) == 1
        rendered = world.metrics.render().decode()
        line = next(line for line in rendered.splitlines() if "pod_creation_latency_seconds_sum" in line)
        assert float(line.split()[-1]) == 9.0  # 10 s before the claim, 4 of them held, 3 s to the scheduler

    playing(body, ends=False)


def test_a_crashed_worker_s_job_is_completed_as_failed_with_its_last_words() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_problems = [ServerError("down", status=503)]
        await world.end_worker(137)
        assert world.admission.free == 1
        await world.clock.advance(5)
        ((conclusion, message),) = world.completed
        assert conclusion == "failed"
        assert "exit code 137" in message
        assert "last words" in message
        assert world.slot_freed

    playing(body)


def test_a_refused_completion_means_that_github_has_closed_the_job() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_problems = [NotAuthorizedForJob("no", status=401)]
        await world.end_worker(1)
        assert not world.completed
        assert world.slot_freed

    playing(body)


def test_a_cancellation_is_shown_and_the_pod_deleted_at_its_deadline() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        assert world.pod is not None
        assert world.pod["metadata"]["annotations"][labels.CANCELLATION] == "2026-01-05T09:00:45Z"
        await world.clock.advance(44)
        assert world.deleted_at is None
        await world.clock.advance(2)
        assert world.deleted_at == 45.0
        await world.end_worker(137)
        assert [conclusion for conclusion, _ in world.completed] == ["canceled"]
        assert world.value(WORKER_PODS_REAPED, reason="cancelled") == 1
        assert world.value(JOB_DURATION, result="canceled") == 1

    playing(body)


def test_a_worker_that_ends_by_itself_after_a_cancellation_is_not_deleted() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        await world.end_worker(103)
        await world.clock.advance(60)
        assert world.deleted_at is None
        assert not world.completed

    playing(body)


def test_a_lost_lock_waits_half_a_minute_for_the_worker_s_end() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.renew_problem = LockLost("gone", status=404)
        await world.clock.advance(80)
        assert world.deleted_at is None
        await world.end_worker(0)
        assert world.value(JOB_DURATION, result="succeeded") == 1
        assert not world.told

    playing(body)


def test_a_worker_that_still_runs_then_is_torn_down_and_not_reported() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.renew_problem = LockLost("gone", status=404)
        await world.clock.advance(100)
        assert world.deleted_at is not None
        assert 84 <= world.deleted_at <= 97
        assert not world.admission.free
        await world.show("Running", {"running": {}}, is_gone=True)
        assert not world.completed
        assert world.told == ["JobLockLost"]
        assert world.value(JOB_DURATION, result="lost") == 1
        assert world.metrics.value(RENEW_JOB_TEARDOWNS, namespace="team-a", reason="job_not_found") == 1
        assert [loss.cause for loss in world.lost] == [Cause.LOCK_LOST]

    playing(body)


def test_a_worker_that_succeeds_while_it_is_torn_down_for_its_lock_has_lost_nothing() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.renew_problem = LockLost("gone", status=404)
        await world.clock.advance(100)
        assert world.deleted_at is not None
        await world.end_worker(100)
        assert world.lost == []

    playing(body)


MARKS = [
    ({"reason": "Evicted"}, Cause.EVICTION),
    (
        {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
        Cause.PREEMPTION,
    ),
    (
        {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]},
        Cause.DELETION,
    ),
]


@pytest.mark.parametrize(("status", "cause"), MARKS)
def test_a_worker_that_is_taken_away_is_completed_as_failed_and_remembered(status: Manifest, cause: Cause) -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        await world.end_worker(137, **status)
        assert [conclusion for conclusion, _ in world.completed] == ["failed"]
        (loss,) = world.lost
        assert (loss.cause, loss.is_own_ending, loss.most_retries, loss.delay_seconds) == (cause, False, 2, 5.0)
        assert (loss.identity.run_id, loss.runner) == (7, "ci-cpu-1")
        assert world.value(JOB_DURATION, result="lost") == 1

    playing(body)


def test_a_worker_that_reports_while_it_is_taken_away_is_remembered_and_not_completed_again() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        await world.end_worker(102, reason="Evicted")
        assert not world.completed
        assert [loss.cause for loss in world.lost] == [Cause.EVICTION]

    playing(body)


@pytest.mark.parametrize("exit_code", [1, 102, 103])
def test_a_job_that_fails_by_itself_is_never_remembered(exit_code: int) -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        await world.end_worker(exit_code)
        assert not world.lost

    playing(body)


def test_a_cancelled_job_is_not_remembered_whatever_became_of_its_worker() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        await world.end_worker(137, reason="Evicted")
        assert not world.lost
        assert [conclusion for conclusion, _ in world.completed] == ["canceled"]

    playing(body)


def test_a_worker_of_which_github_saw_nothing_is_ended_there_as_never_started() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_problems = [NotAuthorizedForJob("no", status=401)]
        await world.end_worker(137, reason="Evicted")
        assert [loss.is_own_ending for loss in world.lost] == [False]
        assert (world.owned, world.ended) == (["ci-cpu-1"], ["ci-cpu-1"])

    playing(body)


def test_a_pod_that_is_pending_for_too_long_is_given_up() -> None:
    async def body(world: World) -> None:
        await world.show("Pending")
        await world.clock.advance(599)
        assert world.deleted_at is None
        await world.clock.advance(2)
        assert world.deleted_at == 600.0
        assert world.pod is not None
        assert world.pod["metadata"]["annotations"][labels.DELETION_REASON] == "pending_deadline"
        await world.show("Pending", is_gone=True)
        assert [(loss.cause, loss.is_unstarted) for loss in world.lost] == [(Cause.ABANDONED, True)]
        assert world.told == ["WorkerPodStuckPending"]
        assert world.value(WORKER_PODS_REAPED, reason="pending_deadline") == 1

    playing(body)


def test_an_image_that_does_not_exist_is_not_waited_for() -> None:
    async def body(world: World) -> None:
        await world.show("Pending", {"waiting": {"reason": "InvalidImageName", "message": "no such name"}})
        assert world.deleted_at == 0.0
        await world.show("Pending", is_gone=True)
        assert [loss.cause for loss in world.lost] == [Cause.ABANDONED]

    playing(body)


def test_a_pod_whose_node_never_confirms_its_deletion_is_taken_for_lost() -> None:
    async def body(world: World) -> None:
        assert world.pod is not None
        await world.run_worker()
        world.pod["metadata"] |= {"deletionTimestamp": "2026-01-05T09:00:30Z", "deletionGracePeriodSeconds": 30}
        await world.run_worker()
        await world.clock.advance(149)
        assert not world.lost
        await world.clock.advance(2)
        assert [loss.cause for loss in world.lost] == [Cause.DELETION]
        assert [conclusion for conclusion, _ in world.completed] == ["failed"]
        assert world.told == ["WorkerNodeLost"]

    playing(body)


def test_a_lock_that_is_lost_before_the_worker_starts_is_a_person_s_doing_until_github_s_own_limit() -> None:
    for minutes, is_remembered in ((5, False), (16, True)):

        async def body(world: World, minutes: int = minutes, is_remembered: bool = is_remembered) -> None:
            await world.show("Pending")
            await world.clock.advance(minutes * 60)
            world.renew_problem = LockLost("gone", status=404)
            await world.clock.advance(120)
            await world.show("Pending", is_gone=True)
            assert bool(world.lost) is is_remembered
            assert not world.completed

        playing(body, pending_deadline="1h")


# -- adopted jobs ------------------------------------------------------------------------------------------------------


def test_an_adopted_worker_is_followed_to_its_end() -> None:
    async def body(world: World) -> None:
        assert world.renewals == 1
        assert not world.filled
        await world.clock.advance(70)
        assert world.renewals == 2
        await world.end_worker(0)
        assert not world.lost
        assert world.slot_freed
        assert world.value(POD_CREATION_LATENCY) == 0, "its latency is not this agent's to tell"

    adopting(lambda world: view_of(world.running_pod()), body)


def test_a_lock_that_is_lost_while_the_watch_lags_tears_no_ended_worker_down() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.renew_problem = LockLost("gone", status=404)
        await world.clock.advance(80)
        assert world.pod is not None
        ended = {"exitCode": 102, "startedAt": "2026-01-05T09:00:00Z"}
        containers = [{"name": "runner", "state": {"terminated": ended}}]
        world.pod["status"] = {"phase": "Failed", "reason": "Evicted", "containerStatuses": containers}
        await world.clock.advance(20)
        assert world.deleted_at is None
        assert [loss.cause for loss in world.lost] == [Cause.EVICTION]
        assert world.value(WORKER_PODS_REAPED, reason="lock_lost") == 0

    playing(body)


def test_an_adopted_worker_that_ended_in_an_eviction_is_remembered() -> None:
    async def body(world: World) -> None:
        assert [loss.cause for loss in world.lost] == [Cause.EVICTION]
        assert [conclusion for conclusion, _ in world.completed] == ["failed"]

    adopting(lambda world: view_of(world.running_pod(phase="Failed", reason="Evicted")), body)


def test_the_end_of_a_worker_that_the_watch_told_while_it_was_taken_over_is_not_missed() -> None:
    def found(world: World) -> PodView:
        running = view_of(world.running_pod())
        world.pod = world.running_pod(phase="Failed", reason="Evicted")
        return running

    async def body(world: World) -> None:
        assert [loss.cause for loss in world.lost] == [Cause.EVICTION]

    adopting(found, body)


def test_a_worker_that_went_while_it_was_taken_over_is_looked_for() -> None:
    def found(world: World) -> PodView:
        running = view_of(world.running_pod())
        world.pod = None
        return running

    async def body(world: World) -> None:
        assert not world.lost
        await world.clock.advance(31)
        assert [loss.cause for loss in world.lost] == [Cause.DELETION]
        assert world.slot_freed

    adopting(found, body)


def test_a_look_does_not_take_back_the_end_that_the_watch_told_meanwhile() -> None:
    async def main() -> None:
        world = World()
        world.is_unseen = True
        task = asyncio.create_task(world.job.run())
        await settle()

        async def end() -> None:
            world.is_unseen = False
            await world.show("Failed", {"terminated": {"exitCode": 137, "startedAt": "2026-01-05T09:00:00Z"}})

        world.meanwhile = end
        await world.clock.advance(31)
        await settle()
        assert task.done()
        assert [conclusion for conclusion, _ in world.completed] == ["failed"]

    run(main())


def test_a_worker_that_vanished_meanwhile_is_remembered_while_the_job_is_ours() -> None:
    async def body(world: World) -> None:
        assert [loss.cause for loss in world.lost] == [Cause.DELETION]
        assert world.slot_freed

    adopting(lambda _: PodView("p", "unknown", "ci-cpu", has_started=True, is_gone=True), body)


def test_a_worker_that_vanished_and_whose_job_has_ended_is_left_to_a_person() -> None:
    def found(world: World) -> PodView:
        world.renew_problem = LockLost("gone", status=404)
        return PodView("p", "unknown", "ci-cpu", has_started=True, is_gone=True)

    async def body(world: World) -> None:
        assert [loss.cause for loss in world.lost] == [Cause.LOCK_LOST]
        assert (world.completed, world.told) == ([], ["JobLockLost"])

    adopting(found, body)


def test_a_pod_that_vanished_before_the_watch_showed_it_is_noticed() -> None:
    async def main() -> None:
        world = World()
        world.is_unseen = True
        task = asyncio.create_task(world.job.run())
        await settle()
        world.pod = None
        await world.clock.advance(31)
        await task
        assert not world.completed
        assert world.value(JOB_DURATION, result="lost") == 1

    run(main())


def test_an_unforeseen_failure_at_its_end_leaves_the_agent_alive_and_the_slot_to_be_looked_at() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        world.complete_failure = RuntimeError("unforeseen")
        await world.end_worker(137)
        assert world.told == ["JobTaskFailed"]
        assert not world.is_disowned
        await world.clock.advance(61)
        assert world.is_disowned
        assert not world.slot_freed

    playing(body)


def test_a_job_whose_token_has_expired_is_not_taken_for_one_that_never_started() -> None:
    """GitHub ends what never starts after a quarter of an hour, so a refusal after that says nothing of a worker."""

    async def body(world: World) -> None:
        await world.run_worker()
        await world.clock.advance(7200)
        world.complete_problems = [NotAuthorizedForJob("expired", status=401)]
        await world.end_worker(137, reason="Evicted")
        assert [(loss.cause, loss.is_own_ending) for loss in world.lost] == [(Cause.EVICTION, False)]
        assert (world.owned, world.ended) == ([], [])

    playing(body)
