"""The runner's credentials: server-made RSA-2048 keys from a pool, the JIT blob, and the check of client assertions.

Sources: actions/runner `src/Runner.Listener/Runner.cs` (blob entries), `src/Runner.Listener/Configuration/
OAuthCredential.cs` and `src/Sdk/WebApi/WebApi/OAuth/*` (assertion: issuer and subject are the client id, audience the
token URL, five minutes).
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.types import Options

from gateway_sandbox.github.models import Runner
from gateway_sandbox.github.state import Refused, State

MAX_ASSERTION_SECONDS = 300
OWN_CLOCK: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
"""Times are checked against the injected clock, not by the library against the machine's."""


@dataclass(frozen=True, slots=True)
class RunnerKey:
    public_key: rsa.RSAPublicKey
    parameters: dict[str, str]
    """The content of `.credentials_rsaparams`: base64 of big-endian numbers."""


class KeyPool:
    """RSA-2048 keys made in a thread before they are needed (about 50 ms each), then handed out in turn.

    Names and client ids are what is unique about a runner, so a pool may serve several simulators one after the other.
    """

    def __init__(self) -> None:
        self._keys: list[RunnerKey] = []
        self._next = 0

    async def prepare(self, size: int) -> None:
        while len(self._keys) < size:
            self._keys.append(await asyncio.to_thread(_generate))

    async def take(self, *, fresh: bool) -> RunnerKey:
        """The next key of the pool, or a new one when the pool is empty or `fresh` is asked for."""
        if fresh or not self._keys:
            return await asyncio.to_thread(_generate)
        self._next += 1
        return self._keys[(self._next - 1) % len(self._keys)]

    def reset(self) -> None:
        """Hands the keys out from the first one again."""
        self._next = 0


def _generate() -> RunnerKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = key.private_numbers()
    parts = {
        "d": numbers.d,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "exponent": numbers.public_numbers.e,
        "inverseQ": numbers.iqmp,
        "modulus": numbers.public_numbers.n,
        "p": numbers.p,
        "q": numbers.q,
    }
    return RunnerKey(key.public_key(), {name: _base64_number(number) for name, number in parts.items()})


def _base64_number(number: int) -> str:
    return base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()


def authorization_url(state: State) -> str:
    return f"{state.base_url}/oauth/{state.tenant}/token"


def jit_config(state: State, runner: Runner, key: RunnerKey, *, work_folder: str) -> str:
    """`encoded_jit_config`: base64 of a JSON object of file name to base64 of the file."""
    owner = state.base_url + "/" + runner.scope
    config: dict[str, Any] = {
        "AgentId": str(runner.id),
        "AgentName": runner.name,
        "PoolId": str(runner.group_id),
        "PoolName": None,
        "ServerUrl": f"{state.base_url}/legacy/{state.tenant}/",
        "ServerUrlV2": f"{state.base_url}/broker/",
        "UseV2Flow": "True",
        "WorkFolder": work_folder,
        "GitHubUrl": owner,
        "Ephemeral": "True",
    }
    if state.settings.blob_style == "camel":
        typed = config | {"AgentId": runner.id, "PoolId": runner.group_id, "UseV2Flow": True, "Ephemeral": True}
        config = {name[0].lower() + name[1:]: value for name, value in typed.items()}
    omitted = {name.lower() for name in state.settings.blob_omit}
    config = {name: value for name, value in config.items() if name.lower() not in omitted}
    data = {"clientId": runner.client_id, "authorizationUrl": authorization_url(state)}
    files = {
        ".runner": config,
        ".credentials": {"Scheme": "OAuth", "Data": data},
        ".credentials_rsaparams": key.parameters,
    }
    bom = "\ufeff" if state.settings.blob_bom else ""
    encoded = {name: _base64_text(bom + json.dumps(content)) for name, content in files.items()}
    return _base64_text(json.dumps(encoded))


def _base64_text(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def client_id_of(assertion: str) -> str:
    """The issuer that an unverified assertion claims; Refused 400 when it is no JWT."""
    try:
        return str(jwt.decode(assertion, options={"verify_signature": False}).get("iss"))
    except jwt.PyJWTError:
        raise invalid_client("The client assertion is not a JSON web token.") from None


def check_assertion(state: State, runner: Runner, assertion: str) -> None:
    """Refused 400 `invalid_client` unless the runner's key signed this for our token URL, just now and once."""
    try:
        claims = jwt.decode(
            assertion,
            runner.public_key,
            algorithms=["RS256", "PS256"],
            audience=authorization_url(state),
            options={**OWN_CLOCK, "require": ["exp", "nbf", "jti", "sub"]},
        )
    except jwt.PyJWTError as exc:
        raise invalid_client(f"The client assertion was rejected: {exc}") from None
    if claims["sub"] != runner.client_id:
        raise invalid_client("Issuer and subject of the client assertion differ.")
    _check_window(state, claims)
    if claims["jti"] in runner.assertion_ids:
        raise invalid_client("The client assertion was used before.")
    runner.assertion_ids.add(claims["jti"])


def _check_window(state: State, claims: Mapping[str, Any]) -> None:
    now, skew = state.told_time(), state.settings.jwt_skew_seconds
    if claims["exp"] - claims["nbf"] > MAX_ASSERTION_SECONDS + skew:
        raise invalid_client("The client assertion lives longer than five minutes.")
    if claims["nbf"] > now.timestamp() + skew or claims["exp"] < now.timestamp() - skew:
        raise invalid_client(f"The client assertion is not valid now. Current server time is {now.isoformat()}.")


def invalid_client(description: str) -> Refused:
    return Refused(400, {"error": "invalid_client", "error_description": description})
