"""Faults as data: what may go wrong between a gateway and GitHub, each with a name that tests and drills share.

A fault matches requests (endpoint, runner, how many, how likely) and does one thing to them; `github.faultbook` carries
them out and knows none by name. Endpoints are those of the simulator's routes: `rest.*`, `oauth.token`, `broker.*`,
`run.*`, `results.*`. What each fault imitates was seen on github.com or is handled by the sources of actions/runner.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

FIRST_FEW = 3


class Action(StrEnum):
    ANSWER = "answer"
    """Answers in GitHub's place: `status`, `headers`, `body`."""
    DELAY = "delay"
    """Waits `seconds`, then lets GitHub handle the request."""
    HANG = "hang"
    """Accepts the request and never answers it; GitHub does not see it."""
    RESET = "reset"
    """Closes the connection after `seconds`; GitHub does not see the request."""
    LOSE_ANSWER = "lose_answer"
    """GitHub handles the request; the connection closes in place of the answer."""
    HANG_ANSWER = "hang_answer"
    """GitHub handles the request; the answer never comes."""
    TRUNCATE = "truncate"
    """Only the first half of the answer's body arrives, with a matching length."""
    EDIT = "edit"
    """Changes the answer's JSON: `removed`, `renamed`, then `edits`; list indexes in paths are numbers."""
    REPEAT = "repeat"
    """Delivers the previous message of this runner once more instead of polling."""
    TUNE = "tune"
    """Matches no request: replaces fields of the simulator's settings while the fault is in place."""
    DROP_SESSIONS = "drop_sessions"
    """Happens once, at once: the sessions of matching runners end, as when GitHub restarts."""
    DELETE_RUNNERS = "delete_runners"
    """Happens once, at once: the records of matching runners go, even under a live session."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests: shell patterns over endpoint and runner name, and which ones of those in order."""

    endpoint: str = "*"
    runner: str = "*"
    skip: int = 0
    """So many matching requests pass first."""
    times: int | None = None
    """Then so many are hit; None for all until the fault is cleared."""
    probability: float = 1.0
    answer_status: int | None = None
    """For actions on answers: only those with this status."""


@dataclass(frozen=True, slots=True)
class Fault:
    title: str
    action: Action
    match: Match = field(default_factory=Match)
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    """A JSON document, text, or None for none; a document with a `messageId` gets the next number."""
    retry_date_seconds: float | None = None
    """Adds a Retry-After header with the HTTP date so far ahead."""
    seconds: float = 0.0
    removed: tuple[str, ...] = ()
    """Dotted paths."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Dotted path to the key's new name."""
    edits: Mapping[str, Any] = field(default_factory=dict)
    """Dotted path to the new value."""
    settings: Mapping[str, Any] = field(default_factory=dict)


Faults = dict[str, Fault]


def _broker_error(status: int, kind: str, message: str) -> dict[str, Any]:
    error = {"source": "actions-broker-listener", "statusCode": status, "errorKind": kind, "errorMessage": message}
    return {"status": status, "body": error}


def _run_error(status: int, message: str) -> dict[str, Any]:
    return {"status": status, "body": {"source": "actions-run-service", "statusCode": status, "errorMessage": message}}


def _rest_error(status: int, message: str) -> dict[str, Any]:
    return {"status": status, "body": {"message": message, "status": str(status)}}


def _answer(title: str, endpoint: str, *, times: int | None = None, **answer: Any) -> Fault:
    return Fault(title, Action.ANSWER, Match(endpoint, times=times), **answer)


def _message(title: str, message_type: str, body: str) -> Fault:
    document = {"messageId": None, "messageType": message_type, "iv": None, "body": body}
    return _answer(title, "broker.poll", times=1, status=200, body=document)


_REFUSED: Mapping[int, str] = {401: "Bad credentials", 403: "Resource not accessible by integration", 404: "Not Found"}
_PRIMARY = {"x-ratelimit-remaining": "0", "x-ratelimit-resource": "core"}
_SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
_NOT_FOUND = {
    "error": "not_found",
    "error_description": "Registration 00000000-0000-0000-0000-000000000000 was not found.",
}
_SKEW = {
    "error": "invalid_client",
    "error_description": "The token is not yet valid. Current server time is 2026-01-01T00:00:00Z.",
}

_TOKENS: Faults = {
    **{
        f"token-{status}": _answer(f"no installation token: {text}", "rest.create_token", **_rest_error(status, text))
        for status, text in _REFUSED.items()
    },
    "token-503": _answer("no installation token: GitHub is down", "rest.create_token", status=503),
    "token-short": Fault(
        "installation tokens live a minute", Action.TUNE, settings={"installation_token_seconds": 60.0}
    ),
    "oauth-not-found": _answer(
        "a new registration is not known yet", "oauth.token", times=FIRST_FEW, status=400, body=_NOT_FOUND
    ),
    "oauth-invalid-client": _answer(
        "the registration is gone",
        "oauth.token",
        status=400,
        body={"error": "invalid_client", "error_description": "gone"},
    ),
    "oauth-clock-skew": _answer("the clocks differ", "oauth.token", times=FIRST_FEW, status=400, body=_SKEW),
    "oauth-without-expiry": Fault("no expires_in", Action.TUNE, settings={"omit_expires_in": True}),
    "oauth-503": _answer("no runner token: GitHub is down", "oauth.token", status=503),
}

