"""What starting gw costs and how it speaks of itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from gw.app import app

from .rig import Gw

HEAVY = {
    "kubernetes",
    "httpx",
    "aiohttp",
    "pydantic",
    "grafanalib",
    "cryptography",
    "yaml",
    "jsonschema",
    "gateway_sandbox",
    "actions_gateway.kube",
    "actions_gateway.github",
    "gw.ops",
    "gw.checks",
    "gw.sources",
}


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import gw.app",
        "import gw.commandline as m\nassert m.run(['--help']) == 0",
    ],
    ids=["importing the app", "gw --help"],
)
def test_no_heavy_module_is_loaded_by(code: str) -> None:
    loaded = modules_after(code)
    assert "typer" in loaded
    assert {
        name for name in HEAVY if any(module == name or module.startswith(f"{name}.") for module in loaded)
    } == set()


def test_the_root_help_names_every_command(gw: Gw) -> None:
    program = "import gw.commandline as m\nm.run(['--help'])"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    for command in (
        "install",
        "uninstall",
        "check",
        "health",
        "tenant",
        "runner-group",
        "sandbox",
        "version",
        "--install-completion",
    ):
        assert command in shown


def test_kubectl_gw_names_itself_so() -> None:
    program = "import gw.commandline as m\nm.run(['--help'], program='kubectl-gw')"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("Usage: kubectl-gw ")


def test_the_installed_commands_start() -> None:
    for name in ("gw", "kubectl-gw"):
        program = os.path.join(os.path.dirname(sys.executable), name)  # noqa: PTH118, PTH120
        result = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("gw ")


def test_completion_comes_as_a_script_for_the_shell() -> None:
    variables = os.environ | {"_GW_COMPLETE": "source_bash"}
    program = "import gw.commandline as m, sys\nsys.exit(m.run([]))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=False)
    assert result.returncode == 0, result.stderr
    assert "complete -o default -F" in result.stdout


def test_versions_are_told_in_every_format(gw: Gw) -> None:
    answer = gw("version", "-o", "json")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert (document["version"], document["kind"]) == ("gw/v1", "Version")
    assert document["api"] == "actions-gateway.github.com/v1alpha1"
    assert gw("version", "-o", "short").out.strip() == document["gw"]
    assert f"gw       {document['gw']}" in gw("version").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tenan"], "No such command 'tenan'. Did you mean 'tenant'?"),
        (["tenant", "add"], "Missing argument"),
        (["tenant", "add", "team-a"], "--app-id"),
        (["health", "--fail-on", "panic"], "--fail-on"),
        (["health", "-o", "xml"], "--output"),
        (["version", "--frobnicate"], "--frobnicate"),
        (["tenant", "show"], "no tenant was named"),
        (["tenant", "show", "a", "-n", "b"], "two tenants were named: a and b"),
        (["health", "--wait", "soon"], "'soon' is no duration"),
        (["health", "--check", "gateway.redy"], "there is no check 'gateway.redy'"),
        (["check", "--pre", "--check", "policies.enforced"], "there is no check 'policies.enforced'"),
        (["install", "--replicas", "many"], "--replicas"),
        (["sandbox", "run", "x.yml", "--dir", "/nonexistent"], "no sandbox is running in /nonexistent"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_exits_with_2_and_names_the_next_step(gw: Gw, arguments: list[str], said: str) -> None:
    answer = gw(*arguments)
    assert answer.code == 2, answer
    assert answer.out == ""
    assert said in answer.err
    assert answer.err.startswith("Error: ")
    assert "\nNext:  " in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("arguments", [[], ["tenant"], ["sandbox"], ["runner-group"]], ids=lambda value: f"gw {value}")
def test_a_group_without_a_command_shows_its_help(gw: Gw, arguments: list[str]) -> None:
    answer = gw(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert "Usage: gw" in answer.err
    assert "Commands:" in answer.err


def commands_below(command: Any, path: str = "gw") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands_below(child, f"{path} {name}")


def test_every_command_and_option_says_what_it_is_for() -> None:
    silent = []
    for path, command in commands_below(typer.main.get_command(app)):
        if not command.help:
            silent.append(path)
        silent += [f"{path} {parameter.name}" for parameter in command.params if not getattr(parameter, "help", "")]
    assert silent == []


def test_the_first_line_of_every_help_fits_the_list_of_commands() -> None:
    first_lines = {path: command.help.split("\n")[0] for path, command in commands_below(typer.main.get_command(app))}
    del first_lines["gw"]
    assert {path: line for path, line in first_lines.items() if len(line) > 64} == {}


def test_the_ids_of_checks_are_completed() -> None:
    (option,) = [each for each in typer.main.get_command(app).commands["health"].params if each.name == "check"]  # type: ignore[attr-defined]
    assert [item.value for item in option.shell_complete(None, "agent.")] == ["agent.available", "agent.stable"]
