"""What nearly every part of the agent needs: whose agent it is, time, randomness, metrics and constants; its group."""

import random
from dataclasses import dataclass
from typing import Any, Protocol

from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.runnergroup import GroupSettings
from actions_gateway.engine.clock import Clock
from actions_gateway.metrics.registry import Metrics


@dataclass(frozen=True, slots=True)
class Basics:
    """Made once, passed everywhere."""

    namespace: str
    agent: str
    """The agent's pod: as GitHub shows it for a session, and as a job's state names it."""
    clock: Clock
    rng: random.Random
    metrics: Metrics
    tunables: Tunables

    def labels_of(self, group: str) -> dict[str, str]:
        """The metric labels of one of the groups."""
        return {"namespace": self.namespace, "runner_group": group}


class Group(Protocol):
    """The RunnerGroup that sessions and jobs belong to; its spec is read anew at every use, since it may change."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def settings(self) -> GroupSettings: ...
    @property
    def manifest(self) -> dict[str, Any]:
        """The object, for events."""
