"""Runs one job: set up, hooks, steps, clean up; its result is what completejob reports.

Source: actions/runner `src/Runner.Worker/JobRunner.cs`, `JobExtension.cs`, `StepsRunner.cs`.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH118
from __future__ import annotations

import os
import platform

from .errors import SetupError
from .expressions import ExpressionError
from .hooks import COMPLETED, STARTED, hook_record, run_hook
from .joblog import JobLog
from .jobstate import JobState
from .processes import kill_leftovers
from .records import StepRecord
from .steps import Step
from .tokens import evaluate_token
from .values import to_text
from .workspace import Workspace, describing_variables, repository_of, runner_context, write_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .cancellation import Cancellation
    from .diagnostics import Trace
    from .jobmessage import JobMessage
    from .knobs import Knobs
    from .reporting import Reporter

SHUTDOWN_ERROR = (
    "The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually "
    "started runner is canceled."
)
RESULTS = {"success": "succeeded", "failure": "failed", "cancelled": "canceled"}
TASK_RESULT_CODES = {"succeeded": 100, "failed": 102, "canceled": 103}


class JobRun:
    """`run` executes the job; `result`, `outputs` and `records` are then ready for the report."""

    def __init__(
        self,
        message: JobMessage,
        settings: dict[str, Any],
        *,
        runner_root: str,
        environ: Mapping[str, str],
        log: JobLog,
        reporter: Reporter | None,
        trace: Trace,
        cancellation: Cancellation,
        knobs: Knobs,
    ) -> None:
        self.result = "succeeded"
        self.outputs: dict[str, dict[str, Any]] = {}
        self._message = message
        self._settings = settings
        self._work_folder = os.path.join(runner_root, to_text(settings["workfolder"]))
        self._tracking_id = "github_" + os.urandom(16).hex()
        self._environ = {**environ, "RUNNER_TRACKING_ID": self._tracking_id, "CI": environ.get("CI", "true")}
        self._log = log
        self._reporter = reporter
        self._trace = trace
        self._cancellation = cancellation
        self._knobs = knobs
        self._set_up = StepRecord("set-up-job", 1, "Set up job")
        self._started_hook = hook_record(STARTED, environ)
        self._steps = [Step(definition, number) for number, definition in enumerate(message.steps, start=1)]
        self._completed_hook = hook_record(COMPLETED, environ)
        self._finish = StepRecord("complete-job", 0, "Complete job")
        for number, record in enumerate(self.records, start=1):
            record.number = number
            record.name = log.masker.mask(record.name)

    @property
    def records(self) -> list[StepRecord]:
        """All steps in their order, numbered from 1."""
        return [
            self._set_up,
            *([self._started_hook] if self._started_hook else []),
            *(step.record for step in self._steps),
            *([self._completed_hook] if self._completed_hook else []),
            self._finish,
        ]

    @property
    def annotations(self) -> list[dict[str, Any]]:
        return self._log.annotations

    def run(self) -> None:
        """Never raises for anything that a job can do wrong."""
        self._set_up.start()
        self._publish()
        try:
            state = self._prepare()
        except (SetupError, ExpressionError) as exc:
            self._log.error(str(exc))
            self._set_up.complete("failure")
            self._end("failure")
            return
        if self._cancellation.kind:
            self._set_up.complete("cancelled")
            self._end("cancelled")
            return
        self._set_up.complete("success")
        self._run_hook(STARTED, self._started_hook, state)
        if self._message.needs_containers:
            self._refuse_containers(state)
        for step in self._steps:
            self._run_step(step, state)
        self._cancellation.wait(self._knobs.duration_seconds)
        state.note_cancellation()
        self._trace.info("JobRunner", f"Job result after all job steps finish: {RESULTS[state.status].capitalize()}")
        if not self._cancellation.is_shutdown:
            self._run_hook(COMPLETED, self._completed_hook, state)
        self._collect_outputs(state)
        state.folders.empty_temp()
        self._end(state.status)

    def _prepare(self) -> JobState:
        """Raises SetupError and ExpressionError."""
        message = self._message
        repository = repository_of(message.github)
        folders = Workspace(self._work_folder, repository, self._environ)
        runner = runner_context(self._settings, folders, environment=message.variable("system.runnerenvironment"))
        github = {**message.github, "workspace": folders.workspace, "token": message.variable("github_token")}
        github["event_path"] = write_event(folders, github)
        self._log.begin_step(self._set_up.number)
        self._log.write(f"Runner name: '{runner['name']}'\nMachine name: '{platform.node()}'")
        self._log.write(f"Complete job name: {message.display_name}")
        state = JobState(
            contexts={**message.contexts, "github": github, "runner": runner, "secrets": message.secrets},
            environ={**self._environ, **describing_variables(github, runner)},
            folders=folders,
            log=self._log,
            trace=self._trace,
            cancellation=self._cancellation,
            knobs=self._knobs,
        )
        for token in message.environment:
            state.env.update(state.evaluate_env(token))
        for token in message.defaults:
            defaults = evaluate_token(token, state.scope())
            state.run_defaults.update((defaults or {}).get("run") or {})
        return state

    def _refuse_containers(self, state: JobState) -> None:
        """Where the real worker starts the job's containers: after the hook, which may have refused the job itself."""
        if state.status == "success":
            self._log.begin_step(self._set_up.number)
            self._log.error("the sandbox does not run `container:` or `services:` jobs; use steps on the runner itself")
            state.fail()
        for step in self._steps:
            step.skip("the job's containers were not started")

    def _run_step(self, step: Step, state: JobState) -> None:
        state.note_cancellation()
        if step.record.status == "completed":
            return
        if self._cancellation.is_shutdown:
            step.skip("the runner was shut down")
            return
        step.record.start()
        self._publish()
        step.run(state)
        self._publish()

    def _run_hook(self, variable: str, record: StepRecord | None, state: JobState) -> None:
        if record is not None:
            record.start()
            self._publish()
            run_hook(variable, state, record)
            self._publish()

    def _collect_outputs(self, state: JobState) -> None:
        try:
            values = evaluate_token(self._message.outputs, state.scope()) or {}
        except ExpressionError as exc:
            self._log.error(f"Fail to evaluate job outputs: {exc}")
            state.fail()
            return
        for name, value in values.items():
            text = to_text(value)
            if self._log.masker.mask(text) != text:
                self._log.warning(f"Skip output '{name}' since it may contain secret.")
            elif text:
                self.outputs[name] = {"value": text}

    def _end(self, status: str) -> None:
        self._finish.start()
        self._log.begin_step(self._finish.number)
        if self._cancellation.is_shutdown and status == "failure":
            self._log.error(SHUTDOWN_ERROR)
        for pid in kill_leftovers(self._tracking_id):
            self._log.write(f"Terminate orphan process: pid ({pid})")
        for record in self.records:
            if record.status != "completed" and record is not self._finish:
                record.complete("skipped")
        self._finish.complete("success")
        self.result = self._knobs.result or RESULTS[status]
        self._publish()

    def _publish(self) -> None:
        if self._reporter is not None:
            self._reporter.steps([record.for_results() for record in self.records])
