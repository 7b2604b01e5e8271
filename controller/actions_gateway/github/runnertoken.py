"""The runner's own access token, bought with a client assertion that its registration's key signs.

Sources: actions/runner `src/Sdk/WebApi/WebApi/OAuth/VssOAuthJwtBearerAssertion.cs` and
`src/Runner.Listener/Configuration/OAuthCredential.cs`; RFC 7523. Signing takes less than 1 ms, so it is done in place.
"""

import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from actions_gateway.engine.clock import Clock
from actions_gateway.github.answers import Answer
from actions_gateway.github.classification import token_error
from actions_gateway.github.errors import MalformedAnswer, RegistrationNotFound
from actions_gateway.github.http import Api, Endpoint, GitHubHttp
from actions_gateway.github.jit import JitConfig
from actions_gateway.github.secrets import Secret

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NOT_BEFORE_SECONDS = 60
_LIFETIME_SECONDS = 240
"""With the backdating exactly the five minutes that the token endpoint allows."""

_ASSUMED_TOKEN_SECONDS = 3000
"""Observed with github.com; used when the answer and the token itself name no expiry."""
_REFRESH_LEAD = timedelta(minutes=5)
_REFRESH_LEAD_SHARE = 0.2

PROPAGATION_ATTEMPTS = 6
_PROPAGATION_WAIT_SECONDS = (1.0, 2.0)


@dataclass(frozen=True, slots=True)
class RunnerToken:
    """Opens the broker and acquires jobs for one runner."""

    token: Secret
    expires_at: datetime
    refresh_at: datetime
    """From then on a new one should be fetched before the next use."""


async def exchange(
    http: GitHubHttp, jit: JitConfig, clock: Clock, rng: random.Random, *, fresh: bool = False
) -> RunnerToken:
    """A new token; `fresh` for a registration made just now, which the token endpoint may not know for some seconds.

    Raises RegistrationNotFound (consumed, or after six attempts still unknown), CredentialsRejected, ClockSkewed,
    RateLimited or Transient.
    """
    for _ in range(PROPAGATION_ATTEMPTS - 1 if fresh else 0):
        try:
            return await _exchange_once(http, jit, clock)
        except RegistrationNotFound:
            pass
        await clock.sleep(rng.uniform(*_PROPAGATION_WAIT_SECONDS))
    return await _exchange_once(http, jit, clock)


def client_assertion(jit: JitConfig, now: datetime) -> Secret:
    """The signed statement that its bearer is this runner, good for five minutes and one use."""
    seconds = int(now.timestamp())
    claims = {
        "iss": jit.client_id,
        "sub": jit.client_id,
        "aud": jit.authorization_url,
        "jti": str(uuid.uuid4()),
        "nbf": seconds - _NOT_BEFORE_SECONDS,
        "exp": seconds + _LIFETIME_SECONDS,
    }
    return Secret(jwt.encode(claims, jit.key, algorithm="PS256" if jit.requires_fips else "RS256"))


async def _exchange_once(http: GitHubHttp, jit: JitConfig, clock: Clock) -> RunnerToken:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": client_assertion(jit, clock.now()).reveal(),
    }
    headers = {"Accept": "application/json"}
    answer = await http.send(Api.OAUTH, "POST", jit.token_url, endpoint=Endpoint.OAUTH, headers=headers, form=form)
    if not answer.is_success:
        raise token_error(answer)
    return _runner_token(answer, clock.now())


def _runner_token(answer: Answer, now: datetime) -> RunnerToken:
    fields = answer.fields()
    token = fields.secret("access_token")
    if token is None:
        raise MalformedAnswer("the token endpoint's answer holds no access_token")
    seconds = fields.number("expires_in")
    expires_at = now + timedelta(seconds=seconds) if seconds and 0 < seconds < 10**8 else _expiry_inside(token)
    expires_at = expires_at or now + timedelta(seconds=_ASSUMED_TOKEN_SECONDS)
    lifetime = expires_at - now
    # A token that lives for some minutes only is used for half of them.
    lead = min(max(_REFRESH_LEAD, lifetime * _REFRESH_LEAD_SHARE), lifetime / 2)
    return RunnerToken(token, expires_at, expires_at - lead)


def _expiry_inside(token: Secret) -> datetime | None:
    """The token's own `exp`; the token is GitHub's to verify, not ours."""
    try:
        return datetime.fromtimestamp(jwt.decode(token.reveal(), options={"verify_signature": False})["exp"], UTC)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
