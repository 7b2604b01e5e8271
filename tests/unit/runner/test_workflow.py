"""The workflow parser: what it takes, and how it refuses the rest with a line and a next step."""

from contextlib import suppress
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_sandbox.runner.workflow import WorkflowError, parse_workflow

HEAD = "on: push\njobs:\n"


def job(text: str, *, head: str = HEAD) -> str:
    """A workflow with the given jobs, two spaces in."""
    return head + "".join(f"  {line}\n" for line in dedent(text).strip().splitlines())


MINIMAL = job(
    """
    build:
      runs-on: [self-hosted, linux]
      steps:
        - run: make
    """
)


def test_a_small_workflow_is_read() -> None:
    workflow = parse_workflow("name: CI\n" + MINIMAL)
    assert workflow.name == "CI"
    assert workflow.notices == ()
    (only,) = workflow.jobs
    assert (only.key, only.needs, only.condition) == ("build", (), None)
    (step,) = only.steps
    assert step["reference"] == {"type": "script"}
    assert step["condition"] == "success()"
    assert step["inputs"] == {"type": 2, "map": [{"Key": "script", "Value": "make"}]}


@pytest.mark.parametrize("on", ["push", "[push, pull_request]", "{workflow_dispatch: , push: {branches: [main]}}"])
def test_on_is_a_word_and_not_a_boolean(on: str) -> None:
    assert parse_workflow(MINIMAL.replace("on: push", f"on: {on}")).jobs


def test_words_that_only_yaml_11_takes_for_booleans_are_text() -> None:
    text = MINIMAL + "    env: {A: yes, B: off, C: true, D: 0o17, E: 1.50, F: '1.50', G: ~, H: 12:30:45}\n"
    environment = parse_workflow(text.replace("    env:", "    env:")).jobs[0].environment
    assert {pair["Key"]: pair["Value"] for pair in environment["map"]} == {
        "A": "yes", "B": "off", "C": True, "D": 15, "E": 1.5, "F": "1.50", "G": None, "H": "12:30:45",
    }  # fmt: skip


def test_what_is_ignored_is_said() -> None:
    text = "run-name: x\nconcurrency: one\npermissions: read-all\n" + MINIMAL + "    environment: production\n"
    assert [notice.split(" ")[0] for notice in parse_workflow(text).notices] == [
        "run-name", "permissions", "concurrency", "jobs.build.environment",
    ]  # fmt: skip


def test_dispatch_inputs_give_their_defaults() -> None:
    head = dedent(
        """
        on:
          workflow_dispatch:
            inputs:
              level: {default: high}
              dry: {type: boolean}
              name:
              count: {type: number, default: 3}
        jobs:
        """
    ).lstrip()
    assert parse_workflow(MINIMAL.replace(HEAD, head)).inputs == {"level": "high", "dry": False, "name": "", "count": 3}


def test_steps_get_unique_names_in_the_steps_context() -> None:
    text = job(
        """
        a:
          runs-on: x
          steps:
            - run: one
            - run: two
            - {run: three, id: mine}
            - uses: actions/checkout@v4
            - uses: ./local/action
            - uses: docker://alpine:3
        """
    )
    steps = parse_workflow(text).jobs[0].steps
    assert [step["contextName"] for step in steps] == [
        "__run", "__run_2", "mine", "__actions_checkout", "__local_action", "__alpine_3",
    ]  # fmt: skip
    assert [step["reference"].get("repositoryType", step["reference"]["type"]) for step in steps[3:]] == [
        "GitHub", "self", "containerRegistry",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        ("matrix.x == 1", "success() && (matrix.x == 1)"),
        ("${{ matrix.x }}", "success() && (matrix.x)"),
        ("always()", "always()"),
        ("${{ !cancelled() && env.A }}", "!cancelled() && env.A"),
        ("true", "success() && (true)"),
        ("false", "success() && (false)"),
        ("failure() || github.ref == 'x'", "failure() || github.ref == 'x'"),
    ],
)
def test_a_condition_asks_for_success_unless_it_asks_for_the_status(written: str, wire: str) -> None:
    text = MINIMAL + f'        if: "{written}"\n'
    assert parse_workflow(text).jobs[0].steps[0]["condition"] == wire


