"""From a workflow to the jobs of a run: matrices, names, labels, messages, and whether a job runs."""

from typing import Any

import pytest

from gateway_sandbox.runner.contextdata import decode_context
from gateway_sandbox.runner.workflow import PlannedJob, WorkflowError, job_should_run, parse_workflow, plan_jobs

GITHUB = {
    "repository": "octo/demo",
    "ref": "refs/heads/main",
    "workflow_ref": "octo/demo/.github/workflows/ci.yml@main",
}


def plan(job: str, *, head: str = "") -> tuple[PlannedJob, ...]:
    """The planned jobs of a workflow whose one job `a` has these lines besides its step."""
    lines = "".join(f"    {line}\n" for line in job.strip().splitlines())
    default = "" if "runs-on" in job else "    runs-on: [self-hosted, linux]\n"
    steps = "    steps: [{run: make}]\n"
    return plan_jobs(parse_workflow(f"on: push\n{head}jobs:\n  a:\n{default}{lines}{steps}"), github=GITHUB)


def names(job: str) -> list[str]:
    return [planned.name for planned in plan(job)]


DOCUMENTED = (
    "{fruit: [apple, pear], animal: [cat, dog], include: [{color: green}, {color: pink, animal: cat}, "
    "{fruit: apple, shape: circle}, {fruit: banana}, {fruit: banana, animal: cat}]}"
)
MATRICES: list[tuple[str, str, list[str]]] = [
    ("one axis", "{os: [linux, mac]}", ["a (linux)", "a (mac)"]),
    ("two axes", "{os: [l, m], py: [3.11, 3.12]}", ["a (l, 3.11)", "a (l, 3.12)", "a (m, 3.11)", "a (m, 3.12)"]),
    ("only include", "{include: [{x: 1}, {y: 2}]}", ["a (1)", "a (2)"]),
    ("exclude", "{os: [l, m], py: [1, 2], exclude: [{os: m, py: 1}]}", ["a (l, 1)", "a (l, 2)", "a (m, 2)"]),
    ("exclude by one key", "{os: [l, m], py: [1, 2], exclude: [{os: m}]}", ["a (l, 1)", "a (l, 2)"]),
    ("include extends", "{os: [l, m], include: [{os: m, cc: clang}]}", ["a (l)", "a (m, clang)"]),
    ("include extends all", "{os: [l, m], include: [{fast: true}]}", ["a (l, true)", "a (m, true)"]),
    ("include adds", "{os: [l], include: [{os: w, v: 1}]}", ["a (l)", "a (w, 1)"]),
    (
        "the documentation's example",
        DOCUMENTED,
        [
            "a (apple, cat, pink, circle)", "a (apple, dog, green, circle)", "a (pear, cat, pink)",
            "a (pear, dog, green)", "a (banana)", "a (banana, cat)",
        ],
    ),
    ("mappings show their values", "{cfg: [{v: 1, w: two}]}", ["a (1, two)"]),
    ("an expression", "${{ fromJSON('{\"v\":[1,2]}') }}", ["a (1)", "a (2)"]),
    ("an expression as a list", "{ref: ['${{ github.ref }}']}", ["a (refs/heads/main)"]),
]  # fmt: skip


@pytest.mark.parametrize(("matrix", "expected"), [row[1:] for row in MATRICES], ids=[row[0] for row in MATRICES])
def test_matrices(matrix: str, expected: list[str]) -> None:
    assert names(f"strategy:\n  matrix: {matrix}") == expected


FAULTS = [
    ("matrix: {os: linux}", "has no list for 'os'"),
    ("matrix: {os: []}", "has an empty list for 'os'"),
    ("matrix: {os: [a], exclude: [{os: a}]}", "has no combination left"),
    (
        "matrix: {n: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17], m: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}",
        "272 jobs",
    ),
    ("matrix: {include: {a: 1}}", "list of mappings under 'include'"),
    ("matrix: text", "must be a mapping"),
    ("matrix: ${{ fromJSON(needs.x.outputs.m) }}", "depends on results of other jobs"),
    ("max-parallel: 0", "must be a whole number of at least 1"),
    ("max-parallel: many", "must be a whole number of at least 1"),
]


