"""The App's installation token: minted by one task, ahead of its end; the old one serves until then.

The credential's files are read at the start and again after every refusal, so that a Secret that appears or is put
right heals by itself. An edit of a working one is tried and told (`edits`), and not acted on before GitHub refuses the
loaded one or the agent starts anew; a credential that has worked stays loaded whatever becomes of its Secret.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.signals import Signal, first_of
from actions_gateway.agent.tokens.edits import SAYS_NOTHING, SecretEdits
from actions_gateway.agent.tokens.verdict import (
    AVAILABLE,
    UNKNOWN,
    Verdict,
    from_files,
    from_refusal,
    from_registration,
    from_token,
)
from actions_gateway.api.conditions import Reason
from actions_gateway.api.fields import CredentialStatus
from actions_gateway.github.app import AppCredentials, CredentialInvalid, digest_of, parse_fields, read_fields
from actions_gateway.github.errors import GitHubError
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import InstallationToken
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import GitHubScope
from actions_gateway.metrics.catalog import (
    TOKEN_CONSECUTIVE_REFRESH_FAILURES,
    TOKEN_EXPIRY_TIMESTAMP,
    TOKEN_REFRESH_ERRORS,
    TOKEN_REFRESHES,
)

log = structlog.get_logger(__name__)


class InstallationTokens:
    """Serves the current token; `run` keeps it current and is the only one that mints."""

    def __init__(
        self,
        rest: GitHubRest,
        scope: GitHubScope,
        folder: Path,
        basics: Basics,
        *,
        on_change: Callable[[], None],
    ) -> None:
        self._rest = rest
        self._scope = scope
        self._folder = folder
        self._basics = basics
        self._clock = basics.clock
        self._tunables = basics.tunables
        self._on_change = on_change
        self._edits = SecretEdits(rest, scope, folder, basics.clock)
        self._credentials: AppCredentials | None = None
        self._loaded = b""
        """Digest of the files that they were read from."""
        self._has_worked = False
        self._is_refused = False
        """GitHub minted no token for them the last time, for a reason of their own."""
        self._minted: InstallationToken | None = None
        self._minted_at = 0.0
        self._is_rejected = False
        self._is_outdated = False
        """A new token is wanted early: this one was refused, or lacks a permission that may be granted by now."""
        self._registration_problem: Verdict | None = None
        self._failures = 0
        self._changed = Signal()
        self._judged = UNKNOWN

    @property
    def verdict(self) -> Verdict:
        """On the credential in use; where that is fine, on an edit of its Secret."""
        return (self._edits.verdict or self._judged) if self._judged.is_available else self._judged

    async def get(self) -> Secret:
        """A token that is valid now; waits for as long as there is none."""
        while True:
            changed = self._changed.next
            if (token := self.peek()) is not None:
                return token
            if self._minted is not None and not self._is_outdated:
                # The wall clock has passed its end before the renewal was due: the machine slept, or time was set.
                self._is_outdated = True
                self._changed.notify()
            await changed.wait()

    def peek(self) -> Secret | None:
        """A token that is valid now, or None."""
        if self._minted is None or self._is_rejected or self._minted.expires_at <= self._clock.now():
            return None
        return self._minted.token

    def reject(self, token: Secret) -> None:
        """GitHub refused this token (401): it is replaced early, within the floor between two mints."""
        if self._minted is not None and self._minted.token == token:
            self._is_rejected = self._is_outdated = True
            self._changed.notify()

    def registration_refused(self, problem: GitHubError) -> None:
        """The token is good and may not register runners; what is granted now is in later tokens only."""
        known = from_token(self._minted, self._scope) if self._minted is not None else AVAILABLE
        self._registration_problem = from_registration(problem) if known.is_available else known
        self._judge(self._registration_problem)
        self._is_outdated = True
        self._changed.notify()

    def registration_accepted(self) -> None:
        """A runner was registered: nothing is missing."""
        self._registration_problem = None
        self._is_outdated = self._is_rejected
        self._judge(AVAILABLE)

    @property
    def status(self) -> dict[str, Any] | None:
        """What is public of the credential, as a RunnerGroup's status shows it."""
        if self._credentials is None:
            return None
        minted = self._minted
        return CredentialStatus(
            app_id=self._credentials.app_id,
            installation_id=str(self._credentials.installation_id),
            key_fingerprint=self._credentials.key_fingerprint,
            token_expires_at=minted.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if minted else None,
            permissions=dict(minted.permissions) if minted else None,
        ).model_dump(by_alias=True, exclude_none=True)

    async def revoke(self) -> None:
        """Ends the current token before its time, and those of trials."""
        await self._edits.close()
        if (token := self.peek()) is None:
            return
        self._minted = None
        try:
            await self._rest.revoke_token(token)
        except GitHubError as problem:
            log.info("installation token not revoked", problem=str(problem))

    async def watch_edits(self) -> None:
        """Looks after the files of a working credential until cancelled."""
        while True:
            await self._clock.sleep(self._tunables.secret_look_seconds)
            if self._credentials is not None and not self._failures:
                before = self.verdict
                await self._edits.look(self._loaded)
                self._tell(before)

    async def run(self) -> None:
        """Mints until cancelled."""
        while True:
            await self._wait(await self._refresh())

    async def _wait(self, seconds: float) -> None:
        due = self._clock.monotonic() + seconds
        while True:
            changed = self._changed.next
            if self._is_outdated and not self._failures:
                # After a failure the back-off alone counts: the moment of the last success may be long past.
                due = min(due, self._minted_at + self._tunables.token_floor_seconds)
            left = due - self._clock.monotonic()
            if left <= 0:
                return
            await first_of(changed.wait(), self._clock.sleep(left))

    async def _refresh(self) -> float:
        """One attempt; the seconds until the next one."""
        unusable = self._read() if self._credentials is None or self._is_refused else None
        if self._credentials is None:
            self._failed(unusable or UNKNOWN)
            # The files are cheap to look at, and people wait for the effect of what they have just created.
            return self._tunables.token_backoff.base_seconds
        try:
            minted = await self._rest.mint_token(self._credentials)
        except GitHubError as problem:
            self._is_refused = not isinstance(problem, SAYS_NOTHING)
            refusal = from_refusal(problem, self._credentials.app_id, self._credentials.installation_id)
            # What was refused before and cannot be read anew is put right in the Secret.
            self._failed((unusable if self._is_refused else None) or refusal)
            pause = self._tunables.token_backoff.delay_seconds(self._failures, self._basics.rng)
            return max(pause, problem.retry_after_seconds or 0.0)
        self._take(minted)
        return self._refresh_in_seconds(minted)

    def _read(self) -> Verdict | None:
        """Loads the files' present content; why it cannot be used, if so. What has worked is kept then."""
        fields = read_fields(self._folder)
        try:
            self._credentials, self._loaded = parse_fields(fields), digest_of(fields)
        except CredentialInvalid as problem:
            if not self._has_worked:
                self._credentials = None
            return from_files(problem, self._folder)
        self._edits.verdict = None
        return None

    def _take(self, minted: InstallationToken) -> None:
        self._minted, self._minted_at = minted, self._clock.monotonic()
        self._is_rejected, self._is_outdated, self._failures = False, False, 0
        self._has_worked, self._is_refused = True, False
        metrics, namespace = self._basics.metrics, self._basics.namespace
        metrics.inc(TOKEN_REFRESHES, namespace=namespace)
        metrics.set(TOKEN_CONSECUTIVE_REFRESH_FAILURES, 0, namespace=namespace)
        metrics.set(TOKEN_EXPIRY_TIMESTAMP, minted.expires_at.timestamp(), namespace=namespace)
        log.info("installation token minted", expires_at=minted.expires_at.isoformat())
        verdict = from_token(minted, self._scope)
        self._is_outdated = not verdict.is_available
        self._judge(self._registration_problem or verdict)
        self._changed.notify()

    def _refresh_in_seconds(self, minted: InstallationToken) -> float:
        jitter = 1 + self._basics.rng.uniform(-self._tunables.token_lead_jitter, self._tunables.token_lead_jitter)
        life = (minted.expires_at - self._clock.now()).total_seconds()
        return max(self._tunables.token_floor_seconds, life - self._tunables.token_lead_seconds * jitter)

    def _failed(self, verdict: Verdict) -> None:
        self._failures += 1
        metrics, namespace = self._basics.metrics, self._basics.namespace
        metrics.inc(TOKEN_REFRESH_ERRORS, namespace=namespace)
        metrics.set(TOKEN_CONSECUTIVE_REFRESH_FAILURES, self._failures, namespace=namespace)
        log.warning("no installation token", reason=verdict.reason, problem=verdict.message, failures=self._failures)
        if verdict.reason is not Reason.GITHUB_UNREACHABLE or self.peek() is None:
            # An outage says nothing about a credential whose token still works.
            self._judge(verdict)

    def _judge(self, verdict: Verdict) -> None:
        before = self.verdict
        self._judged = verdict
        self._tell(before)

    def _tell(self, before: Verdict) -> None:
        if self.verdict != before:
            self._on_change()
