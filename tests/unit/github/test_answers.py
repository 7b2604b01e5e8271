"""Budgets and throttles that an answer's headers tell."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from actions_gateway.github.answers import Answer, RateLimit, rate_limit_of, retry_after_seconds, throttle_seconds

NOW = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
RESET = str(int(NOW.timestamp()) + 120)


def answer(status: int = 403, body: str = "", **headers: str) -> Answer:
    named = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status, named, body.encode(), NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("Mon, 05 Jan 2026 09:01:30 GMT", 90.0),
        ("Mon, 05 Jan 2026 08:00:00 GMT", 0.0),
        ("nan", None),
        ("inf", None),
        ("later", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_seconds(answer(Retry_After=text)) == seconds


EXHAUSTED = {"X_RateLimit_Limit": "5000", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": RESET}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (answer(429), 60.0),
        (answer(429, Retry_After="7"), 7.0),
        (answer(429, Retry_After="0"), 1.0),
        (answer(403, Retry_After="7", **EXHAUSTED), 7.0),
        (answer(403, **EXHAUSTED), 120.0),
        (answer(429, **EXHAUSTED), 120.0),
        (answer(403, '{"message": "You have exceeded a secondary rate limit."}'), 60.0),
        (answer(403, '{"message": "Resource not accessible by integration"}'), None),
        (answer(403, **(EXHAUSTED | {"X_RateLimit_Remaining": "10"})), None),
        (answer(404, Retry_After="7"), None),
    ],
    ids=[
        "a bare 429 waits the default",
        "Retry-After of a 429",
        "never less than a second",
        "Retry-After goes before the reset",
        "an exhausted budget waits for its reset",
        "so does an exhausted budget with 429",
        "a secondary limit is known by its text",
        "a refusal is no throttle",
        "budget left means a refusal",
        "other statuses are no throttle",
    ],
)
def test_a_throttle_is_told_from_a_refusal(given: Answer, seconds: float | None) -> None:
    assert throttle_seconds(given, default_seconds=60.0) == seconds


def test_the_budget_is_read_from_the_headers() -> None:
    given = answer(200, **EXHAUSTED, X_RateLimit_Resource="actions_runner_registration")
    assert rate_limit_of(given) == RateLimit("actions_runner_registration", 5000, 0, NOW + timedelta(seconds=120))
    assert rate_limit_of(answer(200)) is None
    assert rate_limit_of(answer(200, **(EXHAUSTED | {"X_RateLimit_Reset": "9" * 15}))) is None


def test_the_difference_of_the_clocks_comes_from_the_date_header() -> None:
    assert answer(401, Date="Mon, 05 Jan 2026 08:58:00 GMT").clock_skew_seconds == 120.0
    assert answer(401).clock_skew_seconds is None
    assert answer(401, Date="yesterday").clock_skew_seconds is None


def test_an_answer_does_not_print_its_body() -> None:
    assert "planted" not in repr(answer(200, "planted"))
