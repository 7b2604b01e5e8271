"""What an unsuccessful answer means, call by call.

Sources: GitHub REST docs (statuses, rate limits, "currently running"), actions/runner
`src/Sdk/WebApi/WebApi/BrokerHttpClient.cs` (the broker's error envelope), `src/Sdk/RSWebApi/RunServiceHttpClient.cs`
(the run service's), `src/Runner.Listener/BrokerMessageListener.cs` and `src/Sdk/WebApi/WebApi/OAuth/*`.

A throttle is looked for first in every 403 and 429. An envelope counts only when its source is exactly the service's.
"""

from collections.abc import Mapping

from actions_gateway.github.answers import Answer, throttle_seconds
from actions_gateway.github.decoding import Fields
from actions_gateway.github.errors import (
    AlreadyClaimed,
    ClockSkewed,
    CredentialsRejected,
    DeliveryGone,
    Forbidden,
    GitHubError,
    InvalidRequest,
    LockLost,
    MalformedAnswer,
    Moved,
    NameTaken,
    NotAuthorizedForJob,
    NotFound,
    PermissionMissing,
    RateLimited,
    RegistrationNotFound,
    RunnerBusy,
    RunnerGone,
    ServerError,
    SessionConflict,
    SessionExpired,
    Suspended,
    Unauthorized,
    VersionTooOld,
)

BROKER_SOURCE = "actions-broker-listener"
RUN_SERVICE_SOURCE = "actions-run-service"

SECONDARY_LIMIT_SECONDS = 60.0
"""GitHub's docs ask for at least a minute when nothing says how long."""
_SERVICE_LIMIT_SECONDS = 30.0
"""What the runner's own listener waits."""
_TOLERATED_SKEW_SECONDS = 60.0

_Kind = type[GitHubError]

_REST: Mapping[int, _Kind] = {
    400: InvalidRequest,
    401: Unauthorized,
    404: NotFound,
    410: NotFound,
    422: InvalidRequest,
}
_ENVELOPE: Mapping[str, _Kind] = {
    "RunnerNotFound": RunnerGone,
    "RunnerVersionTooOld": VersionTooOld,
    "RunnerSessionInvalid": SessionExpired,
    "HostedRunnerDeprovisioned": RunnerGone,
    "AcknowledgeJobNotFound": DeliveryGone,
}
_CREATE_SESSION: Mapping[int, _Kind] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: RunnerGone,
    409: SessionConflict,
}
_POLL: Mapping[int, _Kind] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: SessionExpired,
    410: SessionExpired,
}
_ACQUIRE: Mapping[int, _Kind] = {
    401: Unauthorized,
    403: Forbidden,
    404: DeliveryGone,
    409: AlreadyClaimed,
    422: DeliveryGone,
}
_RENEW: Mapping[int, _Kind] = {401: NotAuthorizedForJob, 403: NotAuthorizedForJob, 404: LockLost, 410: LockLost}


def rest_error(answer: Answer, action: str) -> GitHubError:
    """For a call of the REST API; `action` completes "GitHub did not …"."""
    return (
        _throttle(answer, action, default_seconds=SECONDARY_LIMIT_SECONDS)
        or _skew(answer, action)
        or (_forbidden(answer, action) if answer.status == 403 else None)
        or _by_status(answer, answer.status, _REST, action)
    )


def registration_error(answer: Answer) -> GitHubError:
    """For generate-jitconfig."""
    action = "register the runner"
    if answer.status == 409:
        return _error(NameTaken, answer, action)
    return rest_error(answer, action)


def deletion_error(answer: Answer) -> GitHubError:
    """For the deletion of a runner."""
    action = "delete the runner"
    if answer.status == 422 and "currently running" in answer.text.lower():
        return _error(RunnerBusy, answer, action)
    return rest_error(answer, action)


def token_error(answer: Answer) -> GitHubError:
    """For the exchange of a client assertion: registration unknown, client refused, or our clock is wrong."""
    action = "issue a runner token"
    text = answer.text.lower()
    kind: _Kind | None = None
    if "current server time is" in text:
        kind = ClockSkewed
    elif answer.status in (400, 404) and "registration" in text and "not found" in text:
        kind = RegistrationNotFound
    elif throttle := _throttle(answer, action, default_seconds=_SERVICE_LIMIT_SECONDS):
        return throttle
    elif answer.status in (400, 401, 403, 404):
        kind = CredentialsRejected
    return _error(kind, answer, action) if kind else _by_status(answer, answer.status, {}, action)


def session_error(answer: Answer) -> GitHubError:
    """For the creation of a session."""
    action = "open a session"
    if answer.status in (400, 403) and _names_old_version(answer.text):
        return _error(VersionTooOld, answer, action)
    return _broker_error(answer, _CREATE_SESSION, action)


