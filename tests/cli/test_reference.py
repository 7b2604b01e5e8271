"""The reference of the command line is what the generator writes, and shells complete what it lists."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gw.app import app
from gw.exits import ExitCode
from gw.reference import COMMAND, REFERENCE, exit_codes, render_reference

from .rig import Gw

ROOT = Path(__file__).parents[2]
COMPLETE = "import gw.commandline as m, sys\nsys.exit(m.run([]))"


def commands() -> list[tuple[str, typer.core.TyperCommand]]:
    found: list[tuple[str, typer.core.TyperCommand]] = []

    def walk(command: object, path: str) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}")
        if isinstance(command, typer.core.TyperCommand):
            found.append((path, command))

    walk(typer.main.get_command(app), "gw")
    return found


def test_the_reference_is_as_generated() -> None:
    assert (ROOT / REFERENCE).read_text() == render_reference(), f"rewrite it with: {COMMAND}"


def test_every_command_is_in_it_with_each_of_its_options() -> None:
    text = render_reference()
    for path, command in commands():
        _, found, section = text.partition(f"\n### {path}\n")
        assert found, path
        body = section.partition("\n### ")[0] + text.partition("\n## Commands\n")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert all(f"`{name}`" in body for name in parameter.opts), (path, parameter.opts)


@pytest.mark.parametrize(("path", "command"), commands(), ids=[path for path, _ in commands()])
def test_every_command_argument_and_option_says_what_it_is(path: str, command: typer.core.TyperCommand) -> None:
    assert command.help
    silent = [each.name for each in command.params if not getattr(each, "help", None)]
    assert silent == [], path


def test_every_exit_code_is_explained() -> None:
    assert list(exit_codes()) == [int(code) for code in ExitCode]
    assert all(exit_codes().values())


@pytest.mark.parametrize(
    ("shell", "said"), [("bash", "complete -o default -F"), ("zsh", "#compdef gw"), ("fish", "complete --command gw")]
)
def test_a_script_for_the_shell_is_printed(gw: Gw, shell: str, said: str) -> None:
    answer = gw("completion", shell)
    assert (answer.code, answer.err) == (0, "")
    assert said in answer.out
    assert "_GW_COMPLETE" in answer.out


def test_a_shell_that_is_not_known_is_refused_with_those_that_are(gw: Gw) -> None:
    answer = gw("completion", "csh")
    assert answer.code == 2
    assert "bash" in answer.err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("gw lo", "logs"),
        ("gw logs a", "agent"),
        ("gw logs agent --lev", "--level"),
        ("gw logs agent --level w", "warning"),
        ("gw events --type w", "warning"),
        ("gw support-bundle --no", "--no-redaction"),
        ("gw completion z", "zsh"),
    ],
)
def test_a_shell_is_told_what_may_come_without_anything_heavy(words: str, found: str) -> None:
    asked = {"_GW_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    program = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{COMPLETE}"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | asked, check=False
    )
    assert found in result.stdout.split(), result
    assert not {"aiohttp", "httpx", "kubernetes", "cryptography"} & set(result.stderr.split())
