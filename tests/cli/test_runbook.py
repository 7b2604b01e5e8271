"""`gw runbook`: pages are listed, shown, found and run, step by step, with a shell that plays the world."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gw.commandline import run
from gw.ops.runbook import library
from gw.ops.runbook.shell import Bash, Probe, ShellTarget
from gw.surroundings import Surroundings

from .rig import Answer, Terminal, check_golden

PAGE = """---
title: Restart an agent
symptoms:
  - An agent hangs
checks: [agent.available]
places:
  TENANT: the tenant, which is its namespace
conditions:
  tenant-there: gw tenant show TENANT -o short
  served: gw health TENANT --check session.open
---
# Restart an agent

A restart is safe.

## Before

<!-- person: needs=github-owner before=anything after=tenant-there -->
Tell the [tenant](other.md).

## With gw

1. Look.

   <!-- run: needs=gw,gw-viewer before=tenant-there after=anything changes=no exits=0,1 -->
   ```sh
   gw logs agent -n TENANT
   ```

2. Do it.

   <!-- run: needs=gw,gw-oncall before=tenant-there after=served changes=asked -->
   ```sh
   gw restart agent TENANT
   ```

## With kubectl

<!-- run: needs=kubectl,gw-oncall before=tenant-there after=served changes=yes path=aside -->
```sh
kubectl rollout restart deploy/actions-gateway-controller -n TENANT
```

## Undo

<!-- run: needs=gw,gw-oncall before=anything after=anything changes=asked confirm=TENANT path=aside -->
```sh
gw tenant remove TENANT
```
"""
READING = """---
title: Read only
symptoms: [You want to know]
---
# Read only

