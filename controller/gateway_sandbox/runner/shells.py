"""How a `run:` step becomes a process.

Command lines: GitHub Docs "Workflow syntax", section `steps[*].shell`; actions/runner `src/Runner.Worker/Handlers/
ScriptHandlerHelpers.cs` (without a shell, bash runs with `-e` only, and sh where there is no bash).
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH113, PTH118, PTH123
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SHELLS = {
    "": "bash -e {0}",
    "bash": "bash --noprofile --norc -e -o pipefail {0}",
    "sh": "sh -e {0}",
    "python": "python {0}",
    "pwsh": "pwsh -command \". '{0}'\"",
}
EXTENSIONS = {"": ".sh", "bash": ".sh", "sh": ".sh", "python": ".py", "pwsh": ".ps1"}


class ShellError(ValueError):
    """The step's shell cannot be used; the text says why."""


def script_command(shell: str, script_path: str, environ: Mapping[str, str]) -> list[str]:
    """The arguments that run the script file; raises ShellError."""
    template = SHELLS.get(shell, shell)
    if "{0}" not in template:
        raise ShellError(
            f"Invalid shell option {shell!r}. Shell must be a valid built-in (bash, sh, python, pwsh) or a format "
            "string containing '{0}'"
        )
    if shell == "" and find_program("bash", environ) is None:
        template = SHELLS["sh"]
    program, _, arguments = template.partition(" ")
    path = find_program(program, environ)
    if path is None:
        raise ShellError(f"{program}: command not found")
    return [path, *(part.replace("{0}", script_path) for part in _split(arguments))]


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """The first executable of that name on PATH, or the path itself."""
    if "/" in name:
        return name
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _split(arguments: str) -> list[str]:
    if "'" not in arguments and '"' not in arguments:
        return arguments.split()
    import shlex  # only custom shells need quoting

    try:
        return shlex.split(arguments)
    except ValueError as exc:
        raise ShellError(f"the shell's arguments cannot be split: {exc}") from exc


def write_script(folder: str, step_id: str, shell: str, script: str) -> str:
    """Writes the step's script; returns its path."""
    path = os.path.join(folder, step_id + EXTENSIONS.get(shell, ""))
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(script.replace("\r\n", "\n"))
    return path
