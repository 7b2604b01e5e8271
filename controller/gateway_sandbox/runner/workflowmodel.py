"""A checked workflow: what is fixed by the file alone, before matrices and run-time values."""

from dataclasses import dataclass
from typing import Any

from .yamlsource import Node


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One entry of `jobs:`. `environment`, `outputs`, `defaults` and `steps` are wire tokens, None or empty when not
    given; `condition` is None when the job has no `if:`; the other nodes are evaluated per matrix combination."""

    key: str
    line: int
    name: Node | None
    runs_on: Node
    needs: tuple[str, ...]
    condition: str | None
    matrix: Node | None
    fail_fast: Node | None
    max_parallel: Node | None
    timeout_minutes: Node | None
    continue_on_error: Node | None
    environment: Any
    defaults: Any
    outputs: Any
    steps: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Workflow:
    """`inputs` are the defaults of `on.workflow_dispatch`; `notices` say what the file has and the sandbox ignores."""

    name: str
    environment: Any
    defaults: Any
    inputs: dict[str, Any]
    jobs: tuple[JobSpec, ...]
    notices: tuple[str, ...]
