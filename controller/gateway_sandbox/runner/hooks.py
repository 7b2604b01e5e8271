"""The job hooks: scripts of the runner's owner that run before and after a job.

Source: actions/runner `src/Runner.Worker/JobHookProvider.cs`, `Handlers/ScriptHandler.cs`: an absolute path, `.sh` in
bash (else sh) with `-e`, without the job's own `env:`; a failing hook fails the job; the completed hook does not run
on a shutdown.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH113
from __future__ import annotations

import os

from .filecommands import FileCommandError, create_files
from .records import StepRecord
from .shells import find_program
from .stepprocess import StepProcess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .jobstate import JobState

STARTED = "ACTIONS_RUNNER_HOOK_JOB_STARTED"
COMPLETED = "ACTIONS_RUNNER_HOOK_JOB_COMPLETED"
NAMES = {STARTED: "Set up runner", COMPLETED: "Complete runner"}


def hook_record(variable: str, environ: Mapping[str, str]) -> StepRecord | None:
    """The step that runs the hook, None when there is none; its number is still to be set."""
    return StepRecord(variable.lower(), 0, NAMES[variable]) if environ.get(variable) else None


def run_hook(variable: str, state: JobState, record: StepRecord) -> None:
    """Runs the hook's script and takes a failure over into the job's status."""
    record.start()
    state.log.begin_step(record.number)
    path = state.environ[variable]
    try:
        error = _problem(path) or _run(path, state)
    except (FileCommandError, OSError) as exc:
        error = str(exc)
    if error:
        state.log.error(error)
        state.fail()
    record.complete("failure" if error else "success")
    state.note_cancellation()


def _problem(path: str) -> str:
    if not path.endswith(".sh"):
        return f"{path} is not a valid path to a script. The sandbox runs hooks that end in .sh"
    return "" if os.path.isfile(path) else f"File doesn't exist: {path}"


def _run(path: str, state: JobState) -> str:
    shell = find_program("bash", state.environ) or find_program("sh", state.environ) or "/bin/sh"
    state.log.write(f"A job hook has been configured by the self-hosted runner administrator: {path}")
    process = StepProcess(
        state.cancellation, state.knobs, on_line=state.log.output, must_stop=lambda: state.cancellation.is_shutdown
    )
    files = create_files(state.folders.commands, "hook")
    end = process.run(
        [shell, "-e", path],
        folder=state.folders.workspace,
        environ={**state.environ, **files},
        timeout_seconds=None,
    )
    state.take_environment_files(files)
    return f"Process completed with exit code {end.exit_code}." if end.exit_code else ""
