"""Making and removing single-use runner registrations.

Every name is unique, so no registration waits for the deletion of another one. Nothing is stored: what a killed agent
leaves behind is offline, harmless and removed by GitHub after a day.
"""

import asyncio
from collections.abc import Sequence

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.api.names import runner_name
from actions_gateway.github.errors import (
    Forbidden,
    GitHubError,
    NotFound,
    RegistrationUnusable,
    RunnerBusy,
    Unauthorized,
)
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import Registration
from actions_gateway.github.secrets import Secret

log = structlog.get_logger(__name__)


class Registrar:
    """Registers runners for the groups of one agent, a few at a time."""

    def __init__(self, rest: GitHubRest, tokens: InstallationTokens, basics: Basics) -> None:
        self._rest = rest
        self._tokens = tokens
        self._rng = basics.rng
        self._gate = asyncio.Semaphore(basics.tunables.registrations_at_once)

    async def register(self, group: str, group_uid: str, labels: Sequence[str], token: Secret) -> Registration:
        """A new runner; raises GitHubError."""
        name = runner_name(group, group_uid, f"{self._rng.getrandbits(32):08x}")
        async with self._gate:
            try:
                registration = await self._rest.generate_jit_config(token, name, labels)
            except Unauthorized:
                self._tokens.reject(token)
                raise
            except (Forbidden, NotFound) as problem:
                self._tokens.registration_refused(problem)
                raise
            except RegistrationUnusable as problem:
                if problem.runner_id is not None:
                    await self._delete(problem.runner_id, token)
                raise
        self._tokens.registration_accepted()
        return registration

    async def remove(self, registration: Registration) -> None:
        """Removes an unused runner, best effort."""
        if (token := self._tokens.peek()) is not None:
            await self._delete(registration.runner_id, token)

    async def _delete(self, runner_id: int, token: Secret) -> None:
        try:
            await self._rest.delete_runner(token, runner_id)
        except RunnerBusy:
            log.info("runner not removed: its job has not concluded", runner_id=runner_id)
        except GitHubError as problem:
            log.info("runner not removed", runner_id=runner_id, problem=str(problem))
