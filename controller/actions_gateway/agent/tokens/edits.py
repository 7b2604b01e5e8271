"""What became of the App's Secret since it was read: tried, told, and never used while the agent runs.

A trial is one minted token, revoked at once. Each content is tried once: a digest of it is remembered, in memory only.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from actions_gateway.agent.tokens.verdict import Verdict, edit_refused, edit_unusable, edit_works, from_token
from actions_gateway.engine.clock import Clock
from actions_gateway.github.app import CredentialInvalid, digest_of, parse_fields, read_fields
from actions_gateway.github.errors import ClockSkewed, GitHubError, RateLimited, Transient
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import InstallationToken
from actions_gateway.github.urls import GitHubScope

log = structlog.get_logger(__name__)

SAYS_NOTHING = (Transient, RateLimited, ClockSkewed)
"""Failures of a mint that are not the credential's."""


class SecretEdits:
    """Compares the Secret's files with what was read and tries what differs."""

    def __init__(self, rest: GitHubRest, scope: GitHubScope, folder: Path, clock: Clock) -> None:
        self._rest = rest
        self._scope = scope
        self._folder = folder
        self._clock = clock
        self._tried = b""
        self._trials: list[InstallationToken] = []
        """Tokens that were not revoked yet."""
        self._turn = asyncio.Lock()
        self._is_closed = False
        self.verdict: Verdict | None = None
        """On the edit; None while there is none, or GitHub could not say."""

    async def look(self, loaded: bytes) -> None:
        """Judges the files' present content; `loaded` is the digest of what the agent works with."""
        async with self._turn:
            await self._revoke()
            fields = read_fields(self._folder)
            digest = digest_of(fields)
            if digest == loaded:
                self._tried, self.verdict = b"", None
            elif digest != self._tried and not self._is_closed:
                self._tried, self.verdict = digest, None
                if not await self._try(fields):
                    self._tried = b""

    async def _try(self, fields: Mapping[str, bytes | OSError]) -> bool:
        """Whether the content could be judged."""
        try:
            credentials = parse_fields(fields)
        except CredentialInvalid as problem:
            self.verdict = edit_unusable(problem, fields)
            return True
        try:
            minted = await self._rest.mint_token(credentials)
        except SAYS_NOTHING as problem:
            log.info("edited credential not tried", problem=str(problem))
            return False
        except GitHubError as problem:
            self.verdict = edit_refused(problem, credentials.app_id, credentials.installation_id)
            return True
        self._trials.append(minted)
        await self._revoke()
        self.verdict = edit_works(from_token(minted, self._scope))
        return True

    async def _revoke(self) -> None:
        """Ends the trials' tokens; what cannot be ended now is tried at the next look, until it ends by itself."""
        for trial in list(self._trials):
            if trial.expires_at > self._clock.now():
                try:
                    await self._rest.revoke_token(trial.token)
                except GitHubError as problem:
                    log.warning("token of a trial not revoked", problem=str(problem))
                    continue
            self._trials.remove(trial)

    async def close(self) -> None:
        """Tries nothing more, and leaves no token of a trial behind."""
        self._is_closed = True
        async with self._turn:
            await self._revoke()
