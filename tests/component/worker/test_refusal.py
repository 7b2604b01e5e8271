"""A job that asks for containers ends red before its first step, and its annotation says what to do."""

import json
from typing import Any

import pytest

from actions_gateway.github.messages import JobRequest
from actions_gateway.github.runservice import parse_job
from actions_gateway.worker.errors import WrongJob
from support.aio import run

from .harness import Pod, Service, job_message, step

MESSAGE = "It asks for 100 % of a container:\nhe said 'no', \"no\" and $(no)."
STEPS = [
    step("touch ran", displayNameToken="Test"),
    step("touch ran", name="last", condition="always()", displayNameToken="Clean up"),
]


def execute(pod: Pod, **parts: Any) -> tuple[int, Service]:
    service = Service()

    async def main() -> int:
        async with service.serve():
            pod.set_job(service.job_message(STEPS, **parts))
            return await pod.run()

    return run(main()), service


def has_run(pod: Pod) -> bool:
    return any(pod.folder.rglob("ran"))


@pytest.mark.parametrize(
    "parts",
    [
        {"jobContainer": {"type": 0, "lit": "alpine"}},
        {"jobServiceContainers": {"type": 2, "map": [{"Key": "db", "Value": "postgres"}]}},
    ],
    ids=["container", "services"],
)
def test_what_the_agent_finds_in_the_job_fails_it_with_an_annotation(pod: Pod, parts: dict[str, Any]) -> None:
    payload = json.dumps(job_message(STEPS, **parts)).encode()
    refusal = parse_job(payload, JobRequest("r-1", "https://run.example.test"), plan_id="plan-1").unsupported
    pod.environ["JOB_REFUSAL"] = refusal
    code, service = execute(pod, **parts)
    assert (code, service.completion["conclusion"]) == (102, "failed")
    (annotation,) = [item for item in service.completion["annotations"] if item["title"]]
    assert annotation["title"] == "Not supported by this runner"
    assert annotation["message"] == refusal
    assert annotation["level"] == "FAILURE"
    assert service.steps["Set up runner"]["conclusion"] == "failure"
    assert service.steps["Test"]["conclusion"] == "skipped"
    assert not has_run(pod), "not even a step that always runs does so without its container"
    assert pod.message["result"] == "failed"


def test_a_reason_is_shown_as_it_is_whatever_a_shell_or_the_runner_would_make_of_it(pod: Pod) -> None:
    pod.environ["JOB_REFUSAL"] = MESSAGE
    _, service = execute(pod, jobContainer="alpine")
    assert MESSAGE in [item["message"] for item in service.completion["annotations"]]


def test_the_hook_is_the_owner_s_of_the_image_otherwise(pod: Pod) -> None:
    own = pod.folder / "own.sh"
    own.write_text("echo own hook\n")
    pod.environ["ACTIONS_RUNNER_HOOK_JOB_STARTED"] = str(own)
    code, service = execute(pod)
    assert code == 0
    assert "\nown hook\n" in service.log
    assert has_run(pod)


def test_a_refused_job_runs_no_hook_of_the_image(pod: Pod) -> None:
    pod.environ |= {"ACTIONS_RUNNER_HOOK_JOB_STARTED": "/own.sh", "JOB_REFUSAL": "no"}
    pod.set_knobs(record_path=str(pod.record))
    _, service = execute(pod, jobContainer="alpine")
    assert "/own.sh" not in service.log
    assert "JOB_REFUSAL" not in pod.recorded["environ"]


def test_without_a_place_for_the_hook_the_job_is_not_started(pod: Pod) -> None:
    pod.environ["JOB_REFUSAL"] = "no"
    (pod.home / "refuse-job.sh").mkdir()
    code, service = execute(pod, jobContainer="alpine")
    assert code == 1
    assert "refuse-job.sh" in pod.message["reason"]
    assert not service.completions


def test_a_pod_whose_secret_has_become_another_job_s_runs_nothing(pod: Pod) -> None:
    pod.environ["JOB_PLAN_ID"] = "plan-2"
    code, service = execute(pod)
    assert code == WrongJob.exit_code
    assert not service.completions
    assert not has_run(pod)
    assert "another job" in pod.message["reason"]


def test_a_pod_runs_the_job_that_it_was_made_for(pod: Pod) -> None:
    pod.environ["JOB_PLAN_ID"] = "plan-1"
    pod.set_knobs(record_path=str(pod.record))
    code, _ = execute(pod)
    assert code == 0
    assert "JOB_PLAN_ID" not in pod.recorded["environ"]
