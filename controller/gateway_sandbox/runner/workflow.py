"""Workflow files: `parse_workflow` checks one, `plan_jobs` turns it into jobs for a queue, `job_should_run` decides
each job when its needs have ended.

Syntax: GitHub Docs "Workflow syntax for GitHub Actions". What would change a job's meaning and is not supported is
refused with its line; what is ignored without harm is listed in `Workflow.notices`.
"""

from typing import Any

from .planning import PlannedJob, job_should_run, plan_jobs
from .templates import (
    DEFAULTS_CONTEXTS,
    JOB_CONDITION_CONTEXTS,
    JOB_CONTEXTS,
    JOB_ENV_CONTEXTS,
    RUN_CONTEXTS,
    STEP_CONTEXTS,
    WORKFLOW_ENV_CONTEXTS,
    checked,
    condition,
    text_map_token,
    token,
)
from .tokens import mapping_token
from .workflowmodel import JobSpec, Workflow
from .workflowsteps import IDENTIFIER, check_shell, parse_steps
from .yamlsource import Node, WorkflowError, parse_yaml

__all__ = ["PlannedJob", "Workflow", "WorkflowError", "job_should_run", "parse_workflow", "plan_jobs"]

WORKFLOW_KEYS = ("name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs")
JOB_KEYS = (
    "name", "runs-on", "needs", "if", "permissions", "env", "defaults", "outputs", "strategy", "timeout-minutes",
    "continue-on-error", "steps", "environment", "concurrency",
)  # fmt: skip
REFUSED_JOB_KEYS = {
    "uses": "calls a reusable workflow, which the sandbox does not run; write the job's steps here",
    "with": "belongs to a reusable workflow, which the sandbox does not run; write the job's steps here",
    "secrets": "belongs to a reusable workflow, which the sandbox does not run; write the job's steps here",
    "container": "is not supported: the sandbox runs jobs as processes, not in images; run the steps on the runner",
    "services": "is not supported: the sandbox runs jobs as processes, not in images; start the service in a step",
    "snapshot": "is not supported; remove it",
}
IGNORED = {
    "run-name": "the run is named after the workflow",
    "permissions": "the job's token opens nothing",
    "concurrency": "runs are not queued behind each other",
    "environment": "there are no approvals and no secrets of an environment",
}


def parse_workflow(text: str) -> Workflow:
    """The checked workflow; raises WorkflowError with the line and the next step."""
    root = parse_yaml(text)
    members = root.only("the workflow", WORKFLOW_KEYS)
    if "on" not in members:
        raise WorkflowError("the workflow has no `on:`; add `on: workflow_dispatch`", root.line)
    if "jobs" not in members:
        raise WorkflowError("the workflow has no `jobs:`; add one job with `runs-on:` and `steps:`", root.line)
    jobs = _jobs(members["jobs"])
    return Workflow(
        name=members["name"].text("name") if "name" in members else "",
        environment=_environment(members, "env", WORKFLOW_ENV_CONTEXTS),
        defaults=_defaults(members, "defaults", RUN_CONTEXTS),
        inputs=_dispatch_inputs(members["on"]),
        jobs=jobs,
        notices=(*_ignored(members, ""), *_job_notices(members["jobs"])),
    )


def _jobs(node: Node) -> tuple[JobSpec, ...]:
    members = node.mapping("jobs")
    if not members:
        raise WorkflowError("`jobs:` is empty; add one job with `runs-on:` and `steps:`", node.line)
    jobs = tuple(_job(key, item, node.key_lines[key]) for key, item in members.items())
    _check_needs(jobs)
    return jobs


def _job(key: str, node: Node, line: int) -> JobSpec:
    where = f"jobs.{key}"
    if not IDENTIFIER.fullmatch(key):
        raise WorkflowError(f"the job name {key!r} is no identifier; use letters, digits, - and _", line)
    members = node.only(where, JOB_KEYS, REFUSED_JOB_KEYS)
    for required, example in (("runs-on", "runs-on: [self-hosted, linux]"), ("steps", "a list of steps")):
        if required not in members:
            raise WorkflowError(f"{where} has no `{required}:`; add {example}", line)
    strategy = members["strategy"] if "strategy" in members else Node({}, line, {})
    choices = strategy.only(f"{where}.strategy", ("matrix", "fail-fast", "max-parallel"))
    for name in ("name", "timeout-minutes", "continue-on-error"):
        _check_scalar(members.get(name), f"{where}.{name}", JOB_CONTEXTS)
    for name, choice in choices.items():
        token(choice, f"{where}.strategy.{name}", JOB_CONDITION_CONTEXTS)
    return JobSpec(
        key=key,
        line=line,
        name=members.get("name"),
        runs_on=_runs_on(members["runs-on"], f"{where}.runs-on"),
        needs=_needs(members.get("needs"), f"{where}.needs"),
        condition=condition(members["if"], f"{where}.if", JOB_CONDITION_CONTEXTS) if "if" in members else None,
        matrix=choices.get("matrix"),
        fail_fast=choices.get("fail-fast"),
        max_parallel=choices.get("max-parallel"),
        timeout_minutes=members.get("timeout-minutes"),
        continue_on_error=members.get("continue-on-error"),
        environment=_environment(members, f"{where}.env", JOB_ENV_CONTEXTS),
        defaults=_defaults(members, f"{where}.defaults", DEFAULTS_CONTEXTS),
        outputs=text_map_token(members["outputs"], f"{where}.outputs", STEP_CONTEXTS) if "outputs" in members else None,
        steps=parse_steps(members["steps"], f"{where}.steps"),
    )


