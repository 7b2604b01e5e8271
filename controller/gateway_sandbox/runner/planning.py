"""From a checked workflow to the jobs of one run, and whether each of them runs.

The message parts have the wire form of actions/runner `src/Sdk/DTPipelines/Pipelines/AgentJobRequestMessage.cs`;
whoever queues a job adds ids, endpoints, variables and the contexts that only a run knows (github, needs, job).
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .contextdata import decode_context, encode_context
from .expressions import ExpressionError, Scope, parse
from .matrix import expand_matrix, matrix_suffix
from .templates import evaluated
from .values import Value, is_truthy, to_number, to_text
from .workflowmodel import JobSpec, Workflow
from .yamlsource import Node, WorkflowError

DEFAULT_TIMEOUT_MINUTES = 360.0
"""GitHub Docs "Workflow syntax", `jobs.<job_id>.timeout-minutes`."""

DEFAULT_FILE = ".github/workflows/workflow.yml"
STEP_IDS = uuid.UUID("6f6a3f0e-6c51-4d0e-9d53-2a4f5b1f1c11")


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job for the queue. `key` is shared by all combinations of a matrix; `condition` is None without an `if:`;
    `message` holds the parts of the job message that the workflow file decides."""

    key: str
    name: str
    labels: tuple[str, ...]
    needs: tuple[str, ...]
    condition: str | None
    matrix: dict[str, Any]
    fail_fast: bool
    max_parallel: int | None
    timeout_minutes: float
    continue_on_error: bool
    message: dict[str, Any]


def plan_jobs(workflow: Workflow, *, github: dict[str, Any]) -> tuple[PlannedJob, ...]:
    """The jobs of a run in the file's order, matrices expanded; raises WorkflowError.

    `github` is the run's context; its `workflow_ref` names the file in the messages.
    """
    contexts = {"github": github, "inputs": workflow.inputs, "vars": {}, "needs": {}}
    return tuple(planned for job in workflow.jobs for planned in _plan_job(workflow, job, contexts))


def _plan_job(workflow: Workflow, job: JobSpec, contexts: dict[str, Value]) -> list[PlannedJob]:
    where = f"jobs.{job.key}"
    scope = Scope(contexts)
    combinations = _combinations(job, scope)
    fail_fast = True if job.fail_fast is None else is_truthy(evaluated(job.fail_fast, f"{where}.fail-fast", scope))
    max_parallel = _max_parallel(job.max_parallel, f"{where}.strategy.max-parallel", scope)
    planned: list[PlannedJob] = []
    for index, combination in enumerate(combinations):
        strategy = {
            "fail-fast": fail_fast,
            "job-index": index,
            "job-total": len(combinations),
            "max-parallel": max_parallel or len(combinations),
        }
        job_contexts = {**contexts, "matrix": combination or None, "strategy": strategy}
        job_scope = Scope(job_contexts)
        name = _display_name(job, combination, job_scope)
        planned.append(
            PlannedJob(
                key=job.key,
                name=name,
                labels=_labels(job.runs_on, f"{where}.runs-on", job_scope),
                needs=job.needs,
                condition=job.condition,
                matrix=combination,
                fail_fast=fail_fast,
                max_parallel=max_parallel,
                timeout_minutes=_timeout(job.timeout_minutes, f"{where}.timeout-minutes", job_scope),
                continue_on_error=job.continue_on_error is not None
                and is_truthy(evaluated(job.continue_on_error, f"{where}.continue-on-error", job_scope)),
                message=_message(workflow, job, name, job_contexts),
            )
        )
    return planned


def _combinations(job: JobSpec, scope: Scope) -> list[dict[str, Value]]:
    if job.matrix is None:
        return [{}]
    where = f"jobs.{job.key}.strategy.matrix"
    matrix = evaluated(job.matrix, where, scope)
    if not isinstance(matrix, dict) or not matrix:
        raise WorkflowError(f"{where} must be a mapping of names to lists", job.matrix.line)
    try:
        return expand_matrix(matrix)
    except ValueError as exc:
        raise WorkflowError(f"{where} {exc}", job.matrix.line) from exc


