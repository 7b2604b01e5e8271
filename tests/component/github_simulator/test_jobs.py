"""Claims, locks, limits and completions."""

import pytest

from .driver import World, scenario


def test_a_delivery_is_claimed_once_by_the_runner_it_was_offered_to() -> None:
    async def play(world: World) -> None:
        owner, other = await world.listening("owner"), await world.listening("other")
        world.core.enqueue(["self-hosted"])
        message = await owner.message()
        assert (await other.ask_for_job(message)).status_code == 409
        assert (await owner.ask_for_job(message | {"runner_request_id": ""})).status_code == 422
        assert (await owner.ask_for_job(message | {"runner_request_id": "unknown"})).status_code == 404
        reply = await owner.ask_for_job(message)
        assert reply.headers["x-plan-id"] == reply.json()["plan"]["planId"]
        repeated = await owner.ask_for_job(message)
        assert (repeated.status_code, repeated.json()["source"]) == (409, "actions-run-service")

    scenario(play)


def test_a_started_job_fails_when_its_lock_lapses_ten_minutes_after_the_last_renewal() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        await world.clock.advance(599)
        assert (await claim.renew()).status_code == 200
        await world.clock.advance(599)
        assert claim.job.status == "in_progress"
        await world.clock.advance(1)
        assert (claim.job.status, claim.job.conclusion) == ("completed", "failure")
        assert (await claim.renew()).status_code == 404
        assert (await claim.complete()).status_code == 404

    scenario(play)


def test_a_claimed_job_that_never_starts_is_cancelled_after_fifteen_minutes_although_it_is_renewed() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        for _ in range(14):
            await world.clock.advance(60)
            assert (await claim.renew()).status_code == 200
        await world.clock.advance(59)
        assert claim.job.status == "in_progress"
        await world.clock.advance(1)
        assert (claim.job.conclusion, claim.job.run.conclusion) == ("cancelled", "cancelled")

    scenario(play)


def test_a_job_with_a_lapsed_lock_that_never_started_cannot_be_renewed() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        await world.clock.advance(600)
        assert (await claim.renew()).status_code == 404
        assert claim.job.status == "in_progress"

    scenario(play)


def test_an_unstarted_job_cannot_be_completed_and_a_concluded_one_not_again() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        refused = await claim.complete("failed")
        assert (refused.status_code, refused.json()["errorMessage"]) == (401, "Not authorized for this job")
        await claim.steps([])
        assert (await claim.complete("failed")).status_code == 204
        assert (await claim.complete("succeeded")).status_code == 404
        assert (await claim.renew()).status_code == 404
        assert (claim.job.conclusion, claim.job.completion_count) == ("failure", 1)

    scenario(play)


def test_renewals_alone_do_not_start_a_job_unless_so_set() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        await claim.renew()
        assert (await claim.complete()).status_code == 204

    scenario(play, started_on_first_renew=True)


@pytest.mark.parametrize(
    ("said", "conclusion"),
    [
        ("succeeded", "success"),
        ("succeededWithIssues", "success"),
        ("failed", "failure"),
        ("canceled", "cancelled"),
        ("skipped", "success"),
        ("abandoned", "cancelled"),
        (2, "failure"),
    ],
)
def test_the_workers_conclusion_becomes_githubs(said: object, conclusion: str) -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        assert (await claim.complete(said)).status_code == 204
        assert claim.job.conclusion == conclusion

    scenario(play)


def test_a_completion_without_a_conclusion_counts_as_success_and_is_noted() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        assert (await claim.complete("nonsense")).status_code == 400
        assert (await claim.complete(None, result="failed")).status_code == 204
        assert claim.job.conclusion == "success"
        assert [violation.what for violation in world.core.violations()] == ["completejob without conclusion"]

    scenario(play)


def test_a_completion_without_a_conclusion_can_be_refused() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        assert (await claim.complete(None)).status_code == 400

    scenario(play, missing_conclusion="refuse")


def test_a_job_is_renewed_under_its_payload_id_too_but_not_under_another() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        assert (await claim.renew(jobId=claim.payload["jobId"])).status_code == 200
        assert (await claim.renew(jobId="5714371765723164553")).status_code == 401
        assert (await claim.renew(planId="another")).status_code == 401

    scenario(play)


def test_duplicate_deliveries_share_a_plan_and_conclude_together() -> None:
    async def play(world: World) -> None:
        winner, loser = await world.listening("winner"), await world.listening("loser")
        job = world.core.enqueue(["self-hosted"], fanout=2)
        messages = [await winner.message(), await loser.message()]
        won, lost = await winner.acquire(messages[0]), await loser.acquire(messages[1])
        assert won.ids["planId"] == lost.ids["planId"]
        assert won.message["runner_request_id"] != lost.message["runner_request_id"]
        assert won.token != lost.token
        await won.steps([])
        assert (await won.complete()).status_code == 204
        assert job.status == "in_progress"
        pinned = await world.rest("DELETE", f"/repos/octo/demo/actions/runners/{loser.id}")
        assert pinned.status_code == 422
        assert (await lost.complete()).status_code == 204
        assert (job.conclusion, len(job.deliveries), job.completion_count) == ("success", 2, 2)

    scenario(play)


def test_an_unresolved_duplicate_cancels_the_job_after_fifteen_minutes() -> None:
    async def play(world: World) -> None:
        winner, loser = await world.listening("winner"), await world.listening("loser")
        job = world.core.enqueue(["self-hosted"], fanout=2)
        messages = [await winner.message(), await loser.message()]
        won = await winner.acquire(messages[0])
        await loser.acquire(messages[1])
        await won.steps([])
        assert (await won.complete()).status_code == 204
        await world.clock.advance(900)
        assert job.conclusion == "cancelled"

    scenario(play)


def test_a_job_is_cancelled_when_it_runs_for_longer_than_its_timeout() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        for _ in range(36):
            await world.clock.advance(599)
            await claim.renew()
        assert not claim.job.is_cancelling
        await world.clock.advance(6 * 3600 - 36 * 599)
        assert claim.job.is_cancelling

    scenario(play)
