"""What the steps of one job share: contexts, environment, PATH, status, folders and the log."""

from __future__ import annotations

from .expressions import Scope
from .filecommands import FileCommandError, parse_pairs, parse_path_entries, read_text
from .tokens import evaluate_token
from .values import to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .cancellation import Cancellation
    from .diagnostics import Trace
    from .joblog import JobLog
    from .knobs import Knobs
    from .values import Value
    from .workspace import Workspace

BLOCKED_VARIABLES = ("NODE_OPTIONS",)
"""GITHUB_ENV cannot set them (actions/runner `src/Runner.Worker/FileCommandManager.cs`)."""


class JobState:
    """`status` is success, failure or cancelled: what the status functions and `job.status` say."""

    def __init__(
        self,
        *,
        contexts: dict[str, Value],
        environ: Mapping[str, str],
        folders: Workspace,
        log: JobLog,
        trace: Trace,
        cancellation: Cancellation,
        knobs: Knobs,
    ) -> None:
        self.contexts: dict[str, Value] = {"vars": {}, "inputs": {}, "matrix": None, "needs": {}, "strategy": {}}
        self.contexts.update(contexts)
        self.contexts.update({"env": {}, "steps": {}})
        self.environ = dict(environ)
        """The process environment of every step, before its own `env:`."""
        self.folders = folders
        self.log = log
        self.trace = trace
        self.cancellation = cancellation
        self.knobs = knobs
        self.path_entries: list[str] = []
        """From GITHUB_PATH, the latest first."""
        self.run_defaults: dict[str, Value] = {}
        """`shell` and `working-directory` of the workflow's and the job's `defaults.run`."""
        self.status = "success"

    @property
    def env(self) -> dict[str, str]:
        """The job's variables: of the workflow, the job and GITHUB_ENV."""
        return self.contexts["env"]  # type: ignore[no-any-return]

    def scope(self, step_env: Mapping[str, str] | None = None) -> Scope:
        """What expressions of a step may read."""
        job = {**(self.contexts.get("job") or {}), "status": self.status}
        env = {**self.env, **(step_env or {})}
        status = {
            "success": lambda: self.status == "success",
            "failure": lambda: self.status == "failure",
            "cancelled": lambda: self.status == "cancelled",
            "always": lambda: True,
        }
        return Scope({**self.contexts, "job": job, "env": env}, status)

    def process_environ(self, step_env: Mapping[str, str], files: Mapping[str, str]) -> dict[str, str]:
        """The environment of one process: the runner's own names win over `env:`, PATH entries come first."""
        described = {name: value for name, value in self.environ.items() if name.startswith(("GITHUB_", "RUNNER_"))}
        merged = {**self.environ, **self.env, **step_env, **described, **files}
        if self.path_entries:
            merged["PATH"] = ":".join([*self.path_entries, merged.get("PATH", "")])
        return merged

    def evaluate_env(self, token: Any, scope: Scope | None = None) -> dict[str, str]:
        """A mapping token as variables; raises ExpressionError."""
        values = evaluate_token(token, scope or self.scope())
        return {name: to_text(value) for name, value in values.items()} if isinstance(values, dict) else {}

    def take_environment_files(self, files: Mapping[str, str]) -> None:
        """Takes over what a step or hook wrote to GITHUB_ENV and GITHUB_PATH; raises FileCommandError."""
        for name, value in parse_pairs(read_text(files["GITHUB_ENV"])).items():
            if name.upper() in BLOCKED_VARIABLES:
                raise FileCommandError(f"Can't store {name} output parameter using '$GITHUB_ENV' command.")
            self.env[name] = value
        self.path_entries[:0] = reversed(parse_path_entries(read_text(files["GITHUB_PATH"])))

    def fail(self) -> None:
        if self.status == "success":
            self.status = "failure"

    def note_cancellation(self) -> None:
        """Takes a cancellation over into the status; a shutdown fails the job."""
        if self.cancellation.is_shutdown:
            self.status = "failure"
        elif self.cancellation.kind:
            self.status = "cancelled"
