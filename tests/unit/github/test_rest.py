"""The REST calls on the wire, and the budget they report."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from actions_gateway.github.budgets import Budgets
from actions_gateway.github.errors import (
    MalformedAnswer,
    Moved,
    NameTaken,
    NotFound,
    RateLimited,
    RegistrationUnusable,
    RunnerBusy,
    ServerError,
    Unauthorized,
)
from actions_gateway.github.http import Api
from actions_gateway.github.rest import GitHubRest
from actions_gateway.github.restmodels import Installation, Runner
from actions_gateway.github.urls import scope_of
from support.aio import run
from support.clock import START

from .doubles import TOKEN, Double, Reply, credentials, github, jit_blob, reply, rsa_key, runner_file

RUNNER = {
    "id": 28620,
    "name": "team-a-7",
    "os": "unknown",
    "status": "offline",
    "busy": False,
    "labels": [{"id": 1, "name": "self-hosted", "type": "read-only"}, {"id": 9, "name": "gpu", "type": "custom"}],
}
TOKEN_BODY = {
    "token": "ghs_minted",
    "expires_at": "2026-01-05T10:00:00Z",
    "permissions": {"administration": "write"},
    "repository_selection": "selected",
}


def play(
    scene: Callable[[GitHubRest, Double], Awaitable[None]], *replies: Reply, url: str = "https://github.com/acme/shop"
) -> None:
    async def main() -> None:
        async with github(*replies) as double:
            await scene(GitHubRest(double.http, scope_of(url), double.clock), double)

    run(main())


def test_a_token_is_minted_as_the_app() -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        minted = await rest.mint_token(credentials())
        assert (minted.token.reveal(), minted.expires_at) == ("ghs_minted", datetime(2026, 1, 5, 10, tzinfo=UTC))
        assert (minted.permissions, minted.repository_selection) == ({"administration": "write"}, "selected")
        assert "ghs_minted" not in repr(minted)
        assert double.last.method == "POST"
        assert str(double.last.url) == "https://api.github.com/app/installations/678/access_tokens"
        assert double.last.headers["accept"] == "application/vnd.github+json"
        assert double.last.headers["x-github-api-version"] == "2022-11-28"
        assert double.last.headers["user-agent"].startswith("actions-gateway/")
        bearer = double.last.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(
            bearer, rsa_key().public_key(), ["RS256"], options={"verify_exp": False, "verify_iat": False}
        )
        assert claims["iss"] == "12345"
        assert double.heard == [(Api.REST, 201)]

    play(scene, reply(201, TOKEN_BODY))


@pytest.mark.parametrize("body", [{}, TOKEN_BODY | {"expires_at": "soon"}, TOKEN_BODY | {"token": ""}, "<html>"])
def test_a_token_that_cannot_be_used_is_malformed(body: Any) -> None:
    async def scene(rest: GitHubRest, _: Double) -> None:
        with pytest.raises(MalformedAnswer):
            await rest.mint_token(credentials())

    play(scene, reply(201, body))


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (404, NotFound), (502, ServerError), (301, Moved)])
def test_a_refused_token_is_typed(status: int, kind: type[Exception]) -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        with pytest.raises(kind):
            await rest.mint_token(credentials())
        assert len(double.requests) == 1

    play(scene, reply(status, {"message": "no"}, Location="https://elsewhere.example.test/"))


def test_the_installation_is_read_as_the_app() -> None:
    body = {
        "id": 678,
        "account": {"login": "acme"},
        "app_slug": "our-runners",
        "permissions": {"actions": "write"},
        "repository_selection": "all",
        "suspended_at": None,
    }

    async def scene(rest: GitHubRest, double: Double) -> None:
        assert await rest.get_installation(credentials()) == Installation(
            678, "acme", "our-runners", {"actions": "write"}, "all", None
        )
        assert (await rest.get_installation(credentials())).suspended_at == START
        assert str(double.last.url) == "https://api.github.com/app/installations/678"

    play(scene, reply(200, body), reply(200, body | {"suspended_at": "2026-01-05T09:00:00Z"}))


def test_an_installation_is_suspended_and_let_in_again_as_the_app() -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        await rest.suspend_installation(credentials())
        await rest.unsuspend_installation(credentials())
        address = "https://api.github.com/app/installations/678/suspended"
        assert [(each.method, str(each.url)) for each in double.requests] == [("PUT", address), ("DELETE", address)]
        with pytest.raises(Unauthorized):
            await rest.suspend_installation(credentials())

    play(scene, reply(204), reply(204), reply(401))


@pytest.mark.parametrize("status", [204, 401])
def test_a_revoked_token_is_revoked(status: int) -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        await rest.revoke_token(TOKEN)
        assert (double.last.method, str(double.last.url)) == ("DELETE", "https://api.github.com/installation/token")
        assert double.last.headers["authorization"] == f"Bearer {TOKEN.reveal()}"

    play(scene, reply(status))


def test_a_revocation_that_fails_says_so() -> None:
    async def scene(rest: GitHubRest, _: Double) -> None:
        with pytest.raises(ServerError):
            await rest.revoke_token(TOKEN)

    play(scene, reply(500))


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://github.com/acme", "https://api.github.com/orgs/acme"),
        ("https://github.com/acme/shop", "https://api.github.com/repos/acme/shop"),
        ("https://ghes.example.test:8443/acme", "https://ghes.example.test:8443/api/v3/orgs/acme"),
    ],
)
def test_a_runner_is_registered_in_the_scope(url: str, prefix: str) -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        registration = await rest.generate_jit_config(TOKEN, "team-a-7", ["self-hosted", "gpu"])
        assert (registration.runner_id, registration.name) == (28620, "team-a-7")
        assert registration.jit.agent_id == 28620
        assert (double.last.method, str(double.last.url)) == ("POST", f"{prefix}/actions/runners/generate-jitconfig")
        assert double.body() == {
            "name": "team-a-7",
            "runner_group_id": 1,
            "labels": ["self-hosted", "gpu"],
            "work_folder": "_work",
        }

    play(scene, reply(201, {"runner": RUNNER, "encoded_jit_config": jit_blob()}), url=url)


def test_a_name_that_is_taken_is_typed() -> None:
    async def scene(rest: GitHubRest, _: Double) -> None:
        with pytest.raises(NameTaken):
            await rest.generate_jit_config(TOKEN, "team-a-7", ["x"])

    play(scene, reply(409, {"message": "Already exists"}))


@pytest.mark.parametrize("blob", ["", jit_blob(runner=runner_file(UseV2Flow="False"))])
def test_a_registration_that_cannot_be_used_names_the_record_to_delete(blob: str) -> None:
    async def scene(rest: GitHubRest, _: Double) -> None:
        with pytest.raises(RegistrationUnusable) as caught:
            await rest.generate_jit_config(TOKEN, "team-a-7", ["x"])
        assert caught.value.runner_id == 28620

    play(scene, reply(201, {"runner": RUNNER, "encoded_jit_config": blob}))


def numbered(first: int, count: int) -> list[dict[str, Any]]:
    return [RUNNER | {"id": number, "name": f"r-{number}"} for number in range(first, first + count)]


def test_runners_are_listed_page_by_page() -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        runners = await rest.list_runners(TOKEN)
        assert [runner.id for runner in runners] == list(range(130))
        assert [dict(request.url.params) for request in double.requests] == [
            {"per_page": "100", "page": "1"},
            {"per_page": "100", "page": "2"},
        ]

    play(
        scene,
        reply(200, {"total_count": 130, "runners": numbered(0, 100)}),
        reply(200, {"total_count": 130, "runners": numbered(100, 30)}),
    )


def test_runners_are_looked_for_by_name() -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        found = await rest.list_runners(TOKEN, name="team-a-7")
        assert found == [Runner(28620, "team-a-7", False, False, ("self-hosted", "gpu"))]
        assert double.last.url.params["name"] == "team-a-7"

    play(scene, reply(200, {"total_count": 1, "runners": [RUNNER]}))


def test_deleting_a_runner_tells_whether_it_was_there_or_is_busy() -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        assert await rest.delete_runner(TOKEN, 7)
        assert str(double.last.url) == "https://api.github.com/repos/acme/shop/actions/runners/7"
        assert await rest.delete_runner(TOKEN, 7)
        assert not await rest.delete_runner(TOKEN, 7)
        with pytest.raises(RunnerBusy):
            await rest.delete_runner(TOKEN, 7)

    busy = {"message": 'Runner "x" is currently running a job and cannot be deleted.'}
    play(scene, reply(204), reply(200), reply(404), reply(422, busy))


def budget(resource: str, remaining: int, *, limit: int = 5000, seconds: float = 600) -> dict[str, str]:
    reset = int((START + timedelta(seconds=seconds)).timestamp())
    values = {"limit": limit, "remaining": remaining, "reset": reset, "resource": resource}
    return {f"x-ratelimit-{name}": str(value) for name, value in values.items()}


def test_the_tightest_budget_of_the_installation_is_remembered() -> None:
    async def scene(rest: GitHubRest, double: Double) -> None:
        assert rest.rate_limit is None
        await rest.mint_token(credentials())
        assert rest.rate_limit is None, "the App's own budget is another one"
        await rest.delete_runner(TOKEN, 1)
        assert rest.rate_limit is not None
        assert (rest.rate_limit.resource, rest.rate_limit.remaining) == ("core", 4000)
        await rest.delete_runner(TOKEN, 1)
        assert (rest.rate_limit.resource, rest.rate_limit.limit, rest.rate_limit.remaining) == ("registration", 100, 5)
        with pytest.raises(ServerError):
            await rest.delete_runner(TOKEN, 1)
        assert rest.rate_limit.remaining == 5
        await double.clock.advance(700)
        assert rest.rate_limit.resource == "core", "a window that has ended says nothing"

    play(
        scene,
        httpx.Response(201, json=TOKEN_BODY, headers=budget("core", 1)),
        httpx.Response(404, headers=budget("core", 4000, seconds=3600)),
        httpx.Response(404, headers=budget("registration", 5, limit=100)),
        httpx.Response(500, headers=budget("core", 3999, seconds=3600)),
    )


def test_what_is_left_of_the_hour_is_told_with_the_answer_that_says_so() -> None:
    async def scene(_: GitHubRest, double: Double) -> None:
        heard: list[int] = []
        budgets = Budgets(double.clock, on_hour=lambda hourly: heard.append(hourly.remaining))
        rest = GitHubRest(double.http, scope_of("https://github.com/acme/shop"), double.clock, budgets)
        await rest.delete_runner(TOKEN, 1)
        assert heard == [4000]
        with pytest.raises(RateLimited):
            await rest.delete_runner(TOKEN, 1)
        assert heard == [4000, 0], "there will be no other answer for an hour"

    limit = {"message": "API rate limit exceeded for installation ID 5."}
    play(
        scene,
        httpx.Response(204, headers=budget("core", 4000)),
        httpx.Response(403, json=limit, headers=budget("core", 0)),
    )