_REGISTRATION: Faults = {
    "register-409": _answer(
        "the name is taken", "rest.generate_jitconfig", times=1, **_rest_error(409, "Already exists")
    ),
    "register-503": _answer("registration fails", "rest.generate_jitconfig", status=503),
    "register-lost": Fault(
        "the record is made, the reply is lost", Action.LOSE_ANSWER, Match("rest.generate_jitconfig", times=1)
    ),
    "register-corrupt-blob": Fault(
        "an unreadable JIT blob",
        Action.EDIT,
        Match("rest.generate_jitconfig", times=1),
        edits={"encoded_jit_config": "bm90IGpzb24="},
    ),
    "register-camel-blob": Fault("camel case and numbers in the blob", Action.TUNE, settings={"blob_style": "camel"}),
    "register-bom-blob": Fault("byte order marks in the blob", Action.TUNE, settings={"blob_bom": True}),
    "register-legacy-blob": Fault(
        "no ServerUrlV2 in the blob", Action.TUNE, settings={"blob_omit": ("ServerUrlV2", "UseV2Flow")}
    ),
    "delete-busy": _answer(
        "the record is still pinned",
        "rest.delete_runner",
        times=FIRST_FEW,
        **_rest_error(422, "Runner is currently running a job and cannot be deleted."),
    ),
}

_SESSIONS: Faults = {
    "session-409": _answer(
        "another session is active",
        "broker.create_session",
        times=FIRST_FEW,
        **_broker_error(409, "Conflict", "The actions runner already has an active session for owner someone-else."),
    ),
    "session-401": _answer("the session is refused", "broker.create_session", times=1, status=401),
    "session-403": _answer("the session is forbidden", "broker.create_session", times=1, status=403),
    "session-version": Fault(
        "the runner version is too old", Action.TUNE, settings={"minimum_runner_version": "999.0.0"}
    ),
    "session-slow": Fault("sessions take ten seconds", Action.DELAY, Match("broker.create_session"), seconds=10.0),
    "session-key": Fault(
        "a session with an encryption key and plain messages",
        Action.EDIT,
        Match("broker.create_session"),
        edits={"encryptionKey": {"encrypted": False, "value": "A" * 43 + "="}},
    ),
    "sessions-dropped": Fault("GitHub restarts: every session ends", Action.DROP_SESSIONS),
    "record-deleted": Fault("runner records go under live sessions", Action.DELETE_RUNNERS),
}

_POLLS: Faults = {
    "poll-black-hole": Fault("polls are accepted and never answered", Action.HANG, Match("broker.poll")),
    "poll-instant-202": _answer("polls return at once", "broker.poll", status=202),
    "poll-empty-200": _answer("the empty replies of a dead session", "broker.poll", times=FIRST_FEW, status=200),
    "poll-truncated": Fault("half a message", Action.TRUNCATE, Match("broker.poll", times=1, answer_status=200)),
    "poll-invalid-json": _answer("a message that is not JSON", "broker.poll", times=1, status=200, body="{not json"),
    "poll-lost": Fault(
        "the connection closes exactly while delivering",
        Action.LOSE_ANSWER,
        Match("broker.poll", times=1, answer_status=200),
    ),
    "poll-reset": Fault("polls are reset", Action.RESET, Match("broker.poll")),
    "poll-reset-mid-hold": Fault("polls are reset after ten seconds", Action.RESET, Match("broker.poll"), seconds=10.0),
    "poll-400": _answer("a bad request", "broker.poll", times=1, status=400),
    "poll-401": _answer("the token is refused", "broker.poll", times=1, status=401),
    "poll-403": _answer("the session is refused", "broker.poll", times=1, status=403),
    "poll-404": _answer("the session is not found", "broker.poll", times=1, status=404),
    "poll-410": _answer("the session has expired", "broker.poll", times=1, status=410),
    "poll-session-invalid": _answer(
        "the session is invalid",
        "broker.poll",
        times=1,
        **_broker_error(400, "RunnerSessionInvalid", "Session invalid."),
    ),
    "poll-runner-not-found": _answer(
        "the runner is gone", "broker.poll", times=1, **_broker_error(404, "RunnerNotFound", "Runner not found.")
    ),
    "poll-version": _answer(
        "the version is deprecated",
        "broker.poll",
        **_broker_error(403, "RunnerVersionTooOld", "Runner version is deprecated."),
    ),
    "poll-429": _answer("polls are throttled", "broker.poll", status=429),
    "poll-429-seconds": _answer(
        "polls are throttled for 30 s", "broker.poll", status=429, headers={"Retry-After": "30"}
    ),
    "poll-429-date": _answer("polls are throttled until a date", "broker.poll", status=429, retry_date_seconds=30.0),
    "poll-500": _answer("polls fail", "broker.poll", status=500),
    "poll-503": _answer("polls fail: GitHub is down", "broker.poll", status=503),
    "poll-unknown-message": _message("a message type from the future", "SomethingNew", "{}"),
    "poll-foreign-cancellation": _message(
        "a cancellation of somebody else's job",
        "JobCancellation",
        '{"jobId": "00000000-0000-0000-0000-000000000000", "timeout": "00:05:00"}',
    ),
    "poll-token-refresh": _message("GitHub asks for a new token", "ForceTokenRefresh", "{}"),
    "poll-runner-refresh": _message(
        "GitHub asks for an update", "RunnerRefresh", '{"target_version": "9.9.9", "os": "linux"}'
    ),
    "poll-body-object": _message("a message body that is not JSON in JSON", "RunnerJobRequest", "not json"),
    "delivery-duplicate": Fault("a message is delivered twice", Action.REPEAT, Match("broker.poll", times=1)),
    "delivery-fanout": Fault("each job is delivered to two sessions", Action.TUNE, settings={"fanout": 2}),
    "delivery-short-lease": Fault("an offer lasts 61 s", Action.TUNE, settings={"delivery_lease_seconds": 61.0}),
    "delivery-paced": Fault(
        "re-offers come once a second", Action.TUNE, settings={"reoffer_min_interval_seconds": 1.0}
    ),
}

