"""From a claim to its pod: refusals, retries, cancellation, and a pod that is another agent's."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from actions_gateway.agent.jobs.job import Job
from actions_gateway.agent.jobs.outcome import view_of
from actions_gateway.api import labels
from actions_gateway.api.ledger import Cause
from actions_gateway.github.errors import NotAuthorizedForJob
from actions_gateway.kube.errors import (
    AlreadyExists,
    Forbidden,
    NamespaceTerminating,
    QuotaExceeded,
    Unreachable,
)
from actions_gateway.metrics.catalog import (
    JOB_DURATION,
    QUOTA_RETRIES,
    QUOTA_RETRIES_EXHAUSTED,
)
from support.aio import run
from support.clock import settle
from support.patience import HANG_SECONDS
from unit.agent.job_world import World, adopting, playing, quota_refuses


def test_a_pod_that_the_quota_refuses_is_retried_and_its_job_then_given_up_and_remembered() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = quota_refuses(1000)
        task = asyncio.create_task(world.job.run())
        await settle()
        await world.clock.advance(149)
        assert not task.done()
        assert not world.job.is_settled
        await world.clock.advance(2)
        await task
        assert world.value(QUOTA_RETRIES) == 5
        assert world.value(QUOTA_RETRIES_EXHAUSTED) == 1
        assert not world.completed
        assert [(loss.cause, loss.is_unstarted) for loss in world.lost] == [(Cause.ABANDONED, True)]
        assert world.ended == ["ci-cpu-1"]
        assert world.slot_freed
        assert world.admission.in_use == 0
        assert set(world.told) == {"WorkerPodCreateFailed", "QuotaRetriesExhausted"}
        assert world.value(JOB_DURATION, result="lost") == 1

    run(main())


def test_a_quota_that_moves_is_tried_at_once_and_at_no_charge() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = quota_refuses(3)
        task = asyncio.create_task(world.job.run())
        await settle()
        for _ in range(3):
            world.quota.notify()
            await settle()
        assert world.value(QUOTA_RETRIES) == 1
        assert world.job.is_settled
        assert world.dry_runs == 3, "a pod that was refused is asked for without effect first"
        assert world.marks == [labels.WORKER_REFUSED, labels.WORKER_REQUESTED]
        task.cancel()

    run(main())


def test_a_pod_that_is_refused_for_another_reason_is_tried_until_the_pending_deadline() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [Forbidden("a policy", status=403) for _ in range(1000)]
        task = asyncio.create_task(world.job.run())
        await settle()
        await world.clock.advance(590)
        assert not task.done()
        await world.clock.advance(45)
        await task
        assert [loss.cause for loss in world.lost] == [Cause.ABANDONED]
        assert world.value(QUOTA_RETRIES_EXHAUSTED) == 0

    run(main())


def test_in_a_namespace_that_goes_the_job_is_ended_and_not_remembered() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [NamespaceTerminating("going", status=403)]
        await world.job.run()
        assert not world.lost
        assert world.ended == ["ci-cpu-1"]

    run(main())


def test_a_job_that_no_secret_holds_is_ended_and_not_remembered() -> None:
    async def main() -> None:
        world = World()
        claimed = replace(world.claimed, worker_keys={})
        job = Job(claimed, cast("Any", world.group), world._services(), on_change=lambda: None)
        await job.run()
        assert (world.told, world.lost, world.ended) == (["PayloadTooLarge"], [], ["ci-cpu-1"])
        assert world.pod is None

    run(main())


def test_an_adopted_job_whose_pod_was_refused_is_asked_for_without_effect_first() -> None:
    async def body(world: World) -> None:
        assert world.dry_runs == 1
        assert world.marks == [labels.WORKER_REQUESTED]
        assert not world.filled
        await world.run_worker()
        await world.end_worker(0)

    adopting(lambda _: None, body)


def test_a_cancellation_before_the_pod_exists_ends_the_attempts() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [QuotaExceeded("exceeded quota", status=403)] * 1000
        task = asyncio.create_task(world.job.run())
        await settle()
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await settle()
        await task
        assert not world.completed
        assert not world.lost, "what a person cancelled is not rerun"
        assert world.value(JOB_DURATION, result="canceled") == 1

    run(main())


def test_a_quota_that_refuses_at_the_deadline_is_told_as_such() -> None:
    async def main() -> None:
        world = World(pending_deadline="40s")
        world.create_problems = quota_refuses(1000)
        task = asyncio.create_task(world.job.run())
        await settle()
        await world.clock.advance(61)
        await task
        assert world.value(QUOTA_RETRIES_EXHAUSTED) == 1
        assert "QuotaRetriesExhausted" in world.told
        assert [loss.cause for loss in world.lost] == [Cause.ABANDONED]

    run(main())


# -- a pod of the same name that is another slot's


def test_a_job_that_another_agents_worker_runs_is_left_to_it_and_this_delivery_skipped() -> None:
    async def body(world: World) -> None:
        assert (world.lost, world.ended, world.completed) == ([], [], [])
        assert world.plans.claim("plan-1"), "whoever adopts the other worker carries the job on"
        assert not world.slot_freed, "an agent that dies now leaves the delivery to the next one"
        other = world.other_pod("running")
        world.pod, world.complete_problems = other, [NotAuthorizedForJob("GitHub has not heard of it yet", status=401)]
        world.job.pod_changed(view_of(other))
        await settle()
        assert not world.completed
        await world.clock.advance(31)
        assert world.completed == [("skipped", "The job ran under another delivery.")]
        assert world.slot_freed
        assert world.deleted_at is None
        assert world.value(JOB_DURATION, result="lost") == 1

    playing(body, other="waiting")


def test_a_delivery_whose_other_worker_never_starts_is_skipped_before_github_s_limit() -> None:
    async def body(world: World) -> None:
        await world.clock.advance(809)
        assert not world.completed
        await world.clock.advance(2)
        assert [conclusion for conclusion, _ in world.completed] == ["skipped"]

    playing(body, other="waiting")


def test_a_job_whose_pod_s_name_an_ended_worker_has_is_remembered() -> None:
    async def body(world: World) -> None:
        assert [loss.cause for loss in world.lost] == [Cause.ABANDONED]
        assert world.ended == ["ci-cpu-1"]

    playing(body, other="terminated")


def test_a_job_that_another_agents_worker_has_run_to_its_end_is_skipped_here_and_not_rerun() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [AlreadyExists("it exists", status=409)]
        world.pod = other = world.other_pod("terminated")
        other["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 0
        await world.job.run()
        assert [conclusion for conclusion, _ in world.completed] == ["skipped"]
        assert (world.lost, world.ended) == ([], [])
        assert world.slot_freed

    run(main())


def test_a_job_that_ran_in_another_slot_s_pod_gets_no_second_one_when_its_own_was_not_made_yet() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = [Unreachable("no answer")]
        task = asyncio.create_task(world.job.run())
        await settle()
        world.job.pod_changed(view_of(world.other_pod("running"), is_gone=True))
        await world.clock.advance(60)
        await task
        assert world.pod is None
        assert [loss.cause for loss in world.lost] == [Cause.ABANDONED]
        assert world.ended == ["ci-cpu-1"]

    run(main())


def test_a_pod_that_is_made_after_another_slot_s_has_come_and_gone_is_withdrawn() -> None:
    async def main() -> None:
        world = World()
        create = world.create

        async def late(*arguments: Any, **options: Any) -> Any:
            world.job.pod_changed(view_of(world.other_pod("running"), is_gone=True))
            return await create(*arguments, **options)

        cast("Any", world).create = late
        await world.job.run()
        assert world.deleted_at == world.clock.monotonic()
        assert [loss.cause for loss in world.lost] == [Cause.ABANDONED]

    run(main())


def test_a_pod_whose_creation_only_seemed_to_fail_and_that_is_taken_away_is_not_made_again() -> None:
    async def body(world: World) -> None:
        await world.run_worker()
        await world.show("Running", {"running": {"startedAt": "2026-01-05T09:00:00Z"}}, is_gone=True)
        await world.clock.advance(60)
        assert world.pod is None
        assert [loss.cause for loss in world.lost] == [Cause.DELETION]
        assert [conclusion for conclusion, _ in world.completed] == ["failed"]

    playing(body, lost_answers=True)


def test_a_pod_whose_creation_only_seemed_to_fail_and_that_has_served_is_believed() -> None:
    async def body(world: World) -> None:
        ended = {"terminated": {"exitCode": 0, "startedAt": "2026-01-05T09:00:00Z"}}
        await world.show("Succeeded", ended, is_gone=True)
        await world.clock.advance(60)
        assert (world.pod, world.lost, world.completed) == (None, [], [])
        assert world.value(JOB_DURATION, result="succeeded") == 1

    playing(body, lost_answers=True)


# -- the agent's end


def test_an_agent_that_ends_waits_for_an_attempt_but_for_no_pause() -> None:
    async def main() -> None:
        world = World()
        world.create_problems = quota_refuses(1000)
        task = asyncio.create_task(world.job.run())
        await settle()
        assert not world.job.is_settled
        await asyncio.wait_for(world.job.leave(), HANG_SECONDS)
        tried = len(world.create_problems)
        await world.clock.advance(600)
        assert len(world.create_problems) == tried, "the next agent goes on"
        assert not world.lost
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_a_pod_whose_creation_only_seemed_to_fail_is_removed_with_its_job() -> None:
    async def body(world: World) -> None:
        assert world.pod is not None
        world.claimed.line.cancel(world.clock.now() + timedelta(seconds=45))
        await world.clock.advance(2)
        assert world.deleted_at is not None
        assert world.slot_freed

    playing(body, lost_answers=True)