@pytest.mark.parametrize(("strategy", "message"), FAULTS, ids=[fault[0][:30] for fault in FAULTS])
def test_a_strategy_that_cannot_be_planned_names_its_line(strategy: str, message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        plan(f"strategy:\n  {strategy}")
    assert message in caught.value.message
    assert caught.value.line == 6


def test_names_are_githubs() -> None:
    matrix = "strategy: {matrix: {v: [1]}}\n"
    assert names("") == ["a"]
    assert names("name: Build it") == ["Build it"]
    assert names(matrix + "name: Build") == ["Build (1)"]
    assert names(matrix + "name: Build ${{ matrix.v }}") == ["Build 1"]
    assert names(matrix + "name: Of ${{ github.repository }}") == ["Of octo/demo (1)"]


def test_labels_are_text_lists_and_expressions() -> None:
    assert plan("runs-on: gpu")[0].labels == ("gpu",)
    assert plan("runs-on: [self-hosted, gpu]")[0].labels == ("self-hosted", "gpu")
    matrix = "strategy: {matrix: {pool: [gpu, linux]}}\n"
    assert [job.labels for job in plan(matrix + "runs-on: [self-hosted, '${{ matrix.pool }}']")] == [
        ("self-hosted", "gpu"),
        ("self-hosted", "linux"),
    ]
    assert plan('runs-on: ${{ fromJSON(\'["a", "b"]\') }}')[0].labels == ("a", "b")


@pytest.mark.parametrize("labels", ["''", "['']", "${{ github.nothing }}", "${{ fromJSON('[]') }}"])
def test_labels_that_come_out_empty_are_refused(labels: str) -> None:
    with pytest.raises(WorkflowError, match="gives no label"):
        plan(f"runs-on: {labels}")


def test_limits_have_githubs_defaults() -> None:
    (planned,) = plan("")
    assert (planned.timeout_minutes, planned.fail_fast, planned.max_parallel, planned.continue_on_error) == (
        360.0,
        True,
        None,
        False,
    )
    given = plan("timeout-minutes: 5\ncontinue-on-error: true\nstrategy: {fail-fast: false, max-parallel: 2}")[0]
    assert (given.timeout_minutes, given.fail_fast, given.max_parallel, given.continue_on_error) == (5, False, 2, True)


@pytest.mark.parametrize("minutes", ["0", "-1", "soon"])
def test_a_timeout_that_is_no_time_is_refused(minutes: str) -> None:
    with pytest.raises(WorkflowError, match="minutes above 0"):
        plan(f"timeout-minutes: {minutes}")


def test_tolerance_may_depend_on_the_matrix() -> None:
    jobs = plan("strategy: {matrix: {v: [1, 2]}}\ncontinue-on-error: ${{ matrix.v == 2 }}")
    assert [job.continue_on_error for job in jobs] == [False, True]


def test_the_message_has_the_wire_form() -> None:
    jobs = plan(
        "strategy: {matrix: {v: [1, 2]}}\nenv: {B: '${{ matrix.v }}'}\noutputs: {o: '${{ steps.s.outputs.x }}'}\n"
        "defaults: {run: {shell: bash}}",
        head="env: {A: '1'}\ndefaults: {run: {working-directory: src}}\n",
    )
    message = jobs[1].message
    assert message["environmentVariables"] == [
        {"type": 2, "map": [{"Key": "A", "Value": "1"}]},
        {"type": 2, "map": [{"Key": "B", "Value": {"type": 3, "file": 1, "line": 8, "expr": "matrix.v"}}]},
    ]
    assert [part["map"][0]["Key"] for part in message["defaults"]] == ["run", "run"]
    assert message["jobOutputs"]["map"][0]["Value"]["expr"] == "steps.s.outputs.x"
    assert message["fileTable"] == [".github/workflows/ci.yml"]
    assert decode_context(message["contextData"]["matrix"]) == {"v": 2}
    assert decode_context(message["contextData"]["strategy"]) == {
        "fail-fast": True, "job-index": 1, "job-total": 2, "max-parallel": 2,
    }  # fmt: skip
    assert message["variables"] == {"system.github.job": {"value": "a"}}


def test_step_ids_are_stable_and_differ() -> None:
    first, second = plan("strategy: {matrix: {v: [1, 2]}}")
    assert first.message["steps"][0]["id"] != second.message["steps"][0]["id"]
    assert plan("strategy: {matrix: {v: [1, 2]}}")[0].message == first.message


# --------------------------------------------------------------------------------- whether a job runs

SHOULD_RUN: list[tuple[str | None, dict[str, str], bool, bool]] = [
    (None, {}, False, True),
    (None, {}, True, False),
    (None, {"x": "success"}, False, True),
    (None, {"x": "failure"}, False, False),
    (None, {"x": "skipped"}, False, False),
    (None, {"x": "cancelled"}, False, False),
    (None, {"x": "success", "y": "failure"}, False, False),
    ("always()", {"x": "failure"}, False, True),
    ("always()", {"x": "cancelled"}, True, True),
    ("failure()", {"x": "failure"}, False, True),
    ("failure()", {"x": "success"}, False, False),
    ("failure()", {"x": "failure"}, True, False),
    ("cancelled()", {"x": "success"}, True, True),
    ("!cancelled()", {"x": "failure"}, False, True),
    ("github.ref == 'refs/heads/main'", {"x": "success"}, False, True),
    ("github.ref == 'refs/heads/main'", {"x": "failure"}, False, False),
    ("github.ref == 'refs/tags/1'", {"x": "success"}, False, False),
    ("needs.x.result == 'failure' && always()", {"x": "failure"}, False, True),
    ("contains(needs.*.result, 'skipped') && !failure()", {"x": "success", "y": "skipped"}, False, True),
    ("needs.x.outputs.go == 'yes'", {"x": "success"}, False, True),
    ("false", {}, False, False),
]


@pytest.mark.parametrize(("condition", "results", "is_cancelled", "expected"), SHOULD_RUN)
def test_whether_a_job_runs(condition: str | None, results: dict[str, str], is_cancelled: bool, expected: bool) -> None:
    needed = "".join(f"  {key}:\n    runs-on: q\n    steps: [{{run: q}}]\n" for key in results)
    written = "" if condition is None else f'    if: "{condition}"\n'
    text = (
        f"on: push\njobs:\n{needed}  a:\n    runs-on: q\n    needs: [{', '.join(results)}]\n{written}"
        "    steps: [{run: q}]\n"
    )
    planned = plan_jobs(parse_workflow(text), github=GITHUB)[-1]
    outputs: dict[str, dict[str, str]] = {"x": {"go": "yes"}}
    decided = job_should_run(planned, results, github=GITHUB, run_cancelled=is_cancelled, needs_outputs=outputs)
    assert decided is expected


def test_a_condition_that_cannot_be_evaluated_names_its_job() -> None:
    (planned,) = plan("if: fromJSON(github.ref)")
    arguments: dict[str, Any] = {"github": GITHUB, "run_cancelled": False}
    with pytest.raises(WorkflowError, match=r"jobs\.a\.if: Error reading JSON"):
        job_should_run(planned, {}, **arguments)


def test_inputs_reach_conditions_and_messages() -> None:
    head = "x"
    text = (
        "on: {workflow_dispatch: {inputs: {level: {default: high}}}}\njobs:\n  a:\n    runs-on: q\n"
        f"    if: inputs.level == 'high'\n    steps: [{{run: {head}}}]\n"
    )
    (planned,) = plan_jobs(parse_workflow(text), github=GITHUB)
    assert job_should_run(planned, {}, github=GITHUB, run_cancelled=False) is True
    assert decode_context(planned.message["contextData"]["inputs"]) == {"level": "high"}
