"""Makes a job that this worker cannot run end red, with the reason where its author looks: in the job's annotations.

GitHub takes no result for a job that never started, so `Runner.Worker` runs it with a job-started hook that fails. That
one comes before every step and every container (actions/runner `src/Runner.Worker/JobHookProvider.cs`,
`JobExtension.cs`; escapes: `src/Runner.Common/ActionCommand.cs`).
"""

# Importing pathlib would add 6 ms to every pod's start.
# ruff: noqa: PTH118
from __future__ import annotations

import os

from .staging import write_private

STARTED_HOOK = "ACTIONS_RUNNER_HOOK_JOB_STARTED"
TITLE = "Not supported by this runner"


def refusing_hook(reason: str, runner_home: str) -> dict[str, str]:
    """Lays the hook into the runner's home; the variable to set for the Worker, in place of the image's own hook.

    Raises StartError: a job that is to be refused is not run for want of its hook.
    """
    path = os.path.join(runner_home, "refuse-job.sh")
    write_private(path, _script(reason).encode(), mode=0o755)
    return {STARTED_HOOK: path}


def _script(reason: str) -> str:
    escaped = reason.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    quoted = f"::error title={TITLE}::{escaped}".replace("'", "'\\''")
    return f"#!/bin/sh\nprintf '%s\\n' '{quoted}'\nexit 1\n"
