"""What every session of the agent works with; composed once, in `agent.run`."""

from collections.abc import Callable
from dataclasses import dataclass

from actions_gateway.agent.basics import Basics, Group
from actions_gateway.agent.health import Health
from actions_gateway.agent.jobs.plans import Plans
from actions_gateway.agent.jobs.slots import Slot, Slots
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
    plans: Plans
    look_for: Callable[[Group, str, Slot], None]
    """Hears of a claim that was not answered: the group, the runner and the slot, which it frees."""
    health: Health
