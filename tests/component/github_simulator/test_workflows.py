"""Runs of workflow files through the control API: needs, conditions, matrices, outputs."""

import json
import textwrap
from typing import Any

import httpx

from gateway_sandbox.runner.jobmessage import JobMessage

from .driver import Claim, World, plain_text, scenario


async def start(world: World, workflow: str, **fields: Any) -> httpx.Response:
    wish = {"repository": "octo/demo", "path": "ci.yml", "workflow": textwrap.dedent(workflow), "source": None}
    return await world.http.post("/sandbox/runs", json=wish | fields)


async def jobs(world: World, run_id: int) -> dict[str, dict[str, Any]]:
    run = (await world.http.get(f"/sandbox/runs/{run_id}")).json()
    return {job["name"]: job for job in run["jobs"]}


async def outcomes(world: World, run_id: int) -> dict[str, str | None]:
    return {name: job["conclusion"] for name, job in (await jobs(world, run_id)).items()}


async def take(world: World, name: str, *, labels: tuple[str, ...] = ("self-hosted", "linux", "gpu")) -> Claim:
    """The next job, claimed by a new runner and started."""
    runner = await world.listening(name, labels=list(labels))
    claim = await runner.acquire(await runner.message())
    assert (await claim.steps([])).status_code == 204
    return claim


def test_a_job_waits_for_its_needs_and_receives_their_results_and_outputs() -> None:
    async def play(world: World) -> None:
        reply = await start(
            world,
            """
            name: pipeline
            on: push
            jobs:
              build:
                runs-on: [self-hosted, gpu]
                steps: [{run: make}]
              test:
                needs: build
                runs-on: self-hosted
                steps: [{run: make test}]
            """,
            source="/src/checkout",
        )
        assert reply.status_code == 201
        run = reply.json()
        assert (run["name"], [job["labels"] for job in run["jobs"]]) == (
            "pipeline",
            [["self-hosted", "gpu"], ["self-hosted"]],
        )
        assert run["jobs"][1]["waiting"] == "needs: build"
        build = await take(world, "first")
        github = plain_text(build.payload["contextData"]["github"])
        assert (github["workflow"], github["job"], github["gateway_sandbox_source"]) == (
            "pipeline",
            "build",
            "/src/checkout",
        )
        assert build.payload["variables"]["system.github.job"] == {"value": "build"}
        assert build.payload["fileTable"] == ["ci.yml"]
        message = JobMessage(json.dumps(build.payload))
        assert (message.plan_id, message.token, len(message.steps)) == (build.ids["planId"], build.token, 1)
        assert message.results_url == f"{world.simulator.url}/results/"
        assert (await jobs(world, run["id"]))["test"]["queued_at"] is None
        await build.complete(outputs={"version": {"value": "1.2"}})
        test = await take(world, "second")
        needs = plain_text(test.payload["contextData"]["needs"])
        assert needs == {"build": {"result": "success", "outputs": {"version": "1.2"}}}
        await test.complete()
        view = (await world.http.get(f"/sandbox/runs/{run['id']}")).json()
        assert (view["status"], view["conclusion"]) == ("completed", "success")

    scenario(play)


def test_what_depends_on_a_failure_is_skipped_unless_its_condition_says_otherwise() -> None:
    async def play(world: World) -> None:
        reply = await start(
            world,
            """
            on: push
            jobs:
              build: {runs-on: self-hosted, steps: [{run: make}]}
              test: {needs: build, runs-on: self-hosted, steps: [{run: make test}]}
              deploy: {needs: test, runs-on: self-hosted, steps: [{run: make deploy}]}
              report: {needs: [build, test], if: "failure()", runs-on: self-hosted, steps: [{run: tell}]}
            """,
        )
        run_id = reply.json()["id"]
        await (await take(world, "first")).complete("failed")
        report = await take(world, "second")
        assert plain_text(report.payload["contextData"]["needs"])["test"]["result"] == "skipped"
        await report.complete()
        assert await outcomes(world, run_id) == {
            "build": "failure",
            "test": "skipped",
            "deploy": "skipped",
            "report": "success",
        }
        assert (await world.http.get(f"/sandbox/runs/{run_id}")).json()["conclusion"] == "failure"

        rerun = await world.rest("POST", f"/repos/octo/demo/actions/runs/{run_id}/rerun-failed-jobs")
        assert rerun.status_code == 201
        again = await jobs(world, run_id)
        assert {name: job["run_attempt"] for name, job in again.items()} == dict.fromkeys(again, 2)

    scenario(play)


