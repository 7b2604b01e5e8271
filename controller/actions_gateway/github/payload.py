"""What the agent reads from an acquired job's payload; the payload itself goes to the worker byte by byte.

Sources: actions/runner `src/Sdk/DTPipelines/Pipelines/AgentJobRequestMessage.cs` (fields) and
`src/Runner.Common/Constants.cs`, `src/Runner.Worker/Worker.cs` (the SystemVssConnection endpoint and its AccessToken).
Whose run this is is only needed for recovery, so its absence is no error.
"""

import re
from dataclasses import dataclass
from typing import Any

from actions_gateway.github.contextdata import ContextValue, decode_context
from actions_gateway.github.decoding import Fields
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import is_repository

SYSTEM_CONNECTION = "SystemVssConnection"
_LONGEST_NAME = 1000
"""Beyond every name of a job; it becomes an annotation, and an object takes 256 KiB of them."""
_NUMBER = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Which job of which run this is, as far as the payload says."""

    repository: str | None = None
    """owner/name."""
    run_id: int | None = None
    run_attempt: int | None = None
    check_run_id: int | None = None
    """The job's id in the REST API."""
    job_name: str = ""
    """As people see it."""


def job_token(payload: Fields) -> Secret | None:
    """The token for renewal and completion; raises MalformedAnswer when it cannot be one."""
    for endpoint in payload.fields("resources").objects("endpoints"):
        if endpoint.text("name").lower() == SYSTEM_CONNECTION.lower():
            return endpoint.fields("authorization").fields("parameters").secret("AccessToken")
    return None


def run_identity(payload: Fields) -> RunIdentity:
    """From the job's contexts, else from its variables, else from its top level; each value is checked."""
    contexts = payload.fields("contextData")
    github, job = _context(contexts, "github"), _context(contexts, "job")
    variables = payload.fields("variables")
    return RunIdentity(
        repository=_repository(github.text("repository"), _variable(variables, "system.github.repository")),
        run_id=_number(github.text("run_id"), _variable(variables, "system.github.run_id"), payload.text("run_id")),
        run_attempt=_number(github.text("run_attempt"), _variable(variables, "system.github.run_attempt")),
        check_run_id=_number(job.text("check_run_id")),
        job_name=(payload.text("jobDisplayName") or _variable(variables, "system.github.job"))[:_LONGEST_NAME],
    )


def _context(contexts: Fields, name: str) -> Fields:
    value: ContextValue
    try:
        value = decode_context(contexts.raw(name))
    except RecursionError:
        value = None
    return Fields(value if isinstance(value, dict) else {})


def _variable(variables: Fields, name: str) -> str:
    value: Any = variables.raw(name)
    return Fields(value).text("value") if isinstance(value, dict) else variables.text(name)


def _repository(*candidates: str) -> str | None:
    return next((text for text in candidates if is_repository(text)), None)


def _number(*candidates: str) -> int | None:
    return next((int(text) for text in candidates if _NUMBER.fullmatch(text)), None)
