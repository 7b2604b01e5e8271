"""The exchange of a signed assertion for the runner's token, and its patience right after a registration."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import jwt
import pytest

from actions_gateway.github.errors import (
    CredentialsRejected,
    MalformedAnswer,
    RegistrationNotFound,
    Transient,
)
from actions_gateway.github.http import Api
from actions_gateway.github.runnertoken import RunnerToken, client_assertion, exchange
from support.aio import run
from support.clock import START

from .doubles import AUTHORIZATION_URL, Reply, github, jit_config, reply, rsa_key

NOT_FOUND = {"error": "invalid_client", "error_description": "Registration 5f0a was not found."}
RNG = random.Random(1)


def exchanged(body: Any) -> RunnerToken:
    async def main() -> RunnerToken:
        async with github(reply(200, body)) as double:
            return await exchange(double.http, jit_config(), double.clock, RNG)

    return run(main())


def test_the_assertion_lives_five_minutes_around_now_and_is_used_once() -> None:
    token = client_assertion(jit_config(), START).reveal()
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT"}
    claims = jwt.decode(
        token,
        rsa_key().public_key(),
        ["RS256"],
        audience=AUTHORIZATION_URL,
        options={"verify_exp": False, "verify_nbf": False},
    )
    now = int(START.timestamp())
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("client-1", "client-1", AUTHORIZATION_URL)
    assert (claims["nbf"], claims["exp"]) == (now - 60, now + 240)
    other = jwt.decode(client_assertion(jit_config(), START).reveal(), options={"verify_signature": False})
    assert claims["jti"] != other["jti"]


def test_a_runner_that_requires_fips_signs_with_pss() -> None:
    token = client_assertion(jit_config(requireFipsCryptography="True"), START).reveal()
    claims = jwt.decode(
        token,
        rsa_key().public_key(),
        ["PS256"],
        audience=AUTHORIZATION_URL,
        options={"verify_exp": False, "verify_nbf": False},
    )
    assert claims["iss"] == "client-1"


def test_the_assertion_is_sent_as_a_form_to_the_token_endpoint() -> None:
    async def main() -> None:
        async with github(reply(200, {"access_token": "abc", "expires_in": 3000})) as double:
            jit = jit_config(oauthEndpointUrl="https://other.example.test/token")
            await exchange(double.http, jit, double.clock, RNG)
            assert (double.last.method, str(double.last.url)) == ("POST", "https://other.example.test/token")
            assert double.last.headers["content-type"] == "application/x-www-form-urlencoded"
            assert "authorization" not in double.last.headers
            form = double.form()
            assert set(form) == {"grant_type", "client_assertion_type", "client_assertion"}
            assert form["grant_type"] == "client_credentials"
            assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            assert double.heard == [(Api.OAUTH, 200)]

    run(main())


@pytest.mark.parametrize(
    ("body", "lifetime_seconds", "refresh_seconds"),
    [
        ({"access_token": "abc", "expires_in": 3000}, 3000, 2400),
        ({"access_token": "abc", "expires_in": "1200"}, 1200, 900),
        ({"access_token": "abc", "expires_in": 60}, 60, 30),
        ({"Access_Token": "abc"}, 3000, 2400),
        ({"access_token": "abc", "expires_in": -5}, 3000, 2400),
        ({"access_token": jwt.encode({"exp": START.timestamp() + 600}, "k" * 32)}, 600, 300),
    ],
    ids=[
        "a fifth before the end",
        "five minutes before the end",
        "a short life is used for its half",
        "an answer without expiry",
        "a senseless expiry",
        "the expiry inside the token",
    ],
)
def test_the_token_is_refreshed_in_time(body: Any, lifetime_seconds: int, refresh_seconds: int) -> None:
    token = exchanged(body)
    assert token.expires_at == START + timedelta(seconds=lifetime_seconds)
    assert token.refresh_at == START + timedelta(seconds=refresh_seconds)
    assert "abc" not in repr(token)


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": "a b"}, "<html>"])
def test_an_answer_without_a_usable_token_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedAnswer):
        exchanged(body)


def test_a_fresh_registration_is_asked_for_again_while_it_is_unknown() -> None:
    async def main() -> None:
        replies = [reply(400, NOT_FOUND), reply(404, "registration not found"), reply(200, {"access_token": "abc"})]
        async with github(*replies) as double:
            task = asyncio.create_task(exchange(double.http, jit_config(), double.clock, RNG, fresh=True))
            await double.clock.advance(0.9)
            assert len(double.requests) == 1
            await double.clock.advance(3.1)
            assert (await task).token.reveal() == "abc"
            assert len(double.requests) == 3
            assertions = {double.form(index)["client_assertion"] for index in range(3)}
            assert len(assertions) == 3

    run(main())


def test_patience_ends_after_six_attempts() -> None:
    async def main() -> None:
        async with github(*[reply(400, NOT_FOUND)] * 6) as double:
            task = asyncio.create_task(exchange(double.http, jit_config(), double.clock, RNG, fresh=True))
            await double.clock.advance(10.0)
            with pytest.raises(RegistrationNotFound):
                await task
            assert len(double.requests) == 6

    run(main())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(400, {"error": "invalid_client"}), CredentialsRejected),
        (reply(503), Transient),
    ],
)
def test_only_an_unknown_registration_is_worth_patience(answer: Reply, kind: type[Exception]) -> None:
    async def main() -> None:
        async with github(answer) as double:
            with pytest.raises(kind):
                await exchange(double.http, jit_config(), double.clock, RNG, fresh=True)

    run(main())


def test_an_old_registration_that_is_unknown_was_consumed() -> None:
    async def main() -> None:
        async with github(reply(400, NOT_FOUND)) as double:
            with pytest.raises(RegistrationNotFound):
                await exchange(double.http, jit_config(), double.clock, RNG)

    run(main())