def test_a_failed_matrix_job_stops_its_siblings_and_only_them() -> None:
    async def play(world: World) -> None:
        reply = await start(
            world,
            """
            on: push
            jobs:
              test:
                strategy: {max-parallel: 2, matrix: {python: [a, b, c, d]}}
                runs-on: self-hosted
                steps: [{run: test}]
              other: {runs-on: self-hosted, steps: [{run: other}]}
            """,
        )
        run_id = reply.json()["id"]
        waiting = [
            name for name, job in (await jobs(world, run_id)).items() if str(job["waiting"]).startswith("max-parallel")
        ]
        assert waiting == ["test (c)", "test (d)"]
        first, second = await take(world, "r-1"), await take(world, "r-2")
        assert plain_text(second.payload["contextData"]["matrix"]) == {"python": "b"}
        await first.complete("failed")
        cancellation = await second.runner.poll(status="Busy")
        assert cancellation.json()["messageType"] == "JobCancellation"
        await second.complete("canceled")
        assert await outcomes(world, run_id) == {
            "test (a)": "failure",
            "test (b)": "cancelled",
            "test (c)": "cancelled",
            "test (d)": "cancelled",
            "other": None,
        }
        assert [job.deliveries for job in world.core.jobs()][2:4] == [[], []]

    scenario(play)


def test_max_parallel_queues_the_next_job_of_a_matrix_when_one_ends() -> None:
    async def play(world: World) -> None:
        reply = await start(
            world,
            """
            on: push
            jobs:
              test:
                strategy: {max-parallel: 1, fail-fast: false, matrix: {n: [1, 2]}}
                runs-on: self-hosted
                steps: [{run: test}]
            """,
        )
        run_id = reply.json()["id"]
        assert (await jobs(world, run_id))["test (2)"]["waiting"] == "max-parallel: 1"
        await (await take(world, "r-1")).complete("failed")
        await (await take(world, "r-2")).complete()
        assert await outcomes(world, run_id) == {"test (1)": "failure", "test (2)": "success"}

    scenario(play)


def test_a_tolerated_failure_fails_neither_the_run_nor_what_needs_it() -> None:
    async def play(world: World) -> None:
        reply = await start(
            world,
            """
            on: push
            jobs:
              lint: {continue-on-error: true, runs-on: self-hosted, steps: [{run: lint}]}
              build: {needs: lint, runs-on: self-hosted, steps: [{run: make}]}
            """,
        )
        await (await take(world, "r-1")).complete("failed")
        await (await take(world, "r-2")).complete()
        view = (await world.http.get(f"/sandbox/runs/{reply.json()['id']}")).json()
        assert view["conclusion"] == "success"

    scenario(play)


def test_a_cancelled_run_still_runs_what_is_to_run_always() -> None:
    async def play(world: World) -> None:
        reply = await start(
            world,
            """
            on: push
            jobs:
              build: {runs-on: self-hosted, steps: [{run: make}]}
              test: {needs: build, runs-on: self-hosted, steps: [{run: test}]}
              clean: {needs: test, if: "always()", runs-on: self-hosted, steps: [{run: clean}]}
            """,
        )
        run_id = reply.json()["id"]
        assert (await world.http.post(f"/sandbox/runs/{run_id}/cancel")).status_code == 202
        assert await outcomes(world, run_id) == {"build": "cancelled", "test": "cancelled", "clean": None}
        await (await take(world, "r-1")).complete()
        view = (await world.http.get(f"/sandbox/runs/{run_id}")).json()
        assert (view["status"], view["conclusion"]) == ("completed", "cancelled")

    scenario(play)


def test_a_malformed_workflow_is_refused_with_its_line_and_starts_nothing() -> None:
    async def play(world: World) -> None:
        reply = await start(world, "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{run: a}]\n    needs: [ghost]\n")
        assert (reply.status_code, reply.json()["line"]) == (422, 3)
        assert "ghost" in reply.json()["message"]
        container = "on: push\njobs:\n  a: {runs-on: x, container: debian, steps: [{run: a}]}\n"
        assert "not supported" in (await start(world, container)).json()["message"]
        assert (await start(world, "{")).status_code == 422
        assert world.core.runs() == []

    scenario(play)


def test_a_job_whose_labels_nobody_has_says_so_until_somebody_comes() -> None:
    async def play(world: World) -> None:
        reply = await start(world, "on: push\njobs:\n  a: {runs-on: [self-hosted, gpu], steps: [{run: a}]}\n")
        [job] = reply.json()["jobs"]
        assert job["waiting"] == "labels: no registered runner has self-hosted, gpu"
        await world.runner("gpu-runner", labels=["self-hosted", "gpu"])
        assert (await jobs(world, reply.json()["id"]))["a"]["waiting"] is None

    scenario(play)


def test_a_bare_job_can_bring_a_script() -> None:
    async def play(world: World) -> None:
        job = world.core.enqueue(["self-hosted"], name="hello", script="echo hello")
        claim = await take(world, "r-1")
        assert (job.plan.name, claim.payload["jobDisplayName"]) == ("hello", "hello")
        assert "echo hello" in str(claim.payload["steps"])

    scenario(play)
