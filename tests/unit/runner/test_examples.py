"""The shipped workflow files are what their documentation promises."""

from collections import Counter
from pathlib import Path

import gateway_sandbox
from gateway_sandbox.runner.workflow import PlannedJob, parse_workflow, plan_jobs

EXAMPLES = Path(gateway_sandbox.__file__).parent / "examples"


def planned(name: str) -> tuple[PlannedJob, ...]:
    workflow = parse_workflow((EXAMPLES / name).read_text())
    assert workflow.notices == (), "an example shows nothing that is ignored"
    return plan_jobs(workflow, github={"repository": "octo/demo"})


def test_twenty_small_jobs_over_both_groups() -> None:
    jobs = planned("many-small-jobs.yml")
    assert len(jobs) == 20
    assert len({job.name for job in jobs}) == 20
    assert Counter(job.labels for job in jobs) == {("self-hosted", "linux"): 15, ("self-hosted", "gpu"): 5}
    assert any(job.matrix for job in jobs)
    assert any(job.needs for job in jobs)
    assert any(job.message["jobOutputs"] for job in jobs)


def test_the_projects_own_ci_runs_each_stage_on_the_cpu_group() -> None:
    jobs = planned("project-ci.yml")
    scripts = [
        str(pair["Value"]) for job in jobs for step in job.message["steps"] for pair in step["inputs"]["map"]
    ]  # fmt: skip
    assert {job.labels for job in jobs} == {("self-hosted", "linux")}
    for command in ("ruff check", "ruff format --check", "mypy", "lint-imports", "python -m pytest tests/unit/api "):
        assert any(script.startswith(command) for script in scripts)
    for job in jobs:
        assert job.message["steps"][0]["reference"]["name"] == "actions/checkout"
