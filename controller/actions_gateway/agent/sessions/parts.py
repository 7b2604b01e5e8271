"""What every session of the agent works with; composed once, in `agent.run`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.health import Health
from actions_gateway.agent.jobs.plans import PlanClaims
from actions_gateway.agent.jobs.slots import Slots
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.github.broker import Broker
from actions_gateway.github.http import GitHubHttp
from actions_gateway.github.runservice import RunService


@dataclass(frozen=True, slots=True)
class SessionParts:
    """Shared by all groups."""

    basics: Basics
    http: GitHubHttp
    broker: Broker
    run_service: RunService
    tokens: InstallationTokens
    registrar: Registrar
    slots: Slots
    plans: PlanClaims
    health: Health


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
