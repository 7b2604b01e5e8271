"""A sandbox as facts: where it is, how to reach it, what it does now. Holds paths of secrets, never secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxFact:
    """A running sandbox."""

    folder: Path
    pid: int
    started_at: str
    cluster: str
    """embedded or real."""
    api_url: str
    kubeconfig: Path
    ca_path: Path
    github_url: str
    egress_exception: str
    control_url: str
    control_token_path: Path
    controller_image: str
    is_bare: bool
    repository: str
    app_id: int
    installation_id: int
    app_key_path: Path
    priority_classes: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SandboxState:
    """What a running sandbox does now; a part that gave no answer is None and has its sentence in `problems`."""

    sandbox: SandboxFact
    tenants: tuple[str, ...] | None
    runs: int | None
    jobs: Mapping[str, int] | None
    runner_count: int
    session_count: int
    problems: tuple[str, ...] = ()
