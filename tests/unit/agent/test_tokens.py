"""The installation token: when it is minted, how long the old one serves, and what is said about the credential."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.tokens.installation import InstallationTokens
from actions_gateway.agent.tokens.verdict import from_refusal, from_token
from actions_gateway.agent.tunables import Tunables
from actions_gateway.api.conditions import ConditionStatus, Reason
from actions_gateway.github.app import AppCredentials
from actions_gateway.github.errors import (
    Forbidden,
    GitHubError,
    NotFound,
    PermissionMissing,
    ServerError,
    Suspended,
    Unauthorized,
    Unreachable,
)
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import InstallationToken
from actions_gateway.github.secrets import Secret
from actions_gateway.github.urls import scope_of
from actions_gateway.metrics.catalog import (
    TOKEN_CONSECUTIVE_REFRESH_FAILURES,
    TOKEN_EXPIRY_TIMESTAMP,
    TOKEN_REFRESH_ERRORS,
    TOKEN_REFRESHES,
    Component,
)
from actions_gateway.metrics.registry import Metrics
from support.aio import run
from support.clock import ManualClock, settle

SCOPE = scope_of("https://github.com/octo/demo")
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
WRITE = {"administration": "write", "actions": "write"}


class Rest:
    """Mints hour-long tokens, or fails with `problem`."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.problem: GitHubError | None = None
        self.life_seconds = 3600.0
        self.permissions = WRITE
        self.minted_at: list[float] = []
        self.attempts = 0
        self.installations: list[int] = []
        self.live: set[str] = set()
        self.revocation_problem: GitHubError | None = None

    async def mint_token(self, credentials: AppCredentials) -> InstallationToken:
        self.attempts += 1
        self.installations.append(credentials.installation_id)
        if self.problem is not None:
            raise self.problem
        self.minted_at.append(self._clock.monotonic())
        expires_at = self._clock.now() + timedelta(seconds=self.life_seconds)
        self.live.add(f"ghs_{len(self.minted_at)}")
        return InstallationToken(Secret(f"ghs_{len(self.minted_at)}"), expires_at, self.permissions)

    async def revoke_token(self, token: Secret) -> None:
        if self.revocation_problem is not None:
            raise self.revocation_problem
        self.live.remove(token.reveal())


class SkippingClock(ManualClock):
    """A machine that may sleep: the wall clock goes on, the monotonic clock does not."""

    _skipped = timedelta()

    def skip(self, seconds: float) -> None:
        self._skipped += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._skipped


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = SkippingClock()
        self.rest = Rest(self.clock)
        self.metrics = Metrics(Component.AGENT, "test")
        self.changes = 0
        basics = Basics("team-a", "agent-1", self.clock, random.Random(2), self.metrics, Tunables())
        self.tokens = InstallationTokens(cast("GitHubRest", self.rest), SCOPE, folder, basics, on_change=self._count)

    def _count(self) -> None:
        self.changes += 1

    def reason(self) -> Reason:
        """Of the verdict as it is now."""
        return self.tokens.verdict.reason

    def value(self, metric: Any) -> float | None:
        return self.metrics.value(metric, namespace="team-a")


def write(folder: Path, **fields: str) -> None:
    for name, value in {"appId": "12", "installationId": "34", "privateKey": PEM, **fields}.items():
        (folder / name).write_text(value)


