"""The JIT configuration in every form that GitHub sends, and the forms that are refused."""

import base64
import json

import jwt
import pytest

from actions_gateway.github.errors import RegistrationUnusable
from actions_gateway.github.jit import parse_jit_config

from .doubles import (
    AUTHORIZATION_URL,
    BROKER_URL,
    credentials_file,
    encode,
    encode_number,
    jit_blob,
    rsa_key,
    rsa_parameters,
    runner_file,
)


def files_of(blob: str) -> dict[str, str]:
    """The blob's files by name, still encoded."""
    files: dict[str, str] = json.loads(base64.b64decode(blob))
    return files


CAMEL_RUNNER = {
    "agentId": 28620,
    "agentName": "team-a-7",
    "poolId": 1,
    "serverUrl": "https://pipelines.example.test/",
    "serverUrlV2": BROKER_URL,
    "useV2Flow": True,
    "ephemeral": True,
}
LOWER_ACCESS = {"scheme": "OAuth", "data": {"ClientId": "client-1", "AuthorizationUrl": AUTHORIZATION_URL}}
URL_SAFE = {name: text.replace("+", "-").replace("/", "_").rstrip("=") for name, text in rsa_parameters().items()}
NUMBERS = rsa_key().private_numbers()
LEADING_ZEROS = rsa_parameters() | {
    "modulus": encode_number(NUMBERS.public_numbers.n, leading_zeros=1),
    "p": encode_number(NUMBERS.p, leading_zeros=3),
    "exponent": encode_number(65537, leading_zeros=1),
}
PASCAL_PARAMETERS = {name[0].upper() + name[1:]: text for name, text in rsa_parameters().items()}


@pytest.mark.parametrize(
    "blob",
    [
        jit_blob(),
        jit_blob(runner=CAMEL_RUNNER),
        jit_blob(prefix="\ufeff"),
        jit_blob(access=LOWER_ACCESS),
        jit_blob(parameters=URL_SAFE),
        jit_blob(parameters=LEADING_ZEROS),
        jit_blob(parameters=PASCAL_PARAMETERS),
        jit_blob().rstrip("="),
        encode(b"\xef\xbb\xbf" + json.dumps(files_of(jit_blob()) | {"svc.sh": encode("x")}).encode()),
    ],
    ids=[
        "PascalCase names with strings",
        "camelCase names with numbers",
        "files with a byte order mark",
        "other case in the credentials",
        "URL-safe numbers without padding",
        "numbers with leading zero bytes",
        "PascalCase names of the key's numbers",
        "a blob without padding",
        "a byte order mark outside and a further file",
    ],
)
def test_every_form_of_the_blob_gives_the_same_runner(blob: str) -> None:
    jit = parse_jit_config(blob)
    assert (jit.agent_id, jit.agent_name, jit.broker_url) == (28620, "team-a-7", BROKER_URL)
    assert (jit.client_id, jit.authorization_url, jit.token_url) == ("client-1", AUTHORIZATION_URL, AUTHORIZATION_URL)
    assert jit.requires_fips is False
    assert jit.key.private_numbers() == NUMBERS
    assert jit.blob.reveal() == blob


def test_the_files_for_the_worker_are_kept_byte_by_byte() -> None:
    jit = parse_jit_config(jit_blob(prefix="\ufeff"))
    assert jit.runner_file == b"\xef\xbb\xbf" + json.dumps(runner_file()).encode()
    assert jit.credentials_file == b"\xef\xbb\xbf" + json.dumps(credentials_file()).encode()


def test_the_key_signs_what_its_public_half_verifies() -> None:
    token = jwt.encode({"a": 1}, parse_jit_config(jit_blob()).key, algorithm="RS256")
    assert jwt.decode(token, rsa_key().public_key(), ["RS256"]) == {"a": 1}


def test_a_separate_token_endpoint_and_fips_are_honoured() -> None:
    access = credentials_file(oauthEndpointUrl="https://other.example.test/token", requireFipsCryptography="True")
    jit = parse_jit_config(jit_blob(access=access))
    assert (jit.token_url, jit.authorization_url) == ("https://other.example.test/token", AUTHORIZATION_URL)
    assert jit.requires_fips


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in runner_file().items() if name != key}


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        ("", "empty"),
        ("%%%", "base64"),
        (encode("[]"), "no JSON object"),
        (encode("{}"), "holds no file .runner"),
        (encode(json.dumps(files_of(jit_blob()) | {".runner": "%"})), ".runner is no base64"),
        (encode(json.dumps(files_of(jit_blob()) | {".credentials": encode("x")})), ".credentials is no JSON"),
        (encode(json.dumps(files_of(jit_blob()) | {".credentials_rsaparams": None})), "no file .credentials_rsaparams"),
        (jit_blob(runner=without("AgentId")), "AgentId"),
        (jit_blob(runner=without("AgentName")), "AgentName"),
        (jit_blob(runner=without("ServerUrlV2")), "legacy"),
        (jit_blob(runner=runner_file(UseV2Flow="False")), "legacy"),
        (jit_blob(runner=runner_file(ServerUrlV2="http://broker.example.test/")), "https"),
        (jit_blob(access=credentials_file(clientId="")), "clientId"),
        (jit_blob(access=credentials_file(authorizationUrl="")), "authorizationUrl"),
        (jit_blob(access=credentials_file(authorizationUrl="http://x.test/")), "https"),
        (jit_blob(parameters=rsa_parameters(p=NUMBERS.p + 2)), "do not belong together"),
        (jit_blob(parameters=rsa_parameters(modulus=NUMBERS.public_numbers.n + 2)), "do not belong together"),
        (jit_blob(parameters=rsa_parameters(d=NUMBERS.d + 2)), "do not belong together"),
        (jit_blob(parameters=rsa_parameters(p=1, q=NUMBERS.public_numbers.n)), "do not belong together"),
        (jit_blob(parameters=rsa_parameters() | {"q": "%"}), "q of its RSA key is no base64"),
        (jit_blob(parameters=rsa_parameters() | {"q": ""}), "q is missing"),
        (jit_blob(parameters=rsa_parameters() | {"q": encode(b"\1" * 2000)}), "too large"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 50 else "",
)
def test_an_unusable_configuration_is_refused_without_showing_it(blob: str, words: str) -> None:
    with pytest.raises(RegistrationUnusable) as caught:
        parse_jit_config(blob)
    assert words in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_configuration_prints_neither_key_nor_files() -> None:
    shown = repr(parse_jit_config(jit_blob()))
    assert jit_blob()[:40] not in shown
    assert "runner_file" not in shown
    assert "key=" not in shown
