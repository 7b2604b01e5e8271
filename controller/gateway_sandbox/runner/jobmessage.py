"""The job message as the worker reads it: what it requires, and what the job's steps need of it.

Requirements: actions/runner `src/Runner.Worker/Worker.cs`, `JobRunner.cs`, `src/Sdk/DTPipelines/Pipelines/
AgentJobRequestMessage.cs`. Property names are compared without case, as its JSON reader does.
"""

from __future__ import annotations

import json

from .contextdata import decode_context
from .errors import WorkerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .values import Value

SYSTEM_ENDPOINT = "systemvssconnection"


class JobMessage:
    """One acquired job. `contexts` are plain values by context name; `steps`, `environment`, `defaults` and `outputs`
    are template tokens; `masks` are regular expressions."""

    def __init__(self, text: str) -> None:
        """Raises WorkerError for what the real worker refuses."""
        body = _parse(text)
        if str(body.get("messagetype", "")).lower() != "runnerjobrequest":
            raise WorkerError(f"unsupported messageType {body.get('messagetype')!r}")
        self.plan_id = _required(_mapping(body, "plan").get("planid"), "plan.planId")
        self.job_id = _required(body.get("jobid"), "jobId")
        endpoint = _system_endpoint(body)
        self.service_url = _required(endpoint.get("url"), "SystemVssConnection.url")
        parameters = _mapping(_mapping(endpoint, "authorization"), "parameters")
        self.token = _required(parameters.get("accesstoken"), "SystemVssConnection's AccessToken")
        self.variables = {name: _variable(item) for name, item in _mapping(body, "variables").items()}
        self.results_url = _text(_mapping(endpoint, "data").get("resultsserviceurl")) or self.variable(
            "system.github.results_endpoint"
        )
        self.display_name = _text(body.get("jobdisplayname")) or _text(body.get("jobname")) or "job"
        self.billing_owner_id = body.get("billingownerid")
        self.steps: list[dict[str, Any]] = body.get("steps") or []
        self.environment: list[Any] = body.get("environmentvariables") or []
        self.defaults: list[Any] = body.get("defaults") or []
        self.outputs: Any = body.get("joboutputs")
        self.masks = [item["value"] for item in body.get("mask") or [] if item.get("value")]
        self.needs_containers = bool(body.get("jobcontainer") or body.get("jobservicecontainers"))
        self.contexts: dict[str, Value] = {
            name: decode_context(value) for name, value in _mapping(body, "contextdata").items()
        }

    def variable(self, name: str) -> str:
        """The value of one variable, empty when it is not set."""
        return self.variables.get(name, ("", False))[0]

    @property
    def secrets(self) -> dict[str, str]:
        """Secret variables, as the `secrets` context offers them (`github_token` is GITHUB_TOKEN)."""
        return {name.upper(): value for name, (value, is_secret) in self.variables.items() if is_secret}

    @property
    def github(self) -> dict[str, Value]:
        context = self.contexts.get("github")
        return context if isinstance(context, dict) else {}


def _parse(text: str) -> dict[str, Any]:
    try:
        body = _lowered(json.loads(text))
    except (ValueError, RecursionError) as exc:
        raise WorkerError(f"the job message is not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise WorkerError("the job message is not a JSON object")
    return body


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lowered(item) for key, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value


def _mapping(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _required(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise WorkerError(f"the job message has no {name}")
    return value


def _variable(item: Any) -> tuple[str, bool]:
    if not isinstance(item, dict):
        return _text(item), False
    return _text(item.get("value")), bool(item.get("issecret"))


def _system_endpoint(body: dict[str, Any]) -> dict[str, Any]:
    endpoints = _mapping(body, "resources").get("endpoints") or []
    found = [item for item in endpoints if _text(item.get("name")).lower() == SYSTEM_ENDPOINT]
    if len(found) != 1:
        raise WorkerError(f"the job message has {len(found)} SystemVssConnection endpoints instead of one")
    return found[0]  # type: ignore[no-any-return]
