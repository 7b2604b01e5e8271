"""One job from the App key to its conclusion, every signature real."""

from .driver import LABELS, World, plain_text, scenario


def test_a_job_runs_from_the_app_key_to_its_conclusion() -> None:
    async def play(world: World) -> None:
        runner = await world.listening("team-a-1")
        assert (runner.files[".runner"]["AgentId"], runner.files[".runner"]["UseV2Flow"]) == (str(runner.id), "True")
        async with world.open_poll(runner) as poll:
            job = world.core.enqueue(["self-hosted", "LINUX"], name="build")
            reply = await poll
        assert reply.json()["messageId"] > 2**53
        message = await runner.message()
        assert (await runner.acknowledge(message["runner_request_id"])).status_code == 204

        claim = await runner.acquire(message)
        github = plain_text(claim.payload["contextData"]["github"])
        assert (github["repository"], github["run_id"]) == ("octo/demo", str(job.run.id))
        assert plain_text(claim.payload["contextData"]["job"]) == {"check_run_id": job.id}
        view = (await world.rest("GET", f"/repos/octo/demo/actions/jobs/{job.id}")).json()
        assert (view["status"], view["runner_name"], view["started_at"]) == (
            "in_progress",
            "team-a-1",
            "2026-01-05T09:00:00Z",
        )
        assert (await claim.renew()).json()["lockedUntil"] == "2026-01-05T09:10:00Z"

        step = {"number": 1, "name": "Run make", "status": "in_progress", "started_at": "2026-01-05T09:00:00Z"}
        assert (await claim.steps([step])).status_code == 204
        assert (await claim.log("hello\n")).status_code == 204
        assert (await claim.log("world\n")).status_code == 204
        done = {"number": 1, "status": "completed", "conclusion": "succeeded"}
        assert (await claim.complete(outputs={"tag": {"value": "v1"}}, stepResults=[done])).status_code == 204

        run = (await world.rest("GET", f"/repos/octo/demo/actions/runs/{job.run.id}")).json()
        assert (run["status"], run["conclusion"]) == ("completed", "success")
        jobs = (await world.rest("GET", f"/repos/octo/demo/actions/runs/{job.run.id}/jobs?filter=latest")).json()
        assert [(j["conclusion"], j["steps"][0]["conclusion"]) for j in jobs["jobs"]] == [("success", "success")]
        log = await world.rest("GET", f"/repos/octo/demo/actions/jobs/{job.id}/logs")
        assert log.text == "hello\nworld\n"
        assert job.outputs == {"tag": "v1"}
        assert world.core.violations() == []

    scenario(play)


def test_runners_at_an_organization_serve_its_repositories_and_only_matching_labels() -> None:
    async def play(world: World) -> None:
        gpu = await world.listening("gpu", scope="/orgs/octo", labels=["self-hosted", "gpu"])
        cpu = await world.listening("cpu", scope="/orgs/octo", labels=["self-hosted", "linux"])
        async with world.open_poll(gpu) as on_gpu, world.open_poll(cpu) as on_cpu:
            world.core.enqueue(["self-hosted", "GPU"], repository="octo/other")
            assert (await on_gpu).status_code == 200
            await world.clock.advance(50)
            assert (await on_cpu).status_code == 202

    scenario(play)


def test_jobs_are_delivered_in_the_order_they_were_queued() -> None:
    async def play(world: World) -> None:
        jobs = [world.core.enqueue(labels) for labels in (["linux"], ["self-hosted"], LABELS)]
        runners = [await world.listening(f"r-{number}") for number in range(3)]
        delivered = [(await runner.message())["runner_request_id"] for runner in runners]
        assert delivered == [job.uuid for job in jobs]

    scenario(play)