def _max_parallel(node: Node | None, where: str, scope: Scope) -> int | None:
    if node is None:
        return None
    value = to_number(evaluated(node, where, scope))
    if not (value >= 1 and value == int(value)):
        raise WorkflowError(f"{where} must be a whole number of at least 1", node.line)
    return int(value)


def _timeout(node: Node | None, where: str, scope: Scope) -> float:
    if node is None:
        return DEFAULT_TIMEOUT_MINUTES
    value = to_number(evaluated(node, where, scope))
    if not 0 < value < math.inf:
        raise WorkflowError(f"{where} must be a number of minutes above 0", node.line)
    return value


def _labels(node: Node, where: str, scope: Scope) -> tuple[str, ...]:
    value = evaluated(node, where, scope)
    labels = tuple(to_text(label) for label in (value if isinstance(value, list) else [value]))
    if isinstance(value, dict) or not labels or not all(label.strip() for label in labels):
        raise WorkflowError(f"{where} gives no label; write labels, for example [self-hosted, linux]", node.line)
    return labels


def _display_name(job: JobSpec, combination: dict[str, Value], scope: Scope) -> str:
    """The job's name; GitHub appends the matrix's values unless the name uses the matrix itself."""
    if job.name is None:
        return job.key + matrix_suffix(combination)
    name = to_text(evaluated(job.name, f"jobs.{job.key}.name", scope)) or job.key
    written = to_text(job.name.value)
    return name if "${{" in written and "matrix" in written else name + matrix_suffix(combination)


def _message(workflow: Workflow, job: JobSpec, name: str, contexts: dict[str, Value]) -> dict[str, Any]:
    reference = to_text(contexts["github"].get("workflow_ref")).partition("@")[0].split("/", 2)
    context_data = {
        "matrix": encode_context(contexts["matrix"]),
        "strategy": encode_context(contexts["strategy"]),
        "inputs": encode_context(workflow.inputs),
    }
    return {
        "messageType": "RunnerJobRequest",
        "jobDisplayName": name,
        "jobName": job.key,
        "fileTable": [reference[2] if len(reference) == 3 else DEFAULT_FILE],
        "environmentVariables": [part for part in (workflow.environment, job.environment) if part is not None],
        "defaults": [part for part in (workflow.defaults, job.defaults) if part is not None],
        "jobOutputs": job.outputs,
        "jobContainer": None,
        "jobServiceContainers": None,
        "steps": [{**step, "id": _step_id(name, index)} for index, step in enumerate(job.steps)],
        "variables": {"system.github.job": {"value": job.key}},
        "contextData": context_data,
    }


def _step_id(job_name: str, index: int) -> str:
    return str(uuid.uuid5(STEP_IDS, f"{job_name}/{index}"))


def job_should_run(
    planned: PlannedJob,
    needs_results: dict[str, str],
    *,
    github: dict[str, Any],
    run_cancelled: bool,
    needs_outputs: Mapping[str, Mapping[str, str]] | None = None,
) -> bool:
    """Whether a job runs once all its needs have ended; raises WorkflowError when its condition cannot be evaluated.

    `needs_results` has success, failure, cancelled or skipped for each needed key, `needs_outputs` their outputs.
    """
    results = [needs_results[key] for key in planned.needs]
    needs = {
        key: {"result": needs_results[key], "outputs": (needs_outputs or {}).get(key, {})} for key in planned.needs
    }
    succeeded = not run_cancelled and all(result == "success" for result in results)
    status = {
        "success": lambda: succeeded,
        "failure": lambda: not run_cancelled and "failure" in results,
        "cancelled": lambda: run_cancelled,
        "always": lambda: True,
    }
    if planned.condition is None:
        return succeeded
    inputs = decode_context(planned.message["contextData"]["inputs"])
    scope = Scope({"github": github, "needs": needs, "vars": {}, "inputs": inputs}, status)
    try:
        return is_truthy(parse(planned.condition).evaluate(scope))
    except ExpressionError as exc:
        raise WorkflowError(f"jobs.{planned.key}.if: {exc}") from exc