<!-- run: needs=gw before=anything after=anything changes=no -->
```sh
gw version
```
"""
SET = ("--set", "TENANT=team-a")
DONE = ("--done", "1")


@dataclass
class ShellDouble:
    """Remembers what was run; `codes` says what ends otherwise than with 0, by a part of the script."""

    codes: dict[str, int] = field(default_factory=dict)
    ran: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    probed: list[str] = field(default_factory=list)
    lacks: str = ""
    target: ShellTarget = field(default_factory=ShellTarget)
    on_run: Callable[[str], None] = lambda script: None

    def has(self, program: str) -> bool:
        return program != self.lacks

    def run(self, script: str, *, answers: tuple[str, ...] = ()) -> int:
        self.ran.append((script.strip(), answers))
        self.on_run(script)
        return self._code(script)

    def probe(self, script: str) -> Probe:
        self.probed.append(script)
        return Probe(self._code(script), f"what {script} said\n")

    def _code(self, script: str) -> int:
        return next((code for part, code in self.codes.items() if part in script), 0)


@dataclass
class Runbook:
    """`gw runbook` with pages of its own."""

    shell: ShellDouble = field(default_factory=ShellDouble)

    def __call__(self, *arguments: str, answer: str | None = None) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        stdin = io.StringIO() if answer is None else Terminal(answer)
        surroundings = Surroundings(stdin=stdin, stdout=out, stderr=err, open_shell=self._open)
        return Answer(run(["runbook", *arguments], surroundings=surroundings), out.getvalue(), err.getvalue())

    def _open(self, target: ShellTarget) -> ShellDouble:
        self.shell.target = target
        return self.shell


@pytest.fixture
def runbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runbook:
    folder = tmp_path / "runbooks"
    for name in ("procedures", "alerts", "checks"):
        (folder / name).mkdir(parents=True)
    (folder / "procedures" / "restart.md").write_text(PAGE)
    (folder / "procedures" / "read.md").write_text(READING)
    (folder / "checks" / "agent.available.md").write_text(
        "---\ntitle: An agent is not ready\ncheck: agent.available\nsymptoms: [The agent is gone]\n---\n# It is not\n"
    )
    for name in library.REFERENCE:
        (folder / f"{name}.md").write_text(f"# {name.capitalize()}\n")
    monkeypatch.setattr(library, "pages_folder", lambda: folder)
    return Runbook()


# -- reading


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["list"], "runbook-list"),
        (["list", "--all", "-o", "json"], "runbook-list-json"),
        (["show", "restart"], "runbook-show"),
        (["show", "restart", "--section", "with gw", "-o", "json"], "runbook-show-json"),
        (["search", "agent", "hangs"], "runbook-search"),
        (["search", "agent", "-o", "json"], "runbook-search-json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pages_are_read_as_kept(runbook: Runbook, arguments: list[str], kept: str) -> None:
    answer = runbook(*arguments)
    assert answer.code == 0, answer
    check_golden(f"{kept}.txt", answer.out)


def test_words_that_no_page_has_are_told(runbook: Runbook) -> None:
    answer = runbook("search", "flux", "capacitor")
    assert (answer.code, answer.out.startswith("No page has all of these words.")) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "restrat"], "there is no page restrat"),
        (["show", "restart", "--section", "Nowhere"], "restart has no section 'Nowhere'"),
        (["run", "agent.available"], "agent.available has no steps to run"),
        (["run", "restart"], "nothing was said in place of TENANT (TENANT is the tenant, which is its namespace)"),
        (["run", "restart", "--set", "TENANT"], "--set 'TENANT' names no place"),
        (["run", "restart", "--set", "TEMANT=a"], "--set 'TEMANT=a' names no place"),
        (["run", "restart", *SET, "--set", "GROUP=a"], "restart has no place GROUP"),
        (["run", "restart", *SET, *SET], "--set names TENANT twice"),
        (["run", "restart", "--set", "TENANT=a;reboot"], "TENANT cannot be 'a;reboot'"),
        (["run", "restart", *SET, "--from", "9"], "--from 9 is none of the steps"),
        (["run", "restart", *SET, "--from", "0"], "--from"),
        (["run", "restart", *SET, "--done", "2"], "--done 2 is no step of a person"),
        (["run", "restart", *SET, "--section", "Restart an agent"], "no section"),
        (
            ["run", "restart", *SET, "--section", "Undo", "--yes"],
            "this destroys something and was not confirmed by name",
        ),
        (["run", "restart", *SET], "there is no terminal to ask on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_refused_before_anything_is_run(
    runbook: Runbook, arguments: list[str], said: str
) -> None:
    answer = runbook(*arguments)
    assert answer.code == 2, answer
    assert said in answer.err
    assert "\nNext:  " in answer.err
    assert (runbook.shell.ran, runbook.shell.probed) == ([], [])


# -- running


def test_a_dry_run_shows_the_plan_and_runs_nothing(runbook: Runbook) -> None:
    answer = runbook("run", "restart", *SET, "--dry-run")
    assert answer.code == 0, answer
    check_golden("runbook-run-plan.txt", answer.err + answer.out)
    assert (runbook.shell.ran, runbook.shell.probed) == ([], [])


def test_a_run_looks_before_and_after_each_step_and_once_where_nothing_changed(runbook: Runbook) -> None:
    answer = runbook("run", "restart", *SET, *DONE, "--yes", "-o", "json")
    assert answer.code == 0, answer
    check_golden("runbook-run-json.txt", answer.out)
    assert runbook.shell.ran == [
        ("gw logs agent -n team-a", ()),
        ("gw restart agent team-a", ("--yes",)),
    ]
    assert runbook.shell.probed == ["gw tenant show team-a -o short", "gw health team-a --check session.open"]
    assert runbook.shell.target.output is not None


def test_a_step_that_asks_by_itself_is_not_asked_for_twice(runbook: Runbook) -> None:
    answer = runbook("run", "restart", *SET, answer="y\ny\n")
    assert answer.code == 0, answer
    assert "Go through these steps? [y/N]" in answer.err
    assert "Tell the tenant." in answer.err
    assert "Is it done? [y/N]" in answer.err
    assert "Run this step?" not in answer.err
    assert runbook.shell.ran[-1] == ("gw restart agent team-a", ())


def test_a_step_that_changes_something_is_asked_for(runbook: Runbook) -> None:
    kubectl = ("run", "restart", *SET, "--section", "With kubectl")
    refused = runbook(*kubectl, answer="y\nn\n")
    assert refused.code == 2, refused
    assert "Stopped: step 4, it was not confirmed." in refused.err
    assert runbook.shell.ran == []
    assert runbook(*kubectl, answer="y\ny\n").code == 0
    assert [script for script, _ in runbook.shell.ran] == [
        "kubectl rollout restart deploy/actions-gateway-controller -n team-a"
    ]


def test_a_plan_that_is_not_confirmed_runs_nothing(runbook: Runbook) -> None:
    answer = runbook("run", "restart", *SET, answer="n\n")
    assert answer.code == 2, answer
    assert "the plan was not confirmed, and nothing was run" in answer.err
    assert (runbook.shell.ran, runbook.shell.probed) == ([], [])


def test_what_only_reads_needs_no_answer(runbook: Runbook) -> None:
    assert runbook("run", "read").code == 0
    assert runbook.shell.ran == [("gw version", ())]


def test_a_name_that_is_typed_beforehand_goes_to_the_command_that_asks_for_it(runbook: Runbook) -> None:
    undo = ("run", "restart", *SET, "--section", "Undo", "--yes", "--confirm")
    assert runbook(*undo, "team-b").code == 2
    assert runbook.shell.ran == []
    assert runbook(*undo, "team-a").code == 0
    assert runbook.shell.ran == [("gw tenant remove team-a", ("--yes", "--confirm", "team-a"))]


def test_a_persons_step_waits_without_a_terminal_and_is_told_done_later(runbook: Runbook) -> None:
    answer = runbook("run", "restart", *SET, "--yes")
    assert answer.code == 2, answer
    assert "Stopped: step 1, it is a person's, and there is no terminal to ask on." in answer.err
    assert "gw runbook run restart --set TENANT=team-a --from 1 --done 1 goes on there" in answer.err
    assert runbook.shell.ran == []
    refused = runbook("run", "restart", *SET, answer="y\nn\n")
    assert (refused.code, "it is a person's, and is not done" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("codes", "code", "said", "ran"),
    [
        ({"restart": 5}, 1, "step 3, it ended with exit code 5", 2),
        ({"logs": 1}, 0, "", 2),
        ({"logs": 2}, 1, "step 2, it ended with exit code 2", 1),
        ({"health": 1}, 1, "step 3, served does not hold after it: gw health team-a --check session.open", 2),
        ({"health": 3}, 3, "step 3, served could not be looked at: gw health", 2),
        ({"logs": 0, "show": 3}, 3, "tenant-there could not be looked at", 0),
    ],
    ids=["fails", "is allowed to", "is not allowed to", "afterwards", "afterwards unseen", "person's unseen"],
)
def test_the_first_failure_ends_a_run_with_the_command_that_goes_on_there(
    runbook: Runbook, codes: dict[str, int], code: int, said: str, ran: int
) -> None:
    runbook.shell.codes = codes
    answer = runbook("run", "restart", *SET, *DONE, "--yes", "--context", "prod eu")
    assert answer.code == code, answer
    assert said in answer.err
    assert len(runbook.shell.ran) == ran
    if code:
        step = said[5] if said.startswith("step") else "1"
        assert f"gw runbook run restart --set TENANT=team-a --from {step}" in answer.err
        assert "--context 'prod eu' goes on there" in answer.err
        assert ("what gw" in answer.err) == ("exit code" not in said)


def test_a_condition_that_does_not_hold_keeps_a_step_from_being_begun(runbook: Runbook) -> None:
    runbook.shell.codes = {"tenant show": 2}
    answer = runbook("run", "restart", *SET, "--from", "2", "--yes", "-o", "json")
    assert answer.code == 2, answer
    assert "tenant-there does not hold, so it was not begun" in answer.err
    assert [step["state"] for step in json.loads(answer.out)["steps"]] == ["refused", "pending"]
    assert runbook.shell.ran == []


def test_a_program_that_is_missing_is_named_before_the_first_step(runbook: Runbook) -> None:
    runbook.shell.lacks = "kubectl"
    answer = runbook("run", "restart", *SET, "--section", "With kubectl", "--yes")
    assert answer.code == 2, answer
    assert "restart needs kubectl, which this machine lacks" in answer.err
    assert runbook("run", "restart", *SET, *DONE, "--yes").code == 0


@pytest.mark.parametrize("ends_it", ["signal", "the command's own exit code"])
def test_an_interrupt_says_in_which_step_and_how_to_go_on(runbook: Runbook, ends_it: str) -> None:
    def interrupt(script: str) -> None:
        raise KeyboardInterrupt

    if ends_it == "signal":
        runbook.shell.on_run = interrupt
    runbook.shell.codes = {"logs": 130}
    answer = runbook("run", "restart", *SET, *DONE, "--yes")
    assert answer.code == 130, answer
    assert "Interrupted in step 2" in answer.err
    assert "--from 2 goes on there" in answer.err


# -- the real shell


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path with a kubectl that tells what it was called with, and a gw that is not ours."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"kubectl": 'echo "kubectl $* in $KUBECONFIG"', "gw": "echo not ours"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_commands_speak_to_the_cluster_that_was_named(tools: Path) -> None:
    bash = Bash(ShellTarget(Path("/k f"), "prod eu"))
    assert bash.probe("kubectl get pod").output == "kubectl --context=prod eu get pod in /k f\n"
    assert bash.probe("xargs -n1 bash -c 'kubectl $0' <<< get").output == "kubectl --context=prod eu get in /k f\n"
    assert bash.probe('echo "$GW_KUBECONFIG $GW_CONTEXT"').output == "/k f prod eu\n"


def test_gw_is_this_very_gw_with_its_answers(tools: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bash = Bash(ShellTarget())
    assert bash.run("gw version", answers=("-o", "short")) == 0
    assert capfd.readouterr().out.strip() == json.loads(_version())["gw"]


def test_a_block_ends_at_its_first_failure(tools: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bash = Bash(ShellTarget())
    assert bash.run("false | true\necho never\n") == 1
    assert bash.run("(exit 7)\n") == 7
    assert bash.probe("echo seen; echo $UNKNOWN").code == 1
    assert capfd.readouterr().out == ""
    assert (bash.has("kubectl"), bash.has("gw"), bash.has("helm-of-nobody")) == (True, True, False)


def _version() -> str:
    out = io.StringIO()
    run(["version", "-o", "json"], surroundings=Surroundings(stdout=out))
    return out.getvalue()
