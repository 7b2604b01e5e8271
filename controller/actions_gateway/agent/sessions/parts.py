"""What every session of the agent works with; composed once, in `agent.run`."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actions_gateway.agent.health import Health
from actions_gateway.agent.jobs.plans import PlanClaims
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.agent.tunables import Tunables
from actions_gateway.engine.clock import Clock
from actions_gateway.github.broker import Broker
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.runservice import RunService
from actions_gateway.metrics.registry import Metrics


@dataclass(frozen=True, slots=True)
class SessionParts:
    """Shared by all groups."""

    http: GitHubHttp
    broker: Broker
    run_service: RunService
    tokens: InstallationTokens
    registrar: Registrar
    slots: Slots
    plans: PlanClaims
    health: Health
    metrics: Metrics
    clock: Clock
    rng: random.Random
    tunables: Tunables
    namespace: str
    agent: str
    """The agent's pod, as GitHub shows it for a session."""


class SessionGroup(Protocol):
    """What sessions need to know of their RunnerGroup; the values may change."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def max_listeners(self) -> int: ...
