"""Registrations at GitHub that nobody owns: what agents that were killed left behind.

Only what is named for a group of this agent and was seen offline and idle in two looks some minutes apart is removed: a
living agent's registration is online or busy, or known here. One request a look.
"""

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.registrations.registrar import Registrar
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.github.errors import GitHubError, Unauthorized
from actions_gateway.github.rest import GitHubRest

log = structlog.get_logger(__name__)


async def look_for_strays(registrar: Registrar, rest: GitHubRest, tokens: InstallationTokens, basics: Basics) -> None:
    """Looks at the start and a few minutes later, then every half hour, until cancelled."""
    clock, tunables = basics.clock, basics.tunables
    patience = tunables.stray_patience_seconds
    idle: dict[str, float] = {}
    """Since when each runner, whosesoever, has been offline and idle in every look: at the first one no group may be
    known yet."""
    is_first = True
    while True:
        token = await tokens.get()
        try:
            runners = await rest.list_runners(token)
        except GitHubError as problem:
            log.info("runners not listed", problem=str(problem))
            if isinstance(problem, Unauthorized):
                tokens.reject(token)
            await clock.sleep(max(patience, problem.retry_after_seconds or 0.0))
            continue
        now = clock.monotonic()
        idle = {one.name: idle.get(one.name, now) for one in runners if not (one.is_online or one.is_busy)}
        strays = [runner for runner in runners if registrar.is_stray(runner)]
        due = [runner for runner in strays if now - idle[runner.name] >= patience]
        for runner in due:
            log.info("registration without an owner removed", runner=runner.name)
            registrar.remove_stray(runner)
        await clock.sleep(patience if is_first or len(strays) > len(due) else tunables.stray_look_seconds)
        is_first = False
