"""Cancelling and rerunning runs, over the REST API."""

import json

from .driver import World, scenario

RUNS = "/repos/octo/demo/actions/runs"


def test_cancelling_a_running_job_tells_its_busy_poll_and_waits_for_the_worker() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        async with world.open_poll(claim.runner, status="Busy") as poll:
            assert (await world.rest("POST", f"{RUNS}/{claim.job.run.id}/cancel")).status_code == 202
            message = (await poll).json()
        assert message["messageType"] == "JobCancellation"
        assert json.loads(message["body"]) == {"jobId": claim.payload["jobId"], "timeout": "00:05:00"}
        async with world.open_poll(claim.runner, status="Busy"):
            assert claim.job.status == "in_progress"
        assert (await claim.complete("canceled")).status_code == 204
        assert claim.job.run.conclusion == "cancelled"
        assert (await world.rest("POST", f"{RUNS}/{claim.job.run.id}/cancel")).status_code == 409

    scenario(play)


def test_a_cancellation_reaches_a_session_that_is_opened_later() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        await claim.runner.delete_session()
        world.core.cancel(claim.job.run)
        await claim.runner.open_session()
        assert (await claim.runner.poll(status="Busy")).json()["messageType"] == "JobCancellation"

    scenario(play)


def test_a_job_that_ignores_its_cancellation_is_concluded_after_five_minutes() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        world.core.cancel(claim.job.run)
        await world.clock.advance(299)
        assert claim.job.status == "in_progress"
        await world.clock.advance(1)
        assert claim.job.conclusion == "cancelled"
        assert (await claim.renew()).status_code == 404

    scenario(play)


def test_a_queued_or_offered_job_is_cancelled_at_once_and_cannot_be_claimed() -> None:
    async def play(world: World) -> None:
        runner = await world.listening()
        offered, queued = world.core.enqueue(["self-hosted"]), world.core.enqueue(["self-hosted"])
        message = await runner.message()
        for job in (queued, offered):
            assert (await world.rest("POST", f"{RUNS}/{job.run.id}/cancel")).status_code == 202
            assert job.conclusion == "cancelled"
        refused = await runner.ask_for_job(message)
        assert (refused.status_code, "canceled" in refused.text) == (404, True)
        following = world.core.enqueue(["self-hosted"])
        assert (await runner.message())["runner_request_id"] == following.uuid

    scenario(play)


def test_force_cancel_ends_a_claimed_job_at_once() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        assert (await world.rest("POST", f"{RUNS}/{claim.job.run.id}/force-cancel")).status_code == 202
        assert (claim.job.conclusion, claim.job.run.status) == ("cancelled", "completed")
        await world.clock.advance(5)
        assert world.core.runners() == []

    scenario(play)


def test_reruns_wait_for_the_end_of_the_run() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        job, run = claim.job, f"{RUNS}/{claim.job.run.id}"
        rerun_job = f"/repos/octo/demo/actions/jobs/{job.id}/rerun"
        for path in (f"{run}/rerun", f"{run}/rerun-failed-jobs", rerun_job):
            refused = await world.rest("POST", path, body={})
            assert (refused.status_code, "already running" in refused.text) == (403, True)
        await claim.complete("failed")
        assert (await world.rest("POST", rerun_job, body={"enable_debug_logging": False})).status_code == 201

        view = (await world.rest("GET", run)).json()
        assert (view["run_attempt"], view["status"], view["conclusion"]) == (2, "queued", None)
        latest = (await world.rest("GET", f"{run}/jobs?filter=latest")).json()["jobs"]
        every = (await world.rest("GET", f"{run}/jobs?filter=all")).json()["jobs"]
        assert [(entry["run_attempt"], entry["status"]) for entry in latest] == [(2, "queued")]
        assert [entry["run_attempt"] for entry in every] == [1, 2]

        again = await world.listening("r-2")
        second = await again.acquire(await again.message())
        assert second.payload["plan"]["planId"] != claim.payload["plan"]["planId"]
        assert second.message["runner_request_id"] != claim.message["runner_request_id"]

    scenario(play)


def test_a_successful_run_has_no_failed_jobs_to_rerun_but_can_be_rerun_whole() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired(started=True)
        await claim.complete()
        run = f"{RUNS}/{claim.job.run.id}"
        refused = await world.rest("POST", f"{run}/rerun-failed-jobs")
        assert (refused.status_code, "cannot be retried" in refused.text) == (403, True)
        assert (await world.rest("POST", f"{run}/rerun")).status_code == 201

    scenario(play)


def test_a_cancelled_run_accepts_a_rerun_of_its_failed_jobs() -> None:
    async def play(world: World) -> None:
        job = world.core.enqueue(["self-hosted"])
        world.core.cancel(job.run, force=True)
        assert (await world.rest("POST", f"{RUNS}/{job.run.id}/rerun-failed-jobs")).status_code == 201
        assert job.run.status == "queued"

    scenario(play)


def test_runs_are_listed_by_status_or_conclusion_newest_first() -> None:
    async def play(world: World) -> None:
        done = world.core.enqueue(["self-hosted"], name="done")
        world.core.conclude(done, "failure")
        claim = await world.acquired()
        world.core.enqueue(["self-hosted"], name="waiting")

        async def names(query: str) -> list[str]:
            listed = (await world.rest("GET", f"{RUNS}{query}")).json()["workflow_runs"]
            return [run["name"] for run in listed]

        assert await names("?status=in_progress") == [claim.job.run.name]
        assert await names("?status=failure") == ["done"]
        assert await names("") == ["waiting", claim.job.run.name, "done"]
        assert (await world.rest("GET", f"{RUNS}/1")).status_code == 404
        assert (await world.rest("GET", f"/repos/octo/other/actions/runs/{claim.job.run.id}")).status_code == 404

    scenario(play)
