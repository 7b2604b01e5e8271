"""`gw runbook`: pages are listed, shown, found and run, step by step, with a shell that plays the world."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gw.commandline import run
from gw.ops.runbook import library
from gw.ops.runbook.shell import Probe, ShellTarget
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

   <!-- run: needs=gw,gw-viewer before=tenant-there after=anything changes=no exits=0,1,3 -->
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
WAYS = """---
title: Ways
symptoms: [There are several]
---
# Ways

## With gw

<!-- run: needs=gw before=anything after=anything changes=no -->
```sh
gw version
```

### Another way

<!-- run: needs=gw before=anything after=anything changes=no path=aside -->
```sh
gw version -o json
```

### More of it

<!-- run: needs=gw before=anything after=anything changes=no -->
```sh
gw version -o short
```

## With kubectl

### The agent

<!-- run: needs=kubectl before=anything after=anything changes=no path=aside -->
```sh
kubectl version
```
"""
ENDING = """---
title: End a tenant
symptoms: [A team leaves]
places:
  TENANT: the tenant
  KEY_FILE: the file with the new key
  APP_ID: the number of the App
conditions:
  gone: kubectl get namespace TENANT
  contained: gw health TENANT
---
# End a tenant

<!-- run: needs=gw before=anything after=contained changes=asked waits=2 -->
```sh
gw incident key-compromise TENANT
```

<!-- person: needs=github-owner before=anything after=anything gives=KEY_FILE,APP_ID -->
Make a new key, and look the number of the App up.

<!-- run: needs=gw before=anything after=anything changes=asked confirm=APP_ID -->
```sh
gw incident key-compromise TENANT --private-key-file KEY_FILE
```

## Delete it