def test_a_yaml_alias_is_what_it_stands_for() -> None:
    text = MINIMAL.replace("linux]", "&label linux]") + "    name: *label\n"
    name = parse_workflow(text).jobs[0].name
    assert name is not None
    assert name.value == "linux"


STEPS = "runs-on: x\n      steps:\n"
FAULTS: list[tuple[str, str, int | None, str]] = [
    ("nothing", "", 1, "is empty"),
    ("a comment", "# only\n", 1, "is empty"),
    ("no mapping", "- a\n", 1, "must be a mapping"),
    ("plain text", "hello", 1, "must be a mapping"),
    ("a tab", "on: push\njobs:\n\tbuild:\n", 3, "indent with spaces"),
    ("an open quote", 'on: "push\n', None, "not valid YAML"),
    ("two documents", "on: push\n---\non: push\n", 2, "not valid YAML"),
    ("a control character", "on: \x00", None, "not YAML text"),
    ("a name twice", "on: push\non: pull_request\n", 2, "stands here twice (first in line 1)"),
    ("a list as name", "? [a]\n: b\n", 1, "a name must be text"),
    ("no on", "jobs: {}\n", 1, "add `on: workflow_dispatch`"),
    ("no jobs", "on: push\n", 1, "has no `jobs:`"),
    ("empty jobs", "on: push\njobs: {}\n", 2, "`jobs:` is empty"),
    ("jobs without content", "on: push\njobs:\n", 2, "jobs must be a mapping"),
    ("jobs as a list", "on: push\njobs: [a]\n", 2, "jobs must be a mapping"),
    ("an unknown top-level key", "on: push\nstages: []\njobs: {}\n", 2, "unknown key 'stages'"),
    ("a merge key", "on: push\n<<: {}\njobs: {}\n", 2, "unknown key '<<'"),
    ("a bad job name", job("1st:\n  runs-on: x"), 3, "no identifier"),
    ("a job that is text", job("a: text"), 3, "jobs.a must be a mapping"),
    ("no runs-on", job("a:\n  steps: []"), 3, "has no `runs-on:`"),
    ("no steps", job("a:\n  runs-on: x"), 3, "has no `steps:`"),
    ("empty steps", job("a:\n  runs-on: x\n  steps: []"), 5, "is empty; add a step"),
    ("an unknown job key", job("a:\n  runs-on: x\n  step: []"), 5, "unknown key 'step'"),
    ("a container", job("a:\n  runs-on: x\n  container: alpine"), 5, "container is not supported"),
    ("services", job("a:\n  runs-on: x\n  services: {db: {image: pg}}"), 5, "services is not supported"),
    ("a reusable workflow", job("a:\n  uses: ./x.yml"), 4, "reusable workflow"),
    ("a runner group", job("a:\n  runs-on: {group: big}\n  steps: [{run: x}]"), 4, "names a runner group"),
    ("no labels", job("a:\n  runs-on: []\n  steps: [{run: x}]"), 4, "runs-on is empty"),
    ("an unknown need", job(f"a:\n      needs: b\n      {STEPS}        - run: x"), 3, "names 'b', which is no job"),
    ("a step without run and uses", job(f"a:\n      {STEPS}        - name: x"), 6, "neither `run:` nor `uses:`"),
    ("a step with both", job(f"a:\n      {STEPS}        - {{run: x, uses: a/b@c}}"), 6, "both `run:` and `uses:`"),
    ("a step that is text", job(f"a:\n      {STEPS}        - make"), 6, "must be a mapping"),
    ("an unknown step key", job(f"a:\n      {STEPS}        - {{run: x, needs: y}}"), 6, "unknown key 'needs'"),
    ("an empty script", job(f"a:\n      {STEPS}        - run: ' '"), 6, "run is empty"),
    ("a shell with an action", job(f"a:\n      {STEPS}        - {{uses: a/b@c, shell: sh}}"), 6, "`run:`; remove it"),
    ("inputs of a script", job(f"a:\n      {STEPS}        - {{run: x, with: {{}}}}"), 6, "`uses:`; remove it"),
    ("an unknown shell", job(f"a:\n      {STEPS}        - {{run: x, shell: fish}}"), 6, "'fish' is not supported"),
    ("an action without ref", job(f"a:\n      {STEPS}        - uses: actions/checkout"), 6, "write owner/repo@ref"),
    ("a bad id", job(f"a:\n      {STEPS}        - {{run: x, id: 1a}}"), 6, "no identifier"),
    ("a reserved id", job(f"a:\n      {STEPS}        - {{run: x, id: __a}}"), 6, "no identifier"),
    ("an id twice", job(f"a:\n      {STEPS}        - {{run: x, id: a}}\n        - {{run: y, id: A}}"), 7, "taken"),
    ("env as a list", job(f"a:\n      env: [x]\n      {STEPS}        - run: x"), 4, "must be a mapping"),
    ("env with a mapping", job(f"a:\n      env: {{A: {{}}}}\n      {STEPS}        - run: x"), 4, "env.A must be text"),
    ("a broken expression", job(f"a:\n      {STEPS}        - run: echo ${{{{ 1 + }}}}"), 6, "Unexpected symbol: '+'"),
    ("an open expression", job(f"a:\n      {STEPS}        - run: echo ${{{{ github.ref"), 6, "not closed"),
    ("an unknown context", job(f"a:\n      {STEPS}        - run: echo ${{{{ foo.bar }}}}"), 6, "named-value: 'foo'"),
    ("hashFiles", job(f"a:\n      {STEPS}        - run: ${{{{ hashFiles('x') }}}}"), 6, "hashFiles() is not supported"),
    ("a context too early", job(f"a:\n      if: steps.x.outputs.y\n      {STEPS}        - run: x"), 4, "'steps'"),
    ("secrets in a condition", job(f"a:\n      {STEPS}        - {{run: x, if: secrets.T}}"), 6, "context 'secrets'"),
    ("status in a script", job(f"a:\n      {STEPS}        - run: echo ${{{{ success() }}}}"), 6, "an `if:`"),
    (
        "a condition half in braces",
        job(f"a:\n      {STEPS}        - {{run: x, if: \"${{{{ github.ref }}}} == 'x'\"}}"),
        6,
        "always true",
    ),
    ("a matrix beside strategy", job("a:\n  runs-on: x\n  strategy: {matrx: {}}\n  steps: [{run: x}]"), 5, "'matrx'"),
    ("runs-on with a mapping inside", job("a:\n  runs-on: [x, {y: z}]\n  steps: [{run: x}]"), 4, "must be text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_is_one_sentence_with_its_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(WorkflowError) as caught:
        parse_workflow(text)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    if line is not None:
        assert caught.value.line == line
        assert str(caught.value).startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("needs", "chain"),
    [
        ({"a": "a"}, "a -> a"),
        ({"a": "b", "b": "a"}, "a -> b -> a"),
        ({"start": "", "a": "start, c", "b": "a", "c": "b", "d": "c"}, "a -> c -> b -> a"),
    ],
)
def test_jobs_that_wait_for_each_other_are_named(needs: dict[str, str], chain: str) -> None:
    jobs = "".join(f"{key}:\n  runs-on: x\n  needs: [{names}]\n  steps: [{{run: x}}]\n" for key, names in needs.items())
    with pytest.raises(WorkflowError, match=f"wait for each other: {chain};"):
        parse_workflow(job(jobs))


def test_aliases_cannot_make_a_small_file_huge() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(WorkflowError, match="too deeply or too large"):
        parse_workflow("\n".join(lines))


def test_an_alias_of_itself_is_refused() -> None:
    with pytest.raises(WorkflowError, match="too deeply or too large"):
        parse_workflow("on: &a [*a]\n")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_any_text_is_a_workflow_or_a_workflow_error(text: str) -> None:
    with suppress(WorkflowError):
        parse_workflow(text)


@given(st.integers(0, len(MINIMAL) - 1), st.sampled_from(list("{}[]:-'\"&*!|>%@`# \n\t")))
def test_a_damaged_workflow_is_a_workflow_or_a_workflow_error(place: int, character: str) -> None:
    with suppress(WorkflowError):
        parse_workflow(MINIMAL[:place] + character + MINIMAL[place + 1 :])
