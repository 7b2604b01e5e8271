"""No credential passes the redaction, whatever it is wrapped in, and readable text stays readable."""

import json
import time

import pytest

from actions_gateway.github.errors import GitHubError, RateLimited, Unreachable
from actions_gateway.github.redaction import redact

CORE = "Zq3vX9TtR7b"
"""Planted in every credential below: it must never come out."""

JWT = f"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ{CORE}.c2lnbmF0dXJl{CORE}"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\nMIIEow{CORE}\nIBAAKC\n-----END RSA PRIVATE KEY-----"

CREDENTIALS = {
    "an installation token": f"token ghs_{CORE}0123456789abcdefghij is bad",
    "an installation token of the long form": f"ghs_12345_eyJhbGciOiJSUzI1.eyJ{CORE}.{CORE}-_sig",
    "a personal token": f"ghp_{CORE}0123456789abcdefghij",
    "a fine-grained token": f"github_pat_11ABC_{CORE}0123456789",
    "an old installation token": "v1.0123456789abcdef0123456789abcdef01234567",
    "a JWT": f"assertion {JWT}.",
    "a JWT that was cut in its payload": f"eyJhbGciOiJSUzI1NiJ9.eyJ{CORE}",
    "a base64 run": f"blob {CORE}{'QUJD' * 12}==",
    "a URL-safe base64 run": f"blob {CORE}-{'QUJD_' * 10}",
    "a PEM key": f"key: {PEM} end",
    "a PEM key that was cut": PEM[:60],
    "a PEM key inside JSON": json.dumps({"note": PEM}),
    "a bearer header": f"Authorization: Bearer {CORE}0123",
    "a JSON token": json.dumps({"token": f"{CORE}!", "expires_at": "2026"}),
    "a JSON value with quotes and escapes": json.dumps({"password": f'a"b\\{CORE}'}),
    "a JSON value that was cut": f'{{"access_token": "{CORE}',
    "a JSON value inside a JSON string": json.dumps({"body": json.dumps({"AccessToken": CORE})}),
    "a JSON value two strings deep": json.dumps({"a": json.dumps({"b": json.dumps({"client_secret": CORE})})}),
    "a Python repr": str({"encodedJITConfig": CORE}),
    "a form": f"grant_type=x&client_assertion={CORE}&scope=y",
    "a query": f"https://example.test/?access_token={CORE}&page=2",
}


@pytest.mark.parametrize("text", CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_credentials_are_taken_out(text: str) -> None:
    shown = redact(text)
    assert CORE not in shown
    assert "0123456789abcdef0123" not in shown
    assert "redacted" in shown


@pytest.mark.parametrize(
    "text",
    [
        "Resource not accessible by integration",
        "Registration 5f0a3c1e-1f3c-4f0e-9d2a-0d5f7c1b2a33 was not found.",
        "Already exists - A runner with the name gpu-runners-of-the-machine-learning-team-1a2b3c4d-5e6f7a8b exists",
        "Cannot connect to host broker.actions.githubusercontent.com:443 ssl:default [Connection refused]",
        'the permissions {"secrets": "read", "administration": "write"} are missing',
        "Runner version v2.300.0 is deprecated and cannot receive messages.",
    ],
)
def test_what_people_need_to_read_stays(text: str) -> None:
    assert redact(text) == text


def test_a_text_becomes_one_printable_line_of_the_given_length() -> None:
    assert redact("first\r\nsecond\x1b[31m\tthird\u2028fourth") == "first second [31m third fourth"
    shown = redact("word " * 500, limit=100)
    assert len(shown) == 100
    assert shown.endswith("…")


def test_a_credential_that_crosses_the_end_of_what_is_searched_does_not_survive() -> None:
    for padding in range(8192 - 60, 8192):
        assert CORE not in redact("=" * 10 + " " * padding + f"ghs_{CORE}0123456789abcdefghijklmnop", limit=10_000)


@pytest.mark.parametrize("text", ["\\" * 9000, '"' * 9000, "-" * 9000, "a-" * 4500, '\\"token' * 1200, "eyJ" * 3000])
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 0.5


def test_every_error_redacts_its_own_text() -> None:
    errors = [
        GitHubError(f"said {JWT}", request_id=f"ghs_{CORE}0123456789"),
        Unreachable(f"said {JWT}"),
        RateLimited(f"said {JWT}", wait_seconds=1),
    ]
    for error in errors:
        assert CORE not in f"{error} {error!r} {vars(error)}"