def running(folder: Path, body: Callable[[World], Any]) -> None:
    async def main() -> None:
        world = World(folder)
        tasks = [asyncio.create_task(world.tokens.run()), asyncio.create_task(world.tokens.watch_edits())]
        try:
            await settle()
            await body(world)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def test_a_token_is_replaced_five_minutes_before_its_end_give_or_take_a_tenth(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        assert world.rest.minted_at == [0.0]
        await world.clock.advance(3260)
        assert len(world.rest.minted_at) == 1
        await world.clock.advance(80)
        assert 3270 <= world.rest.minted_at[1] <= 3330
        assert world.value(TOKEN_REFRESHES) == 2
        assert (world.value(TOKEN_EXPIRY_TIMESTAMP) or 0) > world.clock.now().timestamp() + 3500

    write(tmp_path)
    running(tmp_path, body)


def test_short_lived_tokens_are_not_minted_in_a_hot_loop(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.rest.life_seconds = 60
        await world.clock.advance(3400)
        start = len(world.rest.minted_at)
        await world.clock.advance(300)
        assert len(world.rest.minted_at) - start <= 11

    write(tmp_path)
    running(tmp_path, body)


def test_an_outage_is_retried_from_five_to_sixty_seconds_and_the_old_token_serves_to_its_end(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.rest.problem = ServerError("down", status=503)
        await world.clock.advance(3590)
        first = world.tokens.peek()
        assert first is not None
        assert first.reveal() == "ghs_1"
        assert world.tokens.verdict.is_available
        assert 6 <= world.rest.attempts <= 16
        assert (world.value(TOKEN_CONSECUTIVE_REFRESH_FAILURES) or 0) >= 5
        await world.clock.advance(70)
        assert world.tokens.peek() is None
        assert world.reason() is Reason.GITHUB_UNREACHABLE
        world.rest.problem = None
        await world.clock.advance(61)
        assert world.tokens.peek() is not None
        assert world.value(TOKEN_CONSECUTIVE_REFRESH_FAILURES) == 0

    write(tmp_path)
    running(tmp_path, body)


def test_whoever_asks_before_there_is_a_token_gets_it_once_there_is_one(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        asked = [asyncio.create_task(world.tokens.get()) for _ in range(3)]
        await settle()
        assert not any(task.done() for task in asked)
        write(tmp_path)
        await world.clock.advance(6)
        assert [(await task).reveal() for task in asked] == ["ghs_1"] * 3
        assert world.rest.attempts == 1

    running(tmp_path, body)


def test_a_refused_token_is_replaced_early_but_not_more_often_than_every_half_minute(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        token = world.tokens.peek()
        assert token is not None
        world.tokens.reject(token)
        assert world.tokens.peek() is None
        await world.clock.advance(29)
        assert len(world.rest.minted_at) == 1
        await world.clock.advance(2)
        assert len(world.rest.minted_at) == 2
        world.tokens.reject(token)
        assert world.tokens.peek() is not None

    write(tmp_path)
    running(tmp_path, body)


def test_a_refused_token_that_cannot_be_replaced_is_asked_for_with_back_off(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        token = world.tokens.peek()
        assert token is not None
        await world.clock.advance(600)
        world.rest.problem = Unauthorized("revoked", status=401)
        world.tokens.reject(token)
        await world.clock.advance(600)
        assert 10 < world.rest.attempts <= 24

    write(tmp_path)
    running(tmp_path, body)


def test_an_edit_that_works_is_told_and_not_acted_on_before_the_loaded_one_is_refused(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        write(tmp_path, installationId="99")
        await world.clock.advance(61)
        assert world.reason() is Reason.SECRET_EDITED
        assert world.tokens.verdict.condition.status is ConditionStatus.FALSE
        assert "next restart" in world.tokens.verdict.message
        assert world.rest.live == {"ghs_1"}
        assert (world.tokens.status or {})["installationId"] == "34"
        await world.clock.advance(3400)
        assert world.rest.installations == [34, 99, 34]
        world.rest.problem = NotFound("gone", status=404)
        await world.clock.advance(3400)
        assert set(world.rest.installations[4:]) == {99}
        world.rest.problem = None
        await world.clock.advance(60)
        assert world.reason() is Reason.CREDENTIAL_AVAILABLE

    write(tmp_path)
    running(tmp_path, body)


def test_an_edit_is_tried_once_and_editing_back_heals(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.rest.problem = Unauthorized("no", status=401)
        write(tmp_path, appId="13")
        await world.clock.advance(600)
        assert world.rest.attempts == 2
        assert world.reason() is Reason.EDITED_SECRET_UNUSABLE
        assert world.tokens.verdict.condition.status is ConditionStatus.TRUE
        assert "privateKey" in world.tokens.verdict.message
        assert "what it read before" in world.tokens.verdict.message
        write(tmp_path)
        await world.clock.advance(60)
        assert world.tokens.verdict.is_available
        assert world.reason() is Reason.CREDENTIAL_AVAILABLE
        assert world.rest.attempts == 2
        assert world.changes == 3

    write(tmp_path)
    running(tmp_path, body)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"appId": ""}, "appId"),
        ({"installationId": "x"}, "installationId"),
        ({"privateKey": "x"}, "privateKey"),
        (None, "deleted"),
    ],
)
def test_an_edit_that_cannot_be_read_is_named_without_asking_github(
    tmp_path: Path, fields: dict[str, str] | None, named: str
) -> None:
    async def body(world: World) -> None:
        if fields is None:
            for name in ("appId", "installationId", "privateKey"):
                (tmp_path / name).unlink()
        else:
            write(tmp_path, **fields)
        await world.clock.advance(60)
        assert world.reason() is Reason.EDITED_SECRET_UNUSABLE
        assert named in world.tokens.verdict.message
        assert world.rest.attempts == 1
        assert world.tokens.peek() is not None

    write(tmp_path)
    running(tmp_path, body)


def test_an_outage_neither_judges_an_edit_nor_keeps_it_from_being_tried(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        write(tmp_path, installationId="99")
        world.rest.problem = ServerError("down", status=503)
        await world.clock.advance(130)
        assert world.reason() is Reason.CREDENTIAL_AVAILABLE
        world.rest.problem = None
        await world.clock.advance(60)
        assert world.reason() is Reason.SECRET_EDITED

    write(tmp_path)
    running(tmp_path, body)


def test_an_edit_that_may_register_no_runners_is_unusable(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.rest.permissions = {"metadata": "read"}
        write(tmp_path, installationId="99")
        await world.clock.advance(60)
        assert world.reason() is Reason.EDITED_SECRET_UNUSABLE
        assert "administration" in world.tokens.verdict.message
        assert world.rest.live == {"ghs_1"}

    write(tmp_path)
    running(tmp_path, body)


def test_the_token_of_a_trial_is_revoked_as_soon_as_github_lets_it(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.rest.revocation_problem = ServerError("down", status=503)
        write(tmp_path, installationId="99")
        await world.clock.advance(120)
        assert world.rest.live == {"ghs_1", "ghs_2"}
        assert world.reason() is Reason.SECRET_EDITED
        world.rest.revocation_problem = None
        await world.clock.advance(60)
        assert world.rest.live == {"ghs_1"}

    write(tmp_path)
    running(tmp_path, body)


def test_an_agent_that_ends_tries_no_edit_and_leaves_no_token(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.rest.revocation_problem = ServerError("down", status=503)
        write(tmp_path, installationId="99")
        await world.clock.advance(60)
        world.rest.revocation_problem = None
        await world.tokens.revoke()
        write(tmp_path, installationId="98")
        await world.clock.advance(120)
        assert world.rest.live == set()
        assert world.rest.installations == [34, 99]

    write(tmp_path)
    running(tmp_path, body)


def test_a_deleted_secret_leaves_the_loaded_credential_in_use_through_an_outage(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        for name in ("appId", "installationId", "privateKey"):
            (tmp_path / name).unlink()
        world.rest.problem = ServerError("down", status=503)
        await world.clock.advance(3700)
        assert world.reason() is Reason.GITHUB_UNREACHABLE
        world.rest.problem = None
        await world.clock.advance(61)
        assert world.tokens.peek() is not None
        assert world.reason() is Reason.EDITED_SECRET_UNUSABLE

    write(tmp_path)
    running(tmp_path, body)


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        pytest.param(None, Reason.SECRET_NOT_FOUND, "appId", id="nothing there"),
        pytest.param({"appId": ""}, Reason.SECRET_FIELD_MISSING, "appId", id="an empty field"),
        pytest.param({"installationId": "x"}, Reason.SECRET_FIELD_INVALID, "installationId", id="an id that is none"),
        pytest.param({"privateKey": "x"}, Reason.SECRET_FIELD_INVALID, "privateKey", id="a key that is none"),
    ],
)
def test_unusable_files_are_named_and_heal_within_seconds(
    tmp_path: Path, fields: dict[str, str] | None, reason: Reason, named: str
) -> None:
    async def body(world: World) -> None:
        assert world.tokens.verdict.reason is reason
        assert named in world.tokens.verdict.message
        assert world.tokens.verdict.condition.status is ConditionStatus.TRUE
        assert world.rest.attempts == 0
        assert world.value(TOKEN_REFRESH_ERRORS) == 1
        write(tmp_path)
        await world.clock.advance(5)
        assert world.tokens.verdict.is_available
        assert world.changes == 2

    if fields is not None:
        write(tmp_path, **fields)
    running(tmp_path, body)


@pytest.mark.parametrize(
    ("problem", "reason", "status"),
    [
        (Unauthorized("no", status=401), Reason.KEY_REJECTED, ConditionStatus.TRUE),
        (NotFound("no", status=404), Reason.INSTALLATION_NOT_FOUND, ConditionStatus.TRUE),
        (Suspended("no", status=403), Reason.INSTALLATION_SUSPENDED, ConditionStatus.TRUE),
        (Forbidden("no", status=403), Reason.PERMISSION_MISSING, ConditionStatus.TRUE),
        (Unreachable("no"), Reason.GITHUB_UNREACHABLE, ConditionStatus.UNKNOWN),
        (ServerError("no", status=500), Reason.GITHUB_UNREACHABLE, ConditionStatus.UNKNOWN),
    ],
)
def test_each_refusal_of_github_has_its_reason(problem: GitHubError, reason: Reason, status: ConditionStatus) -> None:
    verdict = from_refusal(problem, "12", 34)
    assert (verdict.reason, verdict.condition.status) == (reason, status)


@pytest.mark.parametrize(
    ("url", "permissions", "is_available"),
    [
        ("https://github.com/octo/demo", {"administration": "write"}, True),
        ("https://github.com/octo/demo", {"administration": "read"}, False),
        ("https://github.com/octo", {"administration": "write"}, False),
        ("https://github.com/octo", {"organization_self_hosted_runners": "write"}, True),
        ("https://github.com/enterprises/acme", {"metadata": "read"}, True),
    ],
)
def test_a_token_must_permit_the_registration_of_runners(
    url: str, permissions: dict[str, str], is_available: bool
) -> None:
    clock = ManualClock()
    minted = InstallationToken(Secret("ghs_1"), clock.now(), permissions)
    assert from_token(minted, scope_of(url)).is_available is is_available


def test_a_refused_registration_is_told_and_fetches_a_new_token_until_one_is_accepted(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        world.tokens.registration_refused(PermissionMissing("no", status=403))
        assert world.reason() is Reason.PERMISSION_MISSING
        assert world.tokens.peek() is not None
        await world.clock.advance(31)
        assert len(world.rest.minted_at) == 2
        assert world.reason() is Reason.PERMISSION_MISSING
        world.tokens.registration_accepted()
        assert world.tokens.verdict.is_available

    write(tmp_path)
    running(tmp_path, body)


def test_a_token_that_the_wall_clock_has_overtaken_is_replaced_at_once(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.clock.advance(60)
        first = world.tokens.peek()
        world.clock.skip(7200)
        assert world.tokens.peek() is None
        waiting = asyncio.create_task(world.tokens.get())
        await settle()
        assert waiting.done()
        assert waiting.result() not in (None, first)

    write(tmp_path)
    running(tmp_path, body)
