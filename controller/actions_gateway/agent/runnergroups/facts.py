"""What the agent knows of one group at a moment: the snapshot that its status and gauges are decided from."""

from dataclasses import dataclass
from typing import Any

from actions_gateway.agent.tokens.verdict import Verdict


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group."""

    is_suspended: bool
    spec_problem: str
    """Why its spec cannot be used; empty when it can."""
    active_sessions: int
    busy_sessions: int
    active_jobs: int
    pending_jobs: int
    session_problem: str
    verdict: Verdict
    credential: dict[str, Any] | None
