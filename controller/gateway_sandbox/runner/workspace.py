"""The folders of a job and the variables that describe it to its steps.

Folders: actions/runner `src/Runner.Worker/TrackingManager.cs`, `TempDirectoryManager.cs`; variables:
`GitHubContext.cs`, `RunnerContext.cs`, `src/Runner.Sdk/ProcessInvoker.cs`.
"""

# Importing pathlib would add 6 ms to the start of every job.
# ruff: noqa: PTH103, PTH118, PTH123
from __future__ import annotations

import json
import os
import platform
import shutil

from .errors import SetupError, WorkerError
from .values import is_primitive, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .values import Value

EXPORTED_GITHUB_KEYS = (
    "action", "action_path", "action_ref", "action_repository", "actor", "actor_id", "api_url", "base_ref",
    "event_name", "event_path", "graphql_url", "head_ref", "job", "ref", "ref_name", "ref_protected",
    "ref_type", "repository", "repository_id", "repository_owner", "repository_owner_id", "retention_days",
    "run_attempt", "run_id", "run_number", "server_url", "sha", "triggering_actor", "workflow", "workflow_ref",
    "workflow_sha", "workspace",
)  # fmt: skip
ARCHITECTURES = {"x86_64": "X64", "amd64": "X64", "aarch64": "ARM64", "arm64": "ARM64"}
OPERATING_SYSTEMS = {"Darwin": "macOS"}


class Workspace:
    """Paths of one job below the runner's work folder."""

    __slots__ = ("commands", "root", "temp", "tool_cache", "workspace")

    def __init__(self, work_folder: str, repository: str, environ: Mapping[str, str]) -> None:
        """Creates the folders; the temporary one is emptied."""
        name = repository.rpartition("/")[2]
        self.root = os.path.join(work_folder, name)
        self.workspace = os.path.join(self.root, name)
        self.temp = os.path.join(work_folder, "_temp")
        self.commands = os.path.join(self.temp, "_runner_file_commands")
        self.tool_cache = environ.get("RUNNER_TOOL_CACHE") or os.path.join(work_folder, "_tool")
        shutil.rmtree(self.temp, ignore_errors=True)
        for folder in (self.workspace, self.temp, self.commands, os.path.join(work_folder, "_actions")):
            os.makedirs(folder, exist_ok=True)

    def empty_temp(self) -> None:
        shutil.rmtree(self.temp, ignore_errors=True)


def read_runner_settings(runner_root: str) -> dict[str, Any]:
    """`.runner` with names in lower case; raises WorkerError without it or without a work folder."""
    path = os.path.join(runner_root, ".runner")
    try:
        with open(path, encoding="utf-8-sig") as file:
            settings = {key.lower(): value for key, value in json.load(file).items()}
    except (OSError, ValueError, AttributeError) as exc:
        raise WorkerError(f"Value cannot be null. (Parameter 'configuredSettings'): {path}: {exc}") from exc
    if not settings.get("workfolder"):
        raise WorkerError(f"{path} has no WorkFolder")
    return settings


def repository_of(github: dict[str, Value]) -> str:
    """`owner/name`; raises SetupError, with which the real worker fails the job during its set-up."""
    repository = github.get("repository")
    if not isinstance(repository, str) or repository.count("/") != 1:
        raise SetupError("the job message's github context has no repository")
    if repository.rpartition("/")[2] in ("", ".", ".."):
        raise SetupError(f"{repository!r} is no repository name")
    return repository


def runner_context(settings: dict[str, Any], folders: Workspace, *, environment: str) -> dict[str, str]:
    """The `runner` context."""
    system = platform.system()
    return {
        "os": OPERATING_SYSTEMS.get(system, system),
        "arch": ARCHITECTURES.get(platform.machine().lower(), platform.machine().upper()),
        "name": to_text(settings.get("agentname")),
        "environment": environment or "self-hosted",
        "temp": folders.temp,
        "tool_cache": folders.tool_cache,
        "workspace": folders.root,
    }


def describing_variables(github: dict[str, Value], runner: Mapping[str, str]) -> dict[str, str]:
    """GITHUB_* and RUNNER_* of both contexts."""
    exported = {f"GITHUB_{key.upper()}": github.get(key) for key in EXPORTED_GITHUB_KEYS}
    described = {name: to_text(value) for name, value in exported.items() if value is not None and is_primitive(value)}
    described.update({f"RUNNER_{key.upper()}": value for key, value in runner.items()})
    return {**described, "GITHUB_ACTIONS": "true"}


def write_event(folders: Workspace, github: dict[str, Value]) -> str:
    """Writes the event's payload where GITHUB_EVENT_PATH points; returns the path."""
    folder = os.path.join(folders.temp, "_github_workflow")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "event.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(github.get("event") or {}, file)
    return path
