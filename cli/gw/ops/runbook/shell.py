"""Runs a page's commands as a person would type them: with bash, and with the very gw and the cluster of this gw."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

_BASH = ("bash", "-euo", "pipefail", "-c")
_FINE = frozenset({0})
_PROGRAMS = ("gw", "kubectl-gw")
"""What the program is installed as."""


@dataclass(frozen=True, slots=True)
class ShellTarget:
    """Which cluster its commands speak to, as far as it was named, and where their output goes."""

    kubeconfig: Path | None = None
    context: str | None = None
    output: TextIO | None = None
    """In place of standard output."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a command answered that nobody needs to see while all is well."""

    code: int
    output: str
    """Everything that it printed."""
    errors: str = ""
    """What of it went to standard error."""


class Shell(Protocol):
    """What runs commands."""

    def has(self, program: str) -> bool:
        """Whether the program is there."""

    def run(self, script: str, *, answers: tuple[str, ...] = (), exits: frozenset[int] = _FINE) -> int:
        """The exit code; output is seen as it comes. `answers` are options that every gw command of it gets.

        The first command that ends with none of `exits` ends it. Of those that end with one, the highest is the code.
        """

    def probe(self, script: str) -> Probe:
        """The same with the output kept back."""


def _own_command() -> list[str]:
    """This very gw: the program that was called, or the module that runs."""
    program = Path(sys.argv[0])
    if program.is_absolute() and program.name in _PROGRAMS and os.access(program, os.X_OK):
        return [str(program)]
    # Whatever is called gw in the working folder is not meant (-P).
    return [sys.executable, "-P", "-m", "gw"]


class Bash:
    """The real one. Its commands share this process's terminal, so that they ask and are interrupted as ever."""

    def __init__(self, target: ShellTarget) -> None:
        self._target = target

    def has(self, program: str) -> bool:
        import shutil

        return program == "gw" or shutil.which(program) is not None

    def run(self, script: str, *, answers: tuple[str, ...] = (), exits: frozenset[int] = _FINE) -> int:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        command = [*_BASH, self._prelude(answers) + _to_the_end(script, exits)]
        return subprocess.run(
            command, env=self._environment(os.environ), stdout=self._target.output, check=False
        ).returncode

    def probe(self, script: str) -> Probe:
        done = subprocess.run(
            [*_BASH, self._prelude(()) + script],
            env=self._environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return Probe(done.returncode, done.stdout + done.stderr, done.stderr)

    def _prelude(self, answers: tuple[str, ...]) -> str:
        """gw is this gw whatever the path has; kubectl knows no variable for a context."""
        lines = [f'gw() {{ {shlex.join(_own_command())} "$@" {shlex.join(answers)}; }}', "export -f gw"]
        if self._target.context is not None:
            option = shlex.quote(f"--context={self._target.context}")
            lines += [f'kubectl() {{ command kubectl {option} "$@"; }}', "export -f kubectl"]
        return "\n".join(lines) + "\n"

    def _environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        variables = dict(ours)
        if self._target.kubeconfig is not None:
            # gw's own variable would win over kubectl's.
            variables |= {"KUBECONFIG": str(self._target.kubeconfig), "GW_KUBECONFIG": str(self._target.kubeconfig)}
        elif own := variables.get("GW_KUBECONFIG"):
            variables["KUBECONFIG"] = own
        if self._target.context is not None:
            variables["GW_CONTEXT"] = self._target.context
        # The format that was asked for is that of the run as a whole; pages show what people read.
        variables.pop("GW_OUTPUT", None)
        return variables


def _to_the_end(script: str, exits: frozenset[int]) -> str:
    """The script that goes on after a command which ends as it may, and that ends with the highest such code."""
    if exits == _FINE:
        return script
    allowed = "|".join(map(str, sorted(exits)))
    trap = (
        "gw_code=$?; case $gw_code in "
        f"{allowed}) if ((gw_code > gw_highest)); then gw_highest=$gw_code; fi;; *) exit $gw_code;; esac"
    )
    return f"set +e\ngw_highest=0\ntrap {shlex.quote(trap)} ERR\n{script}\nexit $gw_highest\n"
