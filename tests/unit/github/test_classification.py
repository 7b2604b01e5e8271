"""Every unsuccessful answer of every call, and what it means."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from actions_gateway.github import classification as c
from actions_gateway.github import errors as e
from actions_gateway.github.answers import Answer

NOW = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
Classify = Callable[[Answer], e.GitHubError]
Kind = type[e.GitHubError]


def answer(status: int, body: Any = "", headers: Mapping[str, str] | None = None) -> Answer:
    content = body if isinstance(body, str) else json.dumps(body)
    return Answer(status, httpx.Headers({"x-github-request-id": "AB:1", **(headers or {})}), content.encode(), NOW)


def broker(kind: str, source: str = c.BROKER_SOURCE) -> dict[str, Any]:
    return {"source": source, "errorKind": kind, "statusCode": 1, "errorMessage": "said so"}


def run_service(status: int, source: str = c.RUN_SERVICE_SOURCE) -> dict[str, Any]:
    return {"source": source, "statusCode": status, "errorMessage": "said so"}


def rest(given: Answer) -> e.GitHubError:
    return c.rest_error(given, "do it")


def within_session(given: Answer) -> e.GitHubError:
    return c.broker_error(given, "do it")


def with_job_token(given: Answer) -> e.GitHubError:
    return c.job_error(given, "do it")


INTEGRATION = {"message": "Resource not accessible by integration"}
EXHAUSTED = {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "5000", "x-ratelimit-reset": "1767603700"}
SKEWED = {"Date": "Mon, 05 Jan 2026 08:50:00 GMT"}
IN_STEP = {"Date": "Mon, 05 Jan 2026 08:59:30 GMT"}
NOT_FOUND = {"error": "invalid_client", "error_description": "Registration 5f0a was not found."}
CLOCK = {"error": "invalid_client", "error_description": "Not valid now. Current server time is 2026."}

CASES: list[tuple[str, Classify, Answer, Kind]] = [
    ("REST 301 means the thing was renamed", rest, answer(301), e.Moved),
    ("REST 307 too", rest, answer(307, {"message": "Moved Permanently"}), e.Moved),
    ("REST 400", rest, answer(400), e.InvalidRequest),
    ("REST 401", rest, answer(401, {"message": "Bad credentials"}, IN_STEP), e.Unauthorized),
    ("REST 401 with a wrong clock", rest, answer(401, {"message": "'exp' is too far"}, SKEWED), e.ClockSkewed),
    ("REST 403", rest, answer(403, {"message": "Not allowed"}), e.Forbidden),
    ("REST 403 without the permission", rest, answer(403, INTEGRATION), e.PermissionMissing),
    ("REST 403 suspended", rest, answer(403, {"message": "This installation has been suspended"}), e.Suspended),
    ("REST 403 with an exhausted budget", rest, answer(403, INTEGRATION, EXHAUSTED), e.RateLimited),
    ("REST 403 secondary limit", rest, answer(403, {"message": "a secondary rate limit"}), e.RateLimited),
    ("REST 403 with Retry-After", rest, answer(403, "", {"Retry-After": "9"}), e.RateLimited),
    ("REST 404", rest, answer(404), e.NotFound),
    ("REST 408", rest, answer(408), e.ServerError),
    ("REST 409", rest, answer(409), e.GitHubError),
    ("REST 422", rest, answer(422), e.InvalidRequest),
    ("REST 429", rest, answer(429), e.RateLimited),
    ("REST 451", rest, answer(451), e.GitHubError),
    ("REST 500", rest, answer(500), e.ServerError),
    ("REST 503 page", rest, answer(503, "<html>", {"Content-Type": "text/html"}), e.ServerError),
    ("registration 401", c.registration_error, answer(401), e.Unauthorized),
    ("registration 403", c.registration_error, answer(403, INTEGRATION), e.PermissionMissing),
    ("registration 404", c.registration_error, answer(404), e.NotFound),
    ("registration 409", c.registration_error, answer(409, {"message": "Already exists"}), e.NameTaken),
    ("registration 422", c.registration_error, answer(422), e.InvalidRequest),
    ("registration 429", c.registration_error, answer(429), e.RateLimited),
    ("registration 502", c.registration_error, answer(502), e.ServerError),
    ("deletion 422 busy", c.deletion_error, answer(422, {"message": "is Currently Running a job"}), e.RunnerBusy),
    ("deletion 422 other", c.deletion_error, answer(422, {"message": "no"}), e.InvalidRequest),
    ("deletion 403", c.deletion_error, answer(403, INTEGRATION), e.PermissionMissing),
    ("token 400 invalid_client", c.token_error, answer(400, {"error": "invalid_client"}), e.CredentialsRejected),
    ("token 400 registration not found", c.token_error, answer(400, NOT_FOUND), e.RegistrationNotFound),
    ("token 404 plain text", c.token_error, answer(404, "The registration was not found"), e.RegistrationNotFound),
    ("token 400 clock", c.token_error, answer(400, CLOCK), e.ClockSkewed),
    ("token 401", c.token_error, answer(401), e.CredentialsRejected),
    ("token 403", c.token_error, answer(403), e.CredentialsRejected),
    ("token 403 throttled", c.token_error, answer(403, "", {"Retry-After": "3"}), e.RateLimited),
    ("token 404 other", c.token_error, answer(404), e.CredentialsRejected),
    ("token 429", c.token_error, answer(429), e.RateLimited),
    ("token 500", c.token_error, answer(500), e.ServerError),
    ("token 504", c.token_error, answer(504), e.ServerError),
    ("session 400 version", c.session_error, answer(400, "Runner version 2.1 is too old"), e.VersionTooOld),
    ("session 400 minimum", c.session_error, answer(400, {"message": "the minimum is 2.3"}), e.VersionTooOld),
    ("session 400 other", c.session_error, answer(400, "no"), e.InvalidRequest),
    ("session 401", c.session_error, answer(401), e.Unauthorized),
    ("session 403", c.session_error, answer(403), e.Forbidden),
    ("session 403 version", c.session_error, answer(403, "version v2.1 is deprecated"), e.VersionTooOld),
    ("session 404", c.session_error, answer(404), e.RunnerGone),
    ("session 409", c.session_error, answer(409, "already has an active session for owner x"), e.SessionConflict),
    ("session 429", c.session_error, answer(429), e.RateLimited),
    ("session envelope version", c.session_error, answer(403, broker("RunnerVersionTooOld")), e.VersionTooOld),
    ("session 500", c.session_error, answer(500), e.ServerError),
    ("poll 400 session invalid", within_session, answer(400, broker("RunnerSessionInvalid")), e.SessionExpired),
    ("poll 403 session invalid", within_session, answer(403, broker("RunnerSessionInvalid")), e.SessionExpired),
    ("poll 400 other", within_session, answer(400), e.InvalidRequest),
    ("poll 401", within_session, answer(401), e.Unauthorized),
    ("poll 403", within_session, answer(403), e.Forbidden),
    ("poll 404 runner", within_session, answer(404, broker("RunnerNotFound")), e.RunnerGone),
    ("poll 404 deprovisioned", within_session, answer(404, broker("HostedRunnerDeprovisioned")), e.RunnerGone),
    ("poll 404 bare", within_session, answer(404), e.SessionExpired),
    ("poll 404 foreign envelope", within_session, answer(404, broker("RunnerNotFound", "x")), e.SessionExpired),
    ("poll 404 unknown kind", within_session, answer(404, broker("Novelty")), e.SessionExpired),
    ("poll 410", within_session, answer(410), e.SessionExpired),
    ("poll 400 version", within_session, answer(400, broker("RunnerVersionTooOld")), e.VersionTooOld),
    ("poll 403 version", within_session, answer(403, broker("RunnerVersionTooOld")), e.VersionTooOld),
    ("poll 429", within_session, answer(429), e.RateLimited),
    ("poll 503", within_session, answer(503), e.ServerError),
    ("acknowledge gone", within_session, answer(404, broker("AcknowledgeJobNotFound")), e.DeliveryGone),
    ("acknowledge runner", within_session, answer(404, broker("RunnerNotFound")), e.RunnerGone),
    ("acknowledge 500", within_session, answer(500), e.ServerError),
    ("session deletion 429", within_session, answer(429), e.RateLimited),
    ("session deletion 500", within_session, answer(500), e.ServerError),
    ("acquire 401", c.acquisition_error, answer(401), e.Unauthorized),
    ("acquire 403", c.acquisition_error, answer(403), e.Forbidden),
    ("acquire 404", c.acquisition_error, answer(404, run_service(404)), e.DeliveryGone),
    ("acquire 409", c.acquisition_error, answer(409), e.AlreadyClaimed),
    ("acquire 422", c.acquisition_error, answer(422), e.DeliveryGone),
    ("acquire 400 that says 409", c.acquisition_error, answer(400, run_service(409)), e.AlreadyClaimed),
    ("acquire 500 foreign 404", c.acquisition_error, answer(500, run_service(404, "proxy")), e.ServerError),
    ("acquire 429", c.acquisition_error, answer(429), e.RateLimited),
    ("acquire 500", c.acquisition_error, answer(500), e.ServerError),
    ("renew 401", with_job_token, answer(401, run_service(401)), e.NotAuthorizedForJob),
    ("renew 403", with_job_token, answer(403), e.NotAuthorizedForJob),
    ("renew 404", with_job_token, answer(404), e.LockLost),
    ("renew 410", with_job_token, answer(410), e.LockLost),
    ("renew 429", with_job_token, answer(429), e.RateLimited),
    ("renew 500", with_job_token, answer(500), e.ServerError),
    ("complete 401", with_job_token, answer(401, run_service(401)), e.NotAuthorizedForJob),
    ("complete 404", with_job_token, answer(404), e.LockLost),
    ("complete 410", with_job_token, answer(410), e.LockLost),
    ("complete 500", with_job_token, answer(500), e.ServerError),
]


@pytest.mark.parametrize(("classify", "given", "kind"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_answer_means(classify: Classify, given: Answer, kind: Kind) -> None:
    error = classify(given)
    assert type(error) is kind
    assert error.status == given.status
    assert error.request_id == "AB:1"
    assert f"HTTP {given.status}" in str(error)


def test_the_text_is_what_github_said_with_its_details() -> None:
    body = {"message": "Validation Failed", "errors": [{"field": "name", "code": "invalid"}, {"message": "too long"}]}
    assert str(c.registration_error(answer(422, body))) == (
        "GitHub did not register the runner (HTTP 422): Validation Failed: name invalid: too long"
    )


def test_a_page_for_people_is_left_out() -> None:
    error = rest(answer(503, "<html><h1>Unicorn!</h1></html>", {"Content-Type": "text/html; charset=utf-8"}))
    assert str(error) == "GitHub did not do it (HTTP 503)"


def test_the_missing_permission_is_named() -> None:
    error = rest(answer(403, INTEGRATION, {"X-Accepted-GitHub-Permissions": "administration=write"}))
    assert isinstance(error, e.PermissionMissing)
    assert str(error).endswith("it needs administration=write")


def test_a_wrong_clock_is_told_with_its_direction() -> None:
    assert "clock is 600 s ahead of GitHub's" in str(rest(answer(401, "", SKEWED)))
    late = {"Date": "Mon, 05 Jan 2026 09:10:00 GMT"}
    assert "clock is 600 s behind GitHub's" in str(rest(answer(401, "", late)))


@pytest.mark.parametrize(
    ("given", "classify", "seconds"),
    [
        (answer(429), rest, 60.0),
        (answer(403, "", EXHAUSTED), rest, 100.0),
        (answer(429), within_session, 30.0),
        (answer(429, "", {"Retry-After": "Mon, 05 Jan 2026 09:02:00 GMT"}), within_session, 120.0),
        (answer(429, "", {"Retry-After": "4"}), with_job_token, 4.0),
    ],
)
def test_a_throttle_always_says_how_long(given: Answer, classify: Classify, seconds: float) -> None:
    error = classify(given)
    assert isinstance(error, e.RateLimited)
    assert error.wait_seconds == error.retry_after_seconds == seconds


def test_a_planted_token_in_any_body_never_reaches_the_error() -> None:
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVk.cGxhbnRlZHNpZ25hdHVyZQ"
    bodies: list[Any] = [
        f"token {jwt} refused",
        {"message": f"Bad credentials {jwt}"},
        {"error": "invalid_client", "error_description": f"assertion {jwt}"},
        {"source": c.RUN_SERVICE_SOURCE, "statusCode": 401, "errorMessage": jwt},
        {"message": "bad", "errors": [{"message": jwt}]},
    ]
    for body in bodies:
        for classify in (rest, c.token_error, within_session, c.session_error, c.acquisition_error, with_job_token):
            error = classify(answer(400, body, {"x-github-request-id": jwt}))
            assert "cGxhbnRlZ" not in f"{error!r} {vars(error)}"
            assert "eyJ" not in str(error)
            assert error.__cause__ is None
            assert error.__context__ is None


def test_the_groups_that_callers_catch_hold_what_they_promise() -> None:
    groups: dict[Kind, tuple[Kind, ...]] = {
        e.Transient: (e.Unreachable, e.AnswerTimeout, e.ServerError, e.MalformedAnswer, e.EmptyAnswer),
        e.RegistrationLost: (e.RunnerGone, e.RegistrationNotFound, e.CredentialsRejected, e.RegistrationUnusable),
        e.Unauthorized: (e.ClockSkewed,),
        e.Forbidden: (e.PermissionMissing, e.Suspended),
    }
    assert [(kind, group) for group, kinds in groups.items() for kind in kinds if not issubclass(kind, group)] == []