def broker_error(answer: Answer, action: str) -> GitHubError:
    """For a call within a session."""
    return _broker_error(answer, _POLL, action)


def acquisition_error(answer: Answer) -> GitHubError:
    """For acquirejob."""
    if answer.status in (400, 403) and "runner version" in answer.text.lower():
        return _error(VersionTooOld, answer, "hand over the job")
    return _run_service_error(answer, _ACQUIRE, "hand over the job")


def job_error(answer: Answer, action: str) -> GitHubError:
    """For a call with an acquired job's token."""
    return _run_service_error(answer, _RENEW, action)


def _broker_error(answer: Answer, table: Mapping[int, _Kind], action: str) -> GitHubError:
    envelope = _envelope(answer, BROKER_SOURCE)
    kind = _ENVELOPE.get(envelope.text("errorKind"))
    if kind is not None:
        return _error(kind, answer, action)
    throttle = _throttle(answer, action, default_seconds=_SERVICE_LIMIT_SECONDS)
    return throttle or _by_status(answer, answer.status, table, action)


def _run_service_error(answer: Answer, table: Mapping[int, _Kind], action: str) -> GitHubError:
    throttle = _throttle(answer, action, default_seconds=_SERVICE_LIMIT_SECONDS)
    if throttle is not None:
        return throttle
    stated = _envelope(answer, RUN_SERVICE_SOURCE).number("statusCode")
    return _by_status(answer, stated or answer.status, table, action)


def _throttle(answer: Answer, action: str, *, default_seconds: float) -> RateLimited | None:
    wait_seconds = throttle_seconds(answer, default_seconds=default_seconds)
    if wait_seconds is None:
        return None
    return RateLimited(
        _text(answer, action), wait_seconds=wait_seconds, status=answer.status, request_id=answer.request_id
    )


def _skew(answer: Answer, action: str) -> ClockSkewed | None:
    """A signed request that fails with 401 while the clocks differ fails because they differ."""
    skew = answer.clock_skew_seconds
    if answer.status != 401 or skew is None or abs(skew) <= _TOLERATED_SKEW_SECONDS:
        return None
    direction = "ahead of" if skew > 0 else "behind"
    return ClockSkewed(
        f"{_text(answer, action)}; this machine's clock is {abs(skew):.0f} s {direction} GitHub's",
        status=answer.status,
        request_id=answer.request_id,
    )


def _forbidden(answer: Answer, action: str) -> Forbidden:
    text = answer.text.lower()
    needed = answer.headers.get("x-accepted-github-permissions", "")
    if "suspended" in text:
        return Suspended(_text(answer, action), status=answer.status, request_id=answer.request_id)
    if "not accessible by integration" not in text:
        return Forbidden(_text(answer, action), status=answer.status, request_id=answer.request_id)
    advice = f"; it needs {needed}" if needed else ""
    return PermissionMissing(_text(answer, action) + advice, status=answer.status, request_id=answer.request_id)


def _by_status(answer: Answer, status: int, table: Mapping[int, _Kind], action: str) -> GitHubError:
    return _error(table.get(status) or _general_kind(status), answer, action)


def _general_kind(status: int) -> _Kind:
    if status >= 500 or status == 408:
        return ServerError
    if 300 <= status < 400:
        return Moved
    return MalformedAnswer if status < 300 else GitHubError


def _error(kind: _Kind, answer: Answer, action: str) -> GitHubError:
    return kind(_text(answer, action), status=answer.status, request_id=answer.request_id)


def _text(answer: Answer, action: str) -> str:
    detail = _detail(answer)
    return f"GitHub did not {action} (HTTP {answer.status})" + (f": {detail}" if detail else "")


def _detail(answer: Answer) -> str:
    """What the answer says about itself; a page meant for people says nothing."""
    fields = _fields(answer)
    if fields is None:
        return "" if "html" in answer.headers.get("content-type", "").lower() else answer.text
    for name in ("message", "errorMessage", "error_description", "error"):
        if text := fields.text(name):
            return ": ".join([text, *_validation_errors(fields)])
    return ""


def _validation_errors(fields: Fields) -> list[str]:
    """The list that the REST API adds to a 422."""
    return [
        entry.text("message") or f"{entry.text('field')} {entry.text('code')}" for entry in fields.objects("errors")
    ]


def _envelope(answer: Answer, source: str) -> Fields:
    fields = _fields(answer)
    return fields if fields is not None and fields.text("source") == source else Fields({})


def _fields(answer: Answer) -> Fields | None:
    try:
        return answer.fields()
    except MalformedAnswer:
        return None


def _names_old_version(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in ("version", "too old", "minimum"))