def _check_scalar(node: Node | None, where: str, contexts: tuple[str, ...]) -> None:
    if node is not None:
        checked(node.text(where), node.line, where, contexts)


def _runs_on(node: Node, where: str) -> Node:
    if isinstance(node.value, dict):
        raise WorkflowError(f"{where} names a runner group, which the sandbox has none of; give labels", node.line)
    labels = node.value if isinstance(node.value, tuple) else (node,)
    if not labels:
        raise WorkflowError(f"{where} is empty; give labels, for example [self-hosted, linux]", node.line)
    for label in labels:
        _check_scalar(label, where, JOB_CONTEXTS)
    return node


def _needs(node: Node | None, where: str) -> tuple[str, ...]:
    if node is None:
        return ()
    nodes = node.value if isinstance(node.value, tuple) else (node,)
    return tuple(dict.fromkeys(item.text(where) for item in nodes))


def _check_needs(jobs: tuple[JobSpec, ...]) -> None:
    """Raises WorkflowError for a need that does not exist and for jobs that wait for each other."""
    by_key = {job.key: job for job in jobs}
    for job in jobs:
        for need in job.needs:
            if need not in by_key:
                known = ", ".join(by_key)
                raise WorkflowError(
                    f"jobs.{job.key}.needs names {need!r}, which is no job; there are {known}", job.line
                )
    resolved: set[str] = set()
    while ready := {job.key for job in jobs if job.key not in resolved and resolved.issuperset(job.needs)}:
        resolved |= ready
    if len(resolved) < len(jobs):
        chain = _cycle(next(job for job in jobs if job.key not in resolved), by_key, resolved)
        text = " -> ".join(job.key for job in chain)
        raise WorkflowError(f"these jobs wait for each other: {text}; remove one of the `needs:`", chain[0].line)


def _cycle(start: JobSpec, by_key: dict[str, JobSpec], resolved: set[str]) -> list[JobSpec]:
    chain = [start]
    while True:
        following = by_key[next(need for need in chain[-1].needs if need not in resolved)]
        if following in chain:
            return [*chain[chain.index(following) :], following]
        chain.append(following)


def _environment(members: dict[str, Node], where: str, contexts: tuple[str, ...]) -> Any:
    return text_map_token(members["env"], where, contexts) if "env" in members else None


def _defaults(members: dict[str, Node], where: str, contexts: tuple[str, ...]) -> Any:
    if "defaults" not in members:
        return None
    run = members["defaults"].only(where, ("run",)).get("run")
    if run is None:
        return None
    if "shell" in run.only(f"{where}.run", ("shell", "working-directory")):
        check_shell(run.mapping(where)["shell"], f"{where}.run.shell")
    return mapping_token({"run": text_map_token(run, f"{where}.run", contexts)})


def _dispatch_inputs(node: Node) -> dict[str, Any]:
    """The defaults of `on.workflow_dispatch.inputs`; raises WorkflowError for an `on:` that names no event."""
    if isinstance(node.value, dict):
        dispatch = node.value.get("workflow_dispatch")
        if dispatch is None or not isinstance(dispatch.value, dict) or "inputs" not in dispatch.value:
            return {}
        inputs = dispatch.value["inputs"].mapping("on.workflow_dispatch.inputs")
        return {name: _default_of(item, name) for name, item in inputs.items()}
    for event in node.value if isinstance(node.value, tuple) else (node,):
        event.text("on")
    return {}


def _default_of(node: Node, name: str) -> Any:
    where = f"on.workflow_dispatch.inputs.{name}"
    members = node.mapping(where) if node.value is not None else {}
    if "default" in members:
        default = members["default"]
        default.text(f"{where}.default")
        return default.value
    kind = members["type"].text(f"{where}.type") if "type" in members else "string"
    return False if kind == "boolean" else ""


def _ignored(members: dict[str, Node], prefix: str) -> list[str]:
    return [f"{prefix}{key} is ignored: {why}" for key, why in IGNORED.items() if key in members]


def _job_notices(node: Node) -> list[str]:
    jobs = node.mapping("jobs")
    return [notice for key, job in jobs.items() for notice in _ignored(job.mapping(key), f"jobs.{key}.")]
