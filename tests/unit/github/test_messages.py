"""What a poll's 200 can hold."""

import json
from typing import Any

import pytest

from actions_gateway.github.answers import Answer
from actions_gateway.github.errors import EmptyAnswer, MalformedAnswer, SessionExpired
from actions_gateway.github.messages import (
    ForceTokenRefresh,
    Ignored,
    JobCancellation,
    JobRequest,
    Message,
    parse_message,
)
from support.clock import START

MESSAGE_ID = 5714371765723164553


def parsed(content: bytes) -> Message:
    return parse_message(Answer(200, {}, content, START))


REQUEST = {
    "id": "x",
    "runner_request_id": "8e3faf38-534e-5b05-9cf9-da9360891e1f",
    "should_acknowledge": True,
    "run_service_url": "https://run.example.test/38/",
    "billing_owner_id": "U_kgDOADy-uA",
}


def message(kind: str, body: Any = None, **more: Any) -> bytes:
    text = body if isinstance(body, str | None) else json.dumps(body)
    return json.dumps({"messageId": MESSAGE_ID, "messageType": kind, "iv": None, "body": text} | more).encode()


def test_a_job_request_is_parsed_twice() -> None:
    assert parsed(message("RunnerJobRequest", REQUEST)) == JobRequest(
        request_id="8e3faf38-534e-5b05-9cf9-da9360891e1f",
        run_service_url="https://run.example.test/38/",
        billing_owner_id="U_kgDOADy-uA",
        should_acknowledge=True,
        message_id=MESSAGE_ID,
    )


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in REQUEST.items() if name not in names}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            message("runnerjobrequest", without("should_acknowledge", "billing_owner_id")),
            JobRequest("8e3faf38-534e-5b05-9cf9-da9360891e1f", "https://run.example.test/38/", None, False, MESSAGE_ID),
        ),
        (
            json.dumps({"MessageId": str(MESSAGE_ID), "MessageType": "RunnerJobRequest", "Body": REQUEST}).encode(),
            JobRequest(
                "8e3faf38-534e-5b05-9cf9-da9360891e1f",
                "https://run.example.test/38/",
                "U_kgDOADy-uA",
                True,
                MESSAGE_ID,
            ),
        ),
        (
            message("RunnerJobRequest", without("run_service_url")),
            Ignored("RunnerJobRequest", "it names no run service: a job of the legacy service"),
        ),
        (message("JobCancellation", {"jobId": "j", "timeout": "00:05:00"}), JobCancellation("j", 300.0)),
        (message("JOBCANCELLATION", {"JobId": "j", "Timeout": "00:00:10"}), JobCancellation("j", 60.0)),
        (
            message("JobCancellation", {"jobId": "j", "timeout": "9999999999.00:00:00"}),
            JobCancellation("j", 86400.0),
        ),
        (message("JobCancellation", {"jobId": "j"}), JobCancellation("j", 300.0)),
        (message("ForceTokenRefresh"), ForceTokenRefresh()),
        (message("RunnerRefresh", {"target_version": "3"}), Ignored("RunnerRefresh", '{"target_version": "3"}')),
        (message("AgentRefresh", "not even JSON"), Ignored("AgentRefresh", "not even JSON")),
        (message("BrokerMigration", {"brokerBaseUrl": "x"}), Ignored("BrokerMigration", '{"brokerBaseUrl": "x"}')),
        (message("PipelineAgentJobRequest", {}), Ignored("PipelineAgentJobRequest", "{}")),
        (message("SomethingNew"), Ignored("SomethingNew", "")),
        (b"{}", Ignored("", "")),
    ],
    ids=[
        "type in another case, optional fields absent",
        "body that is an object, names in another case",
        "job of the legacy service",
        "cancellation",
        "cancellation with too short a timeout",
        "cancellation with a timeout of centuries",
        "cancellation without a timeout",
        "token refresh",
        "update wanted",
        "unreadable body of a type that asks nothing",
        "migration",
        "inline job",
        "unknown type",
        "no type",
    ],
)
def test_each_type_has_its_meaning(content: bytes, expected: Message) -> None:
    assert parsed(content) == expected


@pytest.mark.parametrize(
    "content",
    [
        message("RunnerJobRequest", "AAECAw=="),
        message("RunnerJobRequest", REQUEST, iv="AAECAw=="),
        message("RunnerJobRequest", without("runner_request_id")),
        message("RunnerJobRequest", REQUEST | {"run_service_url": "http://run.example.test/"}),
        message("RunnerJobRequest", None),
        message("RunnerJobRequest", ""),
        message("RunnerJobRequest", '{"runner_request_id": "x'),
        b"[]",
    ],
    ids=[
        "no JSON inside",
        "encrypted",
        "no request id",
        "a URL in the clear",
        "no body",
        "an empty body",
        "half a body",
        "no object",
    ],
)
def test_a_job_request_that_cannot_be_used_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedAnswer) as caught:
        parsed(content)
    assert not isinstance(caught.value, EmptyAnswer)


@pytest.mark.parametrize("content", [b"", b"null", b'{"messageId": 5'])
def test_nothing_and_half_a_message_are_signs_of_a_dead_session(content: bytes) -> None:
    with pytest.raises(EmptyAnswer):
        parsed(content)


def test_a_shutdown_of_the_host_ends_the_session() -> None:
    with pytest.raises(SessionExpired):
        parsed(message("HostedRunnerShutdown", {"reason": "x"}))


def test_an_ignored_message_is_shown_redacted() -> None:
    shown = parsed(message("RunnerRefreshConfig", {"token": "planted"}))
    assert isinstance(shown, Ignored)
    assert "planted" not in repr(shown)
