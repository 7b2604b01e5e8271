"""The shell that runs a page's blocks: which gw and which cluster its commands speak to, and how a block ends."""

import io
import json
from pathlib import Path

import pytest

from gw.commandline import run
from gw.ops.runbook.shell import Bash, ShellTarget
from gw.surroundings import Surroundings


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


def test_an_installed_gw_calls_itself_and_not_what_the_path_has(
    tools: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tools.parent / "gw"
    program.write_text('#!/bin/sh\necho "installed, with $*"\n')
    monkeypatch.setattr("sys.argv", [str(program)])
    assert Bash(ShellTarget()).run("gw version -o short") == 0
    assert capfd.readouterr().out.strip() == json.loads(_version())["gw"], "no program: the module runs"
    program.chmod(0o755)
    assert Bash(ShellTarget()).run("gw version") == 0
    assert capfd.readouterr().out == "installed, with version\n"


def test_a_block_ends_at_its_first_failure(tools: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bash = Bash(ShellTarget())
    assert bash.run("false | true\necho never\n") == 1
    assert bash.run("(exit 7)\n") == 7
    assert bash.probe("echo seen; echo $UNKNOWN").code == 1
    assert capfd.readouterr().out == ""
    assert (bash.has("kubectl"), bash.has("gw"), bash.has("helm-of-nobody")) == (True, True, False)


@pytest.mark.parametrize(
    ("script", "code", "printed"),
    [
        ("echo first; gw no-such-command 2> /dev/null\necho last\n", 2, "first\nlast\n"),
        ("(exit 3)\n(exit 1)\necho last\n", 3, "last\n"),
        ("echo all\n", 0, "all\n"),
        ("(exit 1)\n(exit 7)\necho never\n", 7, ""),
        ("false | true\necho last\n", 1, "last\n"),
        ("false || echo caught\n", 0, "caught\n"),
    ],
)
def test_a_block_that_may_end_badly_is_run_to_its_end_and_each_command_compared(
    tools: Path, capfd: pytest.CaptureFixture[str], script: str, code: int, printed: str
) -> None:
    assert Bash(ShellTarget()).run(script, exits=frozenset({0, 1, 2, 3})) == code
    assert capfd.readouterr().out == printed


def test_a_probe_keeps_complaints_apart(tools: Path) -> None:
    probe = Bash(ShellTarget()).probe("echo seen; echo no >&2; false")
    assert (probe.code, probe.output, probe.errors) == (1, "seen\nno\n", "no\n")


def _version() -> str:
    out = io.StringIO()
    run(["version", "-o", "json"], surroundings=Surroundings(stdout=out))
    return out.getvalue()
