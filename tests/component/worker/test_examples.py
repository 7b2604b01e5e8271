"""The example of twenty small jobs, each through the wrapper and the fake worker, with results passed on by hand."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gateway_sandbox
from gateway_sandbox.runner.contextdata import encode_context
from gateway_sandbox.runner.workflow import PlannedJob, job_should_run, parse_workflow, plan_jobs
from support.aio import run

from .harness import Pod, Service

EXAMPLE = Path(gateway_sandbox.__file__).parent / "examples" / "many-small-jobs.yml"
GITHUB = {"repository": "octo/demo", "run_id": "17", "run_number": "3", "ref": "refs/heads/main"}
RESULTS = {"succeeded": "success", "failed": "failure"}


@pytest.fixture
def new_pod(tmp_path: Path, wrapper: Path) -> Callable[[str], Pod]:
    def make(name: str) -> Pod:
        folder = tmp_path / name
        folder.mkdir()
        return Pod(folder, wrapper)

    return make


class Queue:
    """Runs the jobs of one workflow as GitHub would: each when its needs have ended."""

    def __init__(self, jobs: tuple[PlannedJob, ...], new_pod: Callable[[str], Pod]) -> None:
        self._jobs = jobs
        self._new_pod = new_pod
        self._slots = asyncio.Semaphore(3)
        self.results: dict[str, str] = {}
        self.logs: dict[str, str] = {}
        self.services: dict[str, Service] = {}
        self._key_results: dict[str, str] = {}
        self._outputs: dict[str, dict[str, str]] = {}

    async def run(self) -> None:
        waiting = list(self._jobs)
        while waiting:
            ready = [job for job in waiting if all(need in self._key_results for need in job.needs)]
            waiting = [job for job in waiting if job not in ready]
            async with asyncio.TaskGroup() as group:
                for job in ready:
                    group.create_task(self._run(job), name=job.name)
            for key in {job.key for job in ready}:
                results = {self.results[job.name] for job in self._jobs if job.key == key}
                self._key_results[key] = next(word for word in ("failure", "success", "skipped") if word in results)

    async def _run(self, job: PlannedJob) -> None:
        needed = {need: self._key_results[need] for need in job.needs}
        outputs = {need: self._outputs.get(need, {}) for need in job.needs}
        if not job_should_run(job, needed, github=GITHUB, run_cancelled=False, needs_outputs=outputs):
            self.results[job.name] = "skipped"
            return
        needs = {need: {"result": needed[need], "outputs": outputs[need]} for need in job.needs}
        message: dict[str, Any] = dict(job.message)
        message["contextData"] = {**message["contextData"], "needs": encode_context(needs)}
        service = self.services[job.name] = Service()
        async with self._slots, service.serve():
            pod = self._new_pod(f"pod-{self._jobs.index(job)}")
            pod.set_job(service.job_message(message.pop("steps"), github=GITHUB, **message))
            await pod.run()
        completion = service.completion
        self.results[job.name] = RESULTS[completion["conclusion"]]
        self.logs[job.name] = service.log
        given = {name: item["value"] for name, item in completion["outputs"].items()}
        self._outputs.setdefault(job.key, {}).update(given)


def test_all_twenty_jobs_end_as_they_should(new_pod: Callable[[str], Pod]) -> None:
    jobs = plan_jobs(parse_workflow(EXAMPLE.read_text()), github=GITHUB)
    queue = Queue(jobs, new_pod)
    run(queue.run())
    assert len(queue.results) == 20
    assert {name for name, result in queue.results.items() if result != "success"} == {"fails-on-purpose"}
    assert "1.4.0+build.3" in queue.logs["publish"]
    assert "pi of the last seed: 3.1" in queue.logs["publish"]
    assert queue.services["publish"].steps["Upload"]["conclusion"] == "skipped"
    assert "fails-on-purpose ended as failure" in queue.logs["reacts-to-failure"]
    assert "the job is a failure, and cleans up all the same" in queue.logs["fails-on-purpose"]
    assert "this line must not appear\n" not in queue.logs["fails-on-purpose"].replace("echo", "")
