"""Reads a workflow file for the sandbox and checks it with the parser that will run it."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from gateway_sandbox.runner.workflow import WorkflowError, parse_workflow, plan_jobs
from gw.errors import Refused
from gw.ops.sandbox_run import JobLabels


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A workflow file that was checked."""

    path: Path
    text: str
    job_labels: JobLabels
    source: Path
    """The local tree that `actions/checkout` copies."""

    @property
    def path_in_source(self) -> str:
        return str(self.path.relative_to(self.source)) if self.path.is_relative_to(self.source) else self.path.name


def read_workflow(path: Path, source: Path | None, repository: str) -> WorkflowFile:
    """The checked file; raises Refused with the line."""
    path = path.expanduser().absolute()
    try:
        text = path.read_text("utf-8")
    except OSError as problem:
        raise Refused(f"{path} cannot be read: {problem.strerror}", "Name a workflow file.") from problem
    except UnicodeDecodeError as problem:
        raise Refused(f"{path} is no text file", "Name a workflow file.") from problem
    _refuse_other_text(path, text)
    if source is not None and not source.is_dir():
        raise Refused(f"the folder {source} does not exist", "Name the tree to check out with --source.")
    try:
        jobs = plan_jobs(parse_workflow(text), github={"repository": repository, "event_name": "workflow_dispatch"})
    except WorkflowError as problem:
        where = f", line {problem.line}" if problem.line else ""
        raise Refused(
            f"{path}{where}: {problem.message.rstrip('.')}", "Correct the file; nothing was queued."
        ) from problem
    return WorkflowFile(
        path=path,
        text=text,
        job_labels=tuple((job.name, job.labels) for job in jobs),
        source=(source or _tree_of(path)).expanduser().absolute(),
    )


def _refuse_other_text(path: Path, text: str) -> None:
    """Raises Refused without a word of the content: a file named by mistake may be a private key."""
    try:
        is_other = not isinstance(yaml.safe_load(text), dict | None)
    except (yaml.YAMLError, ValueError):
        return  # the parser names the line
    if is_other:
        raise Refused(
            f"{path} is no workflow file: it is no mapping with `jobs:`", "Name a workflow file; nothing was queued."
        )


def _tree_of(path: Path) -> Path:
    """The git work tree that holds the file, else its folder."""
    for folder in path.parents:
        if (folder / ".git").exists():
            return folder
    return path.parent
