"""Runs one step: condition, environment, the script or the checkout, its outputs and its result.

Order and results: actions/runner `src/Runner.Worker/StepsRunner.cs`, `Handlers/ScriptHandler.cs`. What the sandbox
cannot run it reports as skipped, with the reason.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH118
from __future__ import annotations

import os

from .checkout import CheckoutError, copy_tree
from .expressions import ExpressionError, parse
from .filecommands import (
    SUMMARY_LIMIT_BYTES,
    FileCommandError,
    create_files,
    parse_pairs,
    read_text,
)
from .records import StepRecord
from .shells import SHELLS, ShellError, script_command, write_script
from .stepprocess import ProcessEnd, StepProcess
from .tokens import evaluate_token
from .values import is_truthy, to_number, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .jobstate import JobState

CHECKOUT = "actions/checkout"


class Skipped(Exception):
    """The sandbox does not run this step; the text says why."""


class StepFailed(Exception):
    """The step fails with this error."""


class Cancelled(Exception):
    """The step was ended because the job is."""


class Step:
    """One step of the job message; `run` leaves its result in `record`."""

    def __init__(self, definition: dict[str, Any], number: int) -> None:
        reference = definition.get("reference") or {}
        self._definition = definition
        self._reference = reference
        self.is_script = str(reference.get("type", "")).lower() == "script"
        self.context_name = to_text(definition.get("contextname")) or f"__step_{number}"
        self._action = to_text(reference.get("name") or reference.get("image") or reference.get("path"))
        self.record = StepRecord(
            to_text(definition.get("id")) or self.context_name,
            number,
            self._default_name(),
            action_name=self._action,
            ref=to_text(reference.get("ref")),
        )

    def _default_name(self) -> str:
        name = self._definition.get("displaynametoken") or self._definition.get("displayname")
        if isinstance(name, str) and name:
            return name
        if self.is_script:
            pairs = (self._definition.get("inputs") or {}).get("map") or []
            script = next((pair.get("value") for pair in pairs if pair.get("key") == "script"), "")
            text = script if isinstance(script, str) else to_text((script or {}).get("expr"))
            return "Run " + (text.strip().splitlines() or [""])[0]
        ref = to_text(self._reference.get("ref"))
        return f"Run {self._action}" + (f"@{ref}" if ref else "")

    def run(self, state: JobState) -> None:
        """Runs the step as far as its condition allows and takes its result over into the job's status."""
        self.record.start()
        state.log.begin_step(self.record.number)
        state.trace.info("StepsRunner", f"Processing step: DisplayName='{self.record.name}'")
        env: dict[str, str] = {}
        outcome, reason, outputs = "success", "", dict[str, str]()
        try:
            env = state.evaluate_env(self._definition.get("environment"))
            self._take_name(state, env)
            if self.condition_holds(state, env):
                self._execute(state, env, outputs)
            else:
                outcome = "skipped"
        except Skipped as exc:
            outcome, reason = "skipped", state.log.masker.mask(str(exc))
            state.log.warning(f"{self.record.name}: {exc}")
        except Cancelled:
            outcome = "cancelled"
            state.log.error("The operation was canceled.")
        except (StepFailed, ExpressionError, FileCommandError, ShellError) as exc:
            outcome = "failure"
            state.log.error(str(exc))
        self._conclude(state, env, outcome, reason, outputs)

    def _conclude(
        self, state: JobState, env: Mapping[str, str], outcome: str, reason: str, outputs: dict[str, str]
    ) -> None:
        conclusion = outcome
        if outcome == "failure" and self._continues_on_error(state, env):
            conclusion = "success"
        self.record.complete(conclusion, outcome=outcome, reason=reason)
        state.contexts["steps"][self.context_name] = {
            "outputs": outputs,
            "outcome": outcome,
            "conclusion": conclusion,
        }
        state.note_cancellation()
        if conclusion == "failure":
            state.fail()
        state.trace.info("StepsRunner", f"Step result: {conclusion}")

    def skip(self, reason: str) -> None:
        """Leaves the step out, whatever its condition says."""
        self.record.complete("skipped", reason=reason)

    def condition_holds(self, state: JobState, env: Mapping[str, str]) -> bool:
        """Whether the step is to run in the job's present state; raises ExpressionError."""
        condition = to_text(self._definition.get("condition")) or "success()"
        return is_truthy(parse(condition).evaluate(state.scope(env)))

    def _take_name(self, state: JobState, env: Mapping[str, str]) -> None:
        token = self._definition.get("displaynametoken")
        if isinstance(token, dict):
            name = to_text(evaluate_token(token, state.scope(env)))
            self.record.name = state.log.masker.mask(name) or self.record.name

    def _continues_on_error(self, state: JobState, env: Mapping[str, str]) -> bool:
        try:
            return is_truthy(evaluate_token(self._definition.get("continueonerror"), state.scope(env)))
        except ExpressionError as exc:
            state.log.error(str(exc))
            return False

    def _execute(self, state: JobState, env: dict[str, str], outputs: dict[str, str]) -> None:
        scope = state.scope(env)
        inputs = evaluate_token(self._definition.get("inputs"), scope) or {}
        if self.is_script:
            self._run_script(state, env, inputs, outputs)
        elif self._action.lower() == CHECKOUT and not self._reference.get("path"):
            self._check_out(state, inputs, outputs)
        else:
            raise Skipped(f"the sandbox runs shell steps and {CHECKOUT} of the local tree, not {self._action}")

    def _check_out(self, state: JobState, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        github = state.contexts["github"]
        wanted = to_text(inputs.get("repository"))
        if wanted and wanted.lower() != to_text(github.get("repository")).lower():
            raise Skipped(f"the sandbox checks out the local tree only, not {wanted}")
        source = to_text(github.get("gateway_sandbox_source"))
        if not source:
            raise StepFailed("this run has no local tree to check out; start it from the folder that is to be copied")
        workspace = state.folders.workspace
        target = os.path.normpath(os.path.join(workspace, to_text(inputs.get("path"))))
        if target != workspace and not target.startswith(workspace + os.sep):
            raise StepFailed(f"Repository path '{target}' is not under '{workspace}'")
        try:
            count, kind = copy_tree(source, target)
        except CheckoutError as exc:
            raise StepFailed(str(exc)) from exc
        state.log.write(f"Copied {count} {kind} of {source} to {target}")
        if inputs.get("ref"):
            state.log.write(f"The sandbox copies the tree as it is; ref {to_text(inputs['ref'])} is not looked up")
        outputs["ref"] = to_text(github.get("ref"))

    def _run_script(
        self, state: JobState, env: dict[str, str], inputs: dict[str, Any], outputs: dict[str, str]
    ) -> None:
        shell = to_text(inputs.get("shell") or state.run_defaults.get("shell"))
        folder = to_text(inputs.get("workingDirectory") or state.run_defaults.get("working-directory"))
        script = to_text(inputs.get("script"))
        files = create_files(state.folders.commands, self.record.id)
        environ = state.process_environ(env, {**files, "GITHUB_ACTION": self.context_name})
        path = write_script(state.folders.temp, self.record.id, shell, script)
        command = script_command(shell, path, environ)
        shell_arguments = SHELLS.get(shell, shell).partition(" ")[2]
        self._print_header(state, env, script, f"{command[0]} {shell_arguments}")
        end = self._run_process(state, env, command, os.path.join(state.folders.workspace, folder), environ)
        self._take_files(state, files, outputs)
        self._judge(state, end, env)

    def _print_header(self, state: JobState, env: Mapping[str, str], script: str, shell_line: str) -> None:
        lines = script.rstrip("\n").split("\n")
        state.log.write(f"##[group]Run {lines[0] if lines else ''}")
        state.log.write("\n".join(lines))
        state.log.write(f"shell: {shell_line}")
        shown = {**state.env, **env}
        if shown:
            state.log.write("env:\n" + "\n".join(f"  {name}: {value}" for name, value in shown.items()))
        state.log.write("##[endgroup]")

    def _run_process(
        self, state: JobState, env: Mapping[str, str], command: list[str], folder: str, environ: dict[str, str]
    ) -> ProcessEnd:
        minutes = to_number(evaluate_token(self._definition.get("timeoutinminutes"), state.scope(env)))
        process = StepProcess(
            state.cancellation,
            state.knobs,
            on_line=state.log.output,
            must_stop=lambda: self._must_stop(state, env),
        )
        try:
            return process.run(
                command, folder=folder, environ=environ, timeout_seconds=minutes * 60 if minutes > 0 else None
            )
        except OSError as exc:
            raise StepFailed(
                f"An error occurred trying to start process '{command[0]}' with working directory '{folder}'. "
                f"{exc.strerror}"
            ) from exc

    def _must_stop(self, state: JobState, env: Mapping[str, str]) -> bool:
        """Asked when the job is being ended: a shutdown stops the step, a cancellation unless its condition holds."""
        state.note_cancellation()
        try:
            return state.cancellation.is_shutdown or not self.condition_holds(state, env)
        except ExpressionError:
            return True

    def _take_files(self, state: JobState, files: Mapping[str, str], outputs: dict[str, str]) -> None:
        outputs.update(state.log.command_outputs)
        outputs.update(parse_pairs(read_text(files["GITHUB_OUTPUT"])))
        state.take_environment_files(files)
        summary = read_text(files["GITHUB_STEP_SUMMARY"])
        if len(summary.encode()) > SUMMARY_LIMIT_BYTES:
            state.log.error("$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k.")

    def _judge(self, state: JobState, end: ProcessEnd, env: Mapping[str, str]) -> None:
        if end.was_cancelled:
            raise Cancelled
        if end.timed_out:
            minutes = to_text(evaluate_token(self._definition.get("timeoutinminutes"), state.scope(env)))
            raise StepFailed(f"The action '{self.record.name}' has timed out after {minutes} minutes.")
        if end.exit_code != 0:
            raise StepFailed(f"Process completed with exit code {end.exit_code}.")
        if state.log.has_refused_command:
            raise StepFailed("The step used a disabled workflow command.")
