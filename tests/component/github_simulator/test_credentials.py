"""App JWTs, installation tokens and runner tokens: real signatures, windows, permissions."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from .driver import APP_KEY, INSTALLATION_ID, World, scenario

TOKENS = f"/api/v3/app/installations/{INSTALLATION_ID}/access_tokens"
REPOSITORY = "/repos/octo/demo"


def test_an_app_jwt_needs_the_right_key_a_known_issuer_and_a_fresh_window() -> None:
    other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    async def play(world: World) -> None:
        assert (await world.app_call("POST", TOKENS)).status_code == 201
        for changes in ({"key": other_key}, {"issuer": "999"}, {"age_seconds": 700}, {"age_seconds": -60}):
            assert (await world.app_call("POST", TOKENS, **changes)).status_code == 401
        assert (await world.http.post(TOKENS, headers={"Authorization": "Bearer nonsense"})).status_code == 401
        assert (await world.http.post(TOKENS)).status_code == 401
        now = world.clock.now().timestamp()
        long = jwt.encode({"iss": "1234", "iat": now, "exp": now + 660}, APP_KEY, "RS256")
        reply = await world.http.post(TOKENS, headers={"Authorization": f"Bearer {long}"})
        assert reply.status_code == 401
        assert "too far in the future" in reply.json()["message"]

    scenario(play)


def test_an_unknown_installation_is_not_found_and_a_suspended_one_forbidden_until_it_is_lifted() -> None:
    async def play(world: World) -> None:
        unknown = await world.app_call("POST", "/api/v3/app/installations/1/access_tokens")
        assert unknown.status_code == 404
        token = await world.token()
        suspended = f"/api/v3/app/installations/{INSTALLATION_ID}/suspended"
        assert (await world.app_call("PUT", suspended)).status_code == 204
        assert (await world.app_call("POST", TOKENS)).status_code == 403
        assert (await world.rest("GET", REPOSITORY, token=token)).status_code == 403
        view = await world.app_call("GET", f"/app/installations/{INSTALLATION_ID}")
        assert view.json()["suspended_at"] == "2026-01-05T09:00:00Z"
        assert (await world.app_call("DELETE", suspended)).status_code == 204
        assert (await world.app_call("POST", TOKENS)).status_code == 201
        assert (await world.app_call("GET", "/api/v3/app")).json()["slug"] == "actions-gateway-sandbox"

    scenario(play)


def test_an_installation_token_ends_after_an_hour_or_when_revoked() -> None:
    async def play(world: World) -> None:
        first, second = await world.token(), await world.token()
        assert (await world.rest("DELETE", "/installation/token", token=first)).status_code == 204
        assert (await world.rest("GET", REPOSITORY, token=first)).json()["message"] == "Bad credentials"
        assert (await world.rest("GET", REPOSITORY, token=second)).status_code == 200
        await world.clock.advance(3600)
        assert (await world.rest("GET", REPOSITORY, token=second)).status_code == 401

    scenario(play)


def test_a_token_reaches_its_own_repositories_with_its_own_permissions() -> None:
    async def play(world: World) -> None:
        reader = await world.token(permissions={"administration": "read"}, repositories=["demo"])
        runners = "/actions/runners"
        assert (await world.rest("GET", REPOSITORY + runners, token=reader)).status_code == 200
        wish = {"name": "n", "runner_group_id": 1, "labels": ["a"]}
        refused = await world.rest("POST", f"{REPOSITORY}{runners}/generate-jitconfig", token=reader, body=wish)
        assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
        assert (await world.rest("GET", "/repos/octo/other" + runners, token=reader)).status_code == 404
        assert (await world.rest("GET", "/repos/stranger/demo" + runners)).status_code == 404
        assert (await world.rest("GET", "/orgs/octo" + runners)).status_code == 200
        too_much = {"permissions": {"contents": "write"}}
        headers = {"Authorization": f"Bearer {world.app_jwt()}"}
        assert (await world.http.post(TOKENS, json=too_much, headers=headers)).status_code == 422

    scenario(play)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "https://elsewhere.example/token"}, id="another audience"),
        pytest.param({"sub": "somebody"}, id="another subject"),
        pytest.param({"exp": 4102444800}, id="a life of many years"),
    ],
)
def test_a_client_assertion_with_a_wrong_claim_is_refused(changes: dict[str, object]) -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        reply = await runner.ask_for_token(runner.assertion(changes=changes))
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client")

    scenario(play)


def test_a_client_assertion_is_signed_by_the_runner_and_used_once_and_now() -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        foreign = await runner.ask_for_token(runner.assertion(key=APP_KEY))
        assert foreign.json()["error"] == "invalid_client"
        once = runner.assertion()
        assert (await runner.ask_for_token(once)).status_code == 200
        assert "used before" in (await runner.ask_for_token(once)).json()["error_description"]
        late = runner.assertion()
        await world.clock.advance(600)
        assert "Current server time is" in (await runner.ask_for_token(late)).json()["error_description"]

    scenario(play)


def test_a_new_registration_is_unknown_to_the_token_endpoint_until_it_has_spread() -> None:
    async def play(world: World) -> None:
        runner = await world.runner()
        reply = await runner.ask_for_token()
        assert (reply.status_code, "was not found" in reply.text) == (400, True)
        await world.clock.advance(3)
        assert (await runner.ask_for_token()).json()["expires_in"] == 3000

    scenario(play, propagation_delay_seconds=3.0)


def test_runner_tokens_expire_and_job_tokens_do_not_open_the_broker() -> None:
    async def play(world: World) -> None:
        claim = await world.acquired()
        runner = claim.runner
        runner_token, runner.token = runner.token, claim.token
        assert (await runner.poll()).status_code == 401
        runner.token = runner_token
        refused = await claim.renew(token=runner_token)
        assert refused.status_code == 401
        assert refused.json()["errorMessage"] == "Not authorized for this job"
        await world.clock.advance(3000)
        assert (await runner.poll()).status_code == 401

    scenario(play, unstarted_limit_seconds=9999.0)
