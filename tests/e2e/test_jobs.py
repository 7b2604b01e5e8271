"""Real workflow files through the real manager, agent, wrapper and worker processes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.held_jobs import concluded
from support.commands import ROOT
from support.running_sandbox import until

pytestmark = pytest.mark.e2e

EXAMPLES = ROOT / "controller/gateway_sandbox/examples"


def jobs_of(answer: Any) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = json.loads(answer.out)["jobs"]
    return jobs


def test_twenty_small_jobs_conclude_with_the_red_one_red(sandbox: Any) -> None:
    answer = sandbox.gw("sandbox", "run", str(EXAMPLES / "many-small-jobs.yml"), "--output", "json")
    assert answer.code == 0, answer
    jobs = jobs_of(answer)
    assert len(jobs) == 20
    conclusions = [job["conclusion"] for job in jobs]
    assert conclusions.count("failure") == 1
    assert set(conclusions) <= {"success", "failure", "skipped"}
    assert all(job["status"] == "completed" for job in jobs)


@pytest.mark.embedded_only("what gw makes of a conclusion")
def test_a_red_job_is_a_problem_only_when_asked_for(sandbox: Any) -> None:
    answer = sandbox.gw("sandbox", "run", str(EXAMPLES / "many-small-jobs.yml"), "--fail-on", "failure")
    assert answer.code == 1, answer


@pytest.mark.embedded_only("the worker's doing, and minutes long")
def test_the_projects_own_ci_is_green_on_the_gateway(sandbox: Any, tmp_path: Path) -> None:
    workflow = yaml.safe_load((EXAMPLES / "project-ci.yml").read_text())
    # A job like the others, which takes half a minute of a processor for what `make types` says.
    del workflow["jobs"]["types"]
    # YAML 1.1 reads the key `on` as true.
    workflow["on"] = workflow.pop(True)
    path = tmp_path / "project-ci.yml"
    path.write_text(json.dumps(workflow))
    answer = sandbox.gw(
        "sandbox",
        "run",
        str(path),
        *("--source", str(ROOT), "--timeout", "500s", "--output", "json"),
        timeout_seconds=540,
    )
    assert answer.code == 0, answer
    conclusions = {job["name"]: job["conclusion"] for job in jobs_of(answer)}
    logs = {name: sandbox.gw("sandbox", "logs", name).out for name in conclusions}
    assert conclusions == dict.fromkeys(("lint", "layers", "unit"), "success"), logs
    if "not isolated" not in logs["unit"]:
        assert "Read-only file system" in logs["unit"]
        assert "network interfaces: lo\n" in logs["unit"]
    assert " passed in " in logs["unit"]


@pytest.mark.embedded_only("a burst of more jobs than both groups may run is the agent's matter, and a minute long")
def test_a_burst_of_jobs_on_two_groups_concludes_exactly_once(sandbox: Any, tmp_path: Path) -> None:
    workflow = tmp_path / "burst.yml"
    jobs = {
        f"{kind}-{number}": {"runs-on": ["self-hosted", kind], "steps": [{"run": f"echo {kind} {number}"}]}
        for kind in ("gpu", "linux")
        for number in range(40)
    }
    # JSON is YAML.
    workflow.write_text(json.dumps({"name": "burst", "on": "workflow_dispatch", "jobs": jobs}))
    answer = sandbox.gw("sandbox", "run", str(workflow), "--timeout", "300s", "--output", "json", timeout_seconds=330)
    assert answer.code == 0, answer
    concluded = jobs_of(answer)
    assert len(concluded) == 80
    assert {job["conclusion"] for job in concluded} == {"success"}
    assert {(job["acquired_count"], job["completion_count"]) for job in concluded} == {(1, 1)}
    assert {job["run_attempt"] for job in concluded} == {1}


def test_the_steps_real_output_can_be_read(sandbox: Any, tmp_path: Path) -> None:
    workflow = tmp_path / "hello.yml"
    workflow.write_text(
        "name: hello\non: push\njobs:\n  greet:\n    runs-on: [self-hosted, linux]\n    steps:\n"
        "      - run: echo the answer is $((6 * 7))\n"
        "      - uses: actions/setup-node@v4\n"
    )
    answer = sandbox.gw("sandbox", "run", str(workflow))
    assert answer.code == 0, answer
    assert "greet" in answer.out
    log = sandbox.gw("sandbox", "logs", "greet")
    assert log.code == 0, log
    assert "the answer is 42" in log.out
    assert "skipped in greet" in answer.out
    assert "not actions/setup-node" in answer.out


def test_after_its_jobs_the_gateway_is_healthy_with_sessions_open_and_nothing_in_flight(sandbox: Any) -> None:
    health = sandbox.gw("health", "team-a", "--wait", "60s", "--output", "json")
    # How soon a machine with much to do starts its pods is not the gateway's doing.
    problems = {check["id"] for check in json.loads(health.out)["checks"] if check["outcome"] == "problem"}
    assert problems <= {"worker.latency"}, health
    # Without Prometheus some of it is unknown, which is no problem found, and not fine either.
    assert health.code == (0 if len(sandbox.monitoring) == 2 else 5) or problems, health

    def in_flight() -> dict[str, tuple[int, int, int]]:
        groups = json.loads(sandbox.gw("runner-group", "list", "-n", "team-a", "--output", "json").out)["items"]
        return {
            each["name"]: (min(each["active_sessions"], 1), each["active_jobs"], each["pending_jobs"])
            for each in groups
        }

    # The agent tells of a job's end after GitHub does.
    idle = dict.fromkeys(("team-a-cpu-runners", "team-a-gpu-runners"), (1, 0, 0))
    until(lambda: in_flight() == idle)


@pytest.mark.once("the agent is the same on both, and its patience with a quota takes half a minute")
def test_a_quota_that_admits_no_worker_is_told_and_raising_it_starts_the_job(sandbox: Any, tmp_path: Path) -> None:
    workflow = tmp_path / "blocked.yml"
    workflow.write_text("on: push\njobs:\n  a:\n    runs-on: [self-hosted, linux]\n    steps: [{run: 'true'}]\n")
    before = run_ids(sandbox)
    made = sandbox.kubectl("create", "quota", "tight", "-n", "team-a", "--hard=pods=1")
    assert made.code == 0, made
    try:
        blocked = sandbox.gw("sandbox", "run", str(workflow), "--timeout", "5s")
        assert blocked.code == 5, blocked
        told = sandbox.kubectl(
            *("wait", "--for=condition=Degraded", "runnergroup/team-a-cpu-runners", "-n", "team-a", "--timeout=150s"),
        )
        assert "team-a-cpu-runners condition met" in told.out, told
        # The words vary until the quota's status is there and until a claim that came before them has ended.
        words = "No job is claimed: the quota tight has no room: pods needs 1"
        until(lambda: words in sandbox.kubectl("describe", "runnergroup", "-n", "team-a", "team-a-cpu-runners").out)
    finally:
        sandbox.kubectl("delete", "quota", "tight", "-n", "team-a")
    healed = sandbox.kubectl(
        *("wait", "--for=condition=Degraded=false", "runnergroup", "--all", "-n", "team-a", "--timeout=150s"),
    )
    assert healed.code == 0, healed
    (run_id,) = run_ids(sandbox) - before
    assert [conclusion for conclusion, *_ in concluded(sandbox, run_id)] == ["success"]


def run_ids(sandbox: Any) -> set[int]:
    """Of all runs that GitHub knows."""
    return {run["id"] for run in sandbox.github("GET", "/runs")["runs"]}


@pytest.mark.embedded_only("refused before the cluster is asked")
@pytest.mark.parametrize(
    ("workflow", "named"),
    [
        ("jobs: [", "line 1"),
        ("name: empty\non: push\n", "jobs"),
        ("on: push\njobs:\n  a:\n    runs-on: [self-hosted, windows]\n    steps: [{run: 'true'}]\n", "windows"),
        ("on: push\njobs:\n  a:\n    needs: b\n    runs-on: [self-hosted, linux]\n    steps: [{run: 'true'}]\n", "b"),
    ],
)
def test_a_workflow_that_cannot_run_is_refused_before_anything_is_queued(
    sandbox: Any, tmp_path: Path, workflow: str, named: str
) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(workflow)
    runs_before = run_ids(sandbox)
    answer = sandbox.gw("sandbox", "run", str(path))
    assert answer.code == 2, answer
    assert named in answer.err
    assert "Traceback" not in answer.err
    assert run_ids(sandbox) == runs_before
