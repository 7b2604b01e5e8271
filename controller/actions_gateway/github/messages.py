"""What a poll can bring, decoded from the broker's message.

Source: actions/runner `src/Runner.Listener/BrokerMessageListener.cs`, `RunnerJobRequestRef.cs` and
`src/Sdk/DTWebApi/WebApi/JobCancelMessage.cs`. The body is a JSON string that holds a document; message types compare
without case; what only a self-updating or hosted runner understands is reported as `Ignored`.
"""

from dataclasses import dataclass
from typing import TypeAlias

from actions_gateway.github.answers import Answer
from actions_gateway.github.decoding import Fields, parse_object, parse_time_span
from actions_gateway.github.errors import EmptyAnswer, MalformedAnswer, SessionExpired
from actions_gateway.github.redaction import redact
from actions_gateway.github.urls import secure_url

_LEAST_CANCEL_SECONDS = 60.0
_DEFAULT_CANCEL_SECONDS = 300.0
_MOST_CANCEL_SECONDS = 86400.0
"""Beyond any job's own limit; a time span can name centuries."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job is offered; nothing is known about it until it is acquired."""

    request_id: str
    """Identifies this delivery; a re-offer repeats it under a fresh message id."""
    run_service_url: str
    """Belongs to this delivery alone."""
    billing_owner_id: str | None = None
    should_acknowledge: bool = False
    message_id: int = 0


@dataclass(frozen=True, slots=True)
class JobCancellation:
    """A person or GitHub cancels a job; it may be another runner's."""

    job_id: str
    """The `jobId` of the job's payload, which need not be the request id."""
    timeout_seconds: float
    """How long the worker has to end by itself; at least 60, as the runner enforces."""


@dataclass(frozen=True, slots=True)
class ForceTokenRefresh:
    """The runner token is to be fetched anew."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that asks nothing of a gateway: log it and poll on."""

    type: str
    detail: str = ""
    """Redacted."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The poll's read deadline passed without an answer: as harmless as no message, but no sign of life either."""


Message: TypeAlias = JobRequest | JobCancellation | ForceTokenRefresh | Ignored | Unanswered


def parse_message(answer: Answer) -> Message:
    """The message in a poll's 200; raises EmptyAnswer or MalformedAnswer."""
    envelope = answer.fields()
    kind = envelope.text("messageType")
    match kind.lower():
        case "runnerjobrequest":
            return _job_request(_body(envelope), envelope.number("messageId") or 0)
        case "jobcancellation":
            body = _body(envelope)
            timeout_seconds = parse_time_span(body.text("timeout")) or _DEFAULT_CANCEL_SECONDS
            timeout_seconds = min(max(timeout_seconds, _LEAST_CANCEL_SECONDS), _MOST_CANCEL_SECONDS)
            return JobCancellation(body.text("jobId"), timeout_seconds)
        case "forcetokenrefresh":
            return ForceTokenRefresh()
        case "hostedrunnershutdown":
            raise SessionExpired("the broker ended the session: HostedRunnerShutdown")
        case _:
            return Ignored(redact(kind, 64), redact(envelope.text("body"), 200))


def _job_request(body: Fields, message_id: int) -> JobRequest | Ignored:
    request_id, url = body.text("runner_request_id"), body.text("run_service_url")
    if not url:
        return Ignored("RunnerJobRequest", "it names no run service: a job of the legacy service")
    if not request_id:
        raise MalformedAnswer("the job request has no runner_request_id")
    problem = ""
    try:
        secure_url(url, "its run service URL")
    except ValueError as failure:
        problem = str(failure)
    if problem:
        raise MalformedAnswer(f"the job request is unusable: {problem}")
    return JobRequest(
        request_id=request_id,
        run_service_url=url,
        billing_owner_id=body.text("billing_owner_id") or None,
        should_acknowledge=body.flag("should_acknowledge"),
        message_id=message_id,
    )


def _body(envelope: Fields) -> Fields:
    """The inner document, a JSON string; one that is an object already is taken as it is."""
    body = envelope.raw("body")
    if isinstance(body, dict):
        return Fields(body)
    if not isinstance(body, str) or envelope.text("iv"):
        raise MalformedAnswer("the message's body is not plain text")
    try:
        return parse_object(body)
    except EmptyAnswer:
        pass
    # The message itself is complete, which says nothing against the session.
    raise MalformedAnswer("the message's body is empty or cut off")