<!-- run: needs=kubectl before=anything after=gone changes=yes confirm=TENANT path=aside -->
```sh
kubectl delete namespace TENANT
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
    complaints: dict[str, str] = field(default_factory=dict)
    """What is said on standard error, by a part of the script."""
    lacks: str = ""
    target: ShellTarget = field(default_factory=ShellTarget)
    on_run: Callable[[str], None] = lambda script: None

    def has(self, program: str) -> bool:
        return program != self.lacks

    def run(self, script: str, *, answers: tuple[str, ...] = (), exits: frozenset[int] = frozenset({0})) -> int:
        self.ran.append((script.strip(), answers))
        self.on_run(script)
        return self._code(script)

    def probe(self, script: str) -> Probe:
        self.probed.append(script)
        said = next((words for part, words in self.complaints.items() if part in script), "")
        return Probe(self._code(script), f"what {script} said\n{said}", said)

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
def pages() -> dict[str, str]:
    """Pages beside those that are always there, by name."""
    return {}


@pytest.fixture
def runbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: dict[str, str]) -> Runbook:
    folder = tmp_path / "runbooks"
    for name in ("procedures", "alerts", "checks"):
        (folder / name).mkdir(parents=True)
    (folder / "procedures" / "restart.md").write_text(PAGE)
    (folder / "procedures" / "read.md").write_text(READING)
    for name, text in pages.items():
        (folder / "procedures" / f"{name}.md").write_text(text)
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
        ({"health": 4}, 4, "step 3, served could not be looked at: gw health", 2),
        ({"health": 5}, 5, "step 3, served did not come to hold in time after it: gw health", 2),
        ({"logs": 0, "show": 3}, 3, "tenant-there could not be looked at", 0),
        ({"show": 127}, 3, "tenant-there could not be looked at", 0),
    ],
    ids=[
        *("fails", "is allowed to", "is not allowed to", "afterwards", "afterwards unseen", "afterwards locked out"),
        *("afterwards too late", "person's unseen", "no such program"),
    ],
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


def test_what_could_not_be_told_lets_a_run_go_on_and_is_its_end(runbook: Runbook) -> None:
    runbook.shell.codes = {"logs": 3}
    answer = runbook("run", "restart", *SET, *DONE, "--yes", "-o", "json")
    assert answer.code == 3, answer
    document = json.loads(answer.out)
    assert [step["state"] for step in document["steps"]] == ["done", "untold", "done"]
    assert document["exit_code"] == 3
    assert "Unknown: step 2, it could not find out all that it looked for." in answer.err
    assert (
        runbook("run", "restart", *SET, *DONE, "--yes").out
        == "Restart an agent: 2 of 3 steps done, 1 could not be told.\n"
    )


# -- ways, names and what is known later


@pytest.mark.parametrize("pages", [{"ways": WAYS}])
@pytest.mark.parametrize(
    ("section", "ran"),
    [
        ("With gw", ["gw version", "gw version -o short"]),
        ("Another way", ["gw version -o json"]),
        ("The agent", ["kubectl version"]),
    ],
)
def test_a_section_leaves_out_the_other_ways_of_the_sections_within_it(
    runbook: Runbook, section: str, ran: list[str]
) -> None:
    assert runbook("run", "ways", "--section", section).code == 0
    assert [script for script, _ in runbook.shell.ran] == ran


@pytest.mark.parametrize("pages", [{"ways": WAYS}])
def test_a_section_that_has_other_ways_alone_is_not_run_as_a_whole(runbook: Runbook) -> None:
    answer = runbook("run", "ways", "--section", "With kubectl")
    assert answer.code == 2, answer
    assert "Name a section that has some: With gw, Another way, More of it, The agent." in answer.err


DELETE = ("run", "ending", *SET, "--section", "Delete it")


@pytest.mark.parametrize("pages", [{"ending": ENDING}])
@pytest.mark.parametrize("confirm", [(), ("--confirm", "team-b")])
def test_yes_alone_runs_no_block_that_destroys_something(runbook: Runbook, confirm: tuple[str, ...]) -> None:
    answer = runbook(*DELETE, "--yes", *confirm)
    assert answer.code == 2, answer
    assert "was not confirmed by name" in answer.err
    assert "Add --yes --confirm team-a" in answer.err
    assert runbook.shell.ran == []
    assert runbook(*DELETE, "--yes", "--confirm", "team-a").code == 0
    assert [script for script, _ in runbook.shell.ran] == ["kubectl delete namespace team-a"]


@pytest.mark.parametrize("pages", [{"ending": ENDING}])
def test_a_block_that_destroys_something_is_asked_for_by_name(runbook: Runbook) -> None:
    refused = runbook(*DELETE, answer="y\ny\n")
    assert refused.code == 2, refused
    assert "This cannot be undone. Type team-a to run this step:" in refused.err
    assert "Stopped: step 4, it was not confirmed." in refused.err
    assert runbook.shell.ran == []
    assert runbook(*DELETE, answer="y\nteam-a\n").code == 0
    assert len(runbook.shell.ran) == 1


@pytest.mark.parametrize("pages", [{"ending": ENDING}])
@pytest.mark.parametrize(
    ("complaint", "code", "said"),
    [
        ("", 1, "gone does not hold after it"),
        ('Error from server (NotFound): namespaces "team-a" not found\n', 1, "gone does not hold after it"),
        ("error: timed out waiting for the condition on pods/a\n", 5, "gone did not come to hold in time after it"),
        ('Error from server (Forbidden): namespaces "team-a" is forbidden\n', 3, "gone could not be looked at"),
        ("error: You must be logged in to the server (Unauthorized)\n", 4, "gone could not be looked at"),
    ],
)
def test_kubectl_that_could_not_ask_is_told_apart_from_a_no(
    runbook: Runbook, complaint: str, code: int, said: str
) -> None:
    runbook.shell.codes = {"get namespace": 1}
    runbook.shell.complaints = {"get namespace": complaint}
    answer = runbook(*DELETE, "--yes", "--confirm", "team-a")
    assert answer.code == code, answer
    assert f"step 4, {said}" in answer.err
    assert complaint.strip() in answer.err


@pytest.mark.parametrize("pages", [{"ending": ENDING}])
@pytest.mark.parametrize(
    ("health", "code", "said"),
    [
        (1, 2, "Stopped: step 1, it waits for a person"),
        (5, 2, "Stopped: step 1, it waits for a person"),
        (3, 3, "Stopped: step 1, contained could not be looked at"),
        (0, 2, "Stopped: step 2, it is a person's"),
    ],
)
def test_a_command_that_waits_for_a_person_has_not_failed(runbook: Runbook, health: int, code: int, said: str) -> None:
    runbook.shell.codes = {"incident": 2, "health": health}
    answer = runbook("run", "ending", *SET, "--yes")
    assert answer.code == code, answer
    assert said in answer.err
    step = said.partition("step ")[2][0]
    assert f"gw runbook run ending --set TENANT=team-a --from {step}" in answer.err
    assert "--done 1" not in answer.err
    assert ("Waits:   step 1, it waits for a person" in answer.err) == (health == 0)


@pytest.mark.parametrize("pages", [{"ending": ENDING}])
def test_what_only_a_persons_step_brings_about_is_asked_for_behind_it(runbook: Runbook) -> None:
    first = ("gw incident key-compromise team-a", ("--yes",))
    waiting = runbook("run", "ending", *SET, "--yes")
    assert (waiting.code, runbook.shell.ran) == (2, [first])
    assert "Stopped: step 2, it is a person's" in waiting.err
    assert "--from 2 --done 2 --set KEY_FILE=… --set APP_ID=… goes on there" in waiting.err
    asked = runbook("run", "ending", *SET, answer="y\ny\n")
    assert asked.code == 2, asked
    assert "Stopped: step 3, it takes APP_ID, KEY_FILE, which was not said yet." in asked.err
    assert "KEY_FILE is the file with the new key" in asked.err
    assert "--set TENANT=team-a --from 3 --set APP_ID=… --set KEY_FILE=… goes on there" in asked.err
    again = ("run", "ending", *SET, "--yes", "--from", "3")
    assert "nothing was said in place of KEY_FILE, APP_ID" in runbook(*again).err
    again += ("--set", "KEY_FILE=new.pem", "--set", "APP_ID=12")
    assert "was not confirmed by name" in runbook(*again).err
    assert runbook(*again, "--confirm", "12").code == 0
    last = "gw incident key-compromise team-a --private-key-file new.pem"
    assert runbook.shell.ran[-1] == (last, ("--yes", "--confirm", "12"))


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