_JOBS: Faults = {
    **{
        f"acquire-{status}": _answer(
            f"the claim is refused: {text}", "run.acquire", times=1, **_run_error(status, text)
        )
        for status, text in {
            401: "Not authorized",
            404: "The job was canceled",
            409: "job assignment is invalid: MissingKey",
            422: "Unprocessable",
            500: "Internal error",
        }.items()
    },
    "acquire-hang": Fault("a claim that is never answered nor made", Action.HANG, Match("run.acquire", times=1)),
    "acquire-lost": Fault("a claim that is made and never answered", Action.HANG_ANSWER, Match("run.acquire", times=1)),
    "acquire-without-connection": Fault(
        "no SystemVssConnection", Action.EDIT, Match("run.acquire", times=1), edits={"resources.endpoints": []}
    ),
    "acquire-other-plan": Fault(
        "x-plan-id differs from the body and is right",
        Action.EDIT,
        Match("run.acquire", times=1),
        edits={"plan.planId": "00000000-0000-4000-8000-000000000000"},
    ),
    "acquire-token-case": Fault(
        "the job token's key in lower case",
        Action.EDIT,
        Match("run.acquire", times=1),
        renamed={"resources.endpoints.0.authorization.parameters.AccessToken": "accesstoken"},
    ),
    "acquire-huge": Fault("a payload of a megabyte", Action.TUNE, settings={"payload_padding_bytes": 1_000_000}),
    **{
        f"renew-{status}": _answer(f"renewals answer {status}", "run.renew", **_run_error(status, "refused by a fault"))
        for status in (401, 404, 410, 429, 500)
    },
    "renew-hang": Fault("renewals are never answered", Action.HANG, Match("run.renew")),
    "renew-slow": Fault("renewals take 61 s", Action.DELAY, Match("run.renew"), seconds=61.0),
    "lock-short": Fault("locks last 30 s", Action.TUNE, settings={"lock_seconds": 30.0}),
    **{
        f"complete-{status}": _answer(
            f"completions answer {status}", "run.complete", times=FIRST_FEW, **_run_error(status, "refused by a fault")
        )
        for status in (401, 404, 500)
    },
    "complete-lost": Fault(
        "the completion counts, its reply is lost", Action.LOSE_ANSWER, Match("run.complete", times=1)
    ),
}

_REST: Faults = {
    "rest-primary-limit": _answer(
        "the hour's budget is used up", "rest.*", **_rest_error(403, "API rate limit exceeded"), headers=_PRIMARY
    ),
    "rest-secondary-403": _answer(
        "a secondary limit", "rest.*", **_rest_error(403, _SECONDARY), headers={"Retry-After": "60"}
    ),
    "rest-secondary-429": _answer("a secondary limit", "rest.*", **_rest_error(429, _SECONDARY)),
    "rest-503": _answer("the REST API is down", "rest.*", status=503),
    "rerun-already-running": _answer(
        "the run is not concluded yet",
        "rest.rerun*",
        times=FIRST_FEW,
        **_rest_error(403, "This workflow is already running"),
    ),
    "rerun-refused": _answer(
        "the run is too old", "rest.rerun*", **_rest_error(403, "This workflow run cannot be retried")
    ),
    "cancel-409": _answer(
        "the run cannot be cancelled", "rest.*cancel", **_rest_error(409, "Cannot cancel a workflow run")
    ),
    "meta-empty": _answer("meta without ranges", "rest.meta", status=200, body={}),
    "broker-outage": Fault("the broker does not answer", Action.RESET, Match("broker.*")),
    "run-outage": Fault("the run service does not answer", Action.RESET, Match("run.*")),
    "github-outage": Fault("nothing of GitHub answers", Action.RESET),
}

PRESETS: Mapping[str, Fault] = {**_TOKENS, **_REGISTRATION, **_SESSIONS, **_POLLS, **_JOBS, **_REST}
"""The catalogue: name to fault."""
