"""Whatever GitHub sends, the agent has a value or a refusal of its own, never a crash and never a long wait."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions_gateway.api.names import worker_pod_name
from actions_gateway.github.answers import Answer
from actions_gateway.github.contextdata import decode_context
from actions_gateway.github.decoding import Fields
from actions_gateway.github.errors import GitHubError, MalformedAnswer
from actions_gateway.github.messages import (
    ForceTokenRefresh,
    Ignored,
    JobCancellation,
    JobRequest,
    Message,
    parse_message,
)
from actions_gateway.github.payload import RunIdentity, run_identity
from actions_gateway.github.runservice import AcquiredJob, parse_job
from actions_gateway.github.unsupported import unsupported_of
from support.clock import START
from support.fuzz import JSON, mutated, nested

BODY = {
    "id": "x",
    "runner_request_id": "r-1",
    "should_acknowledge": True,
    "run_service_url": "https://run.example.test/38/",
    "billing_owner_id": "U_1",
    "jobId": "j-1",
    "timeout": "00:05:00",
}
KINDS = ("RunnerJobRequest", "JobCancellation", "ForceTokenRefresh", "HostedRunnerShutdown", "AgentRefresh")
ENVELOPE = {"messageId": 5714371765723164553, "messageType": "RunnerJobRequest", "iv": None, "body": json.dumps(BODY)}

GITHUB = {
    "t": 2,
    "d": [
        {"k": "repository", "v": "octo/demo"},
        {"k": "run_id", "v": "17"},
        {"k": "run_attempt", "v": {"t": 0, "s": "1"}},
        {"k": "event", "v": {"t": 2, "d": [{"k": "inputs", "v": {"t": 1, "a": [{"t": 3, "b": True}]}}]}},
    ],
}
IMAGE = {"Key": {"type": 0, "lit": "image"}, "Value": {"type": 3, "expr": "matrix.image"}}
PAYLOAD: dict[str, Any] = {
    "messageType": "RunnerJobRequest",
    "plan": {"planId": "plan-1"},
    "jobId": "job-1",
    "jobDisplayName": "build",
    "requestId": 0,
    "resources": {
        "endpoints": [
            {"name": "Other"},
            {"name": "SystemVssConnection", "authorization": {"parameters": {"AccessToken": "job.token"}}},
        ]
    },
    "variables": {"system.github.run_id": {"value": "17"}, "system.github.job": "build"},
    "contextData": {
        "github": GITHUB,
        "job": {"t": 2, "d": [{"k": "check_run_id", "v": {"t": 4, "n": 4711}}]},
        "matrix": {"t": 2, "d": [{"k": "image", "v": "alpine"}]},
    },
    "jobContainer": {"type": 2, "map": [IMAGE, {"Key": "options", "Value": "--cpus 1"}]},
    "jobServiceContainers": {"type": 2, "map": [{"Key": "db", "Value": {"type": 2, "map": [IMAGE]}}]},
    "steps": [],
}
REQUEST = JobRequest("r-1", "https://run.example.test/38/")


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def answered(content: bytes) -> None:
    """Parsed as a poll's answer: one of the messages, with sane members, or one of GitHub's errors."""
    message: Message | GitHubError
    try:
        message = parse_message(Answer(200, {}, content, START))
    except GitHubError as problem:
        message = problem
    if isinstance(message, GitHubError):
        assert 0 < len(str(message)) < 1000, "an error's text is for people, not the document"
        return
    assert isinstance(message, JobRequest | JobCancellation | ForceTokenRefresh | Ignored)
    if isinstance(message, JobRequest):
        assert message.request_id
        assert message.run_service_url.startswith("https://")
    if isinstance(message, JobCancellation):
        assert 60 <= message.timeout_seconds <= 86400


@given(st.binary(max_size=200) | JSON.map(dumped))
def test_any_answer_to_a_poll_is_a_message_or_an_error(content: bytes) -> None:
    answered(content)


@given(mutated(ENVELOPE))
def test_a_broken_envelope_is_a_message_or_an_error(envelope: Any) -> None:
    answered(dumped(envelope))


@given(st.sampled_from(KINDS), mutated(BODY), st.booleans())
def test_a_broken_body_is_a_message_or_an_error(kind: str, body: Any, as_object: bool) -> None:
    answered(dumped({**ENVELOPE, "messageType": kind, "body": body if as_object else json.dumps(body)}))


@given(st.integers(0, 400))
def test_an_answer_that_is_cut_off_is_an_error(length: int) -> None:
    content = dumped(ENVELOPE)
    with pytest.raises(GitHubError):
        parse_message(Answer(200, {}, content[: min(length, len(content) - 1)], START))


# -- payloads ----------------------------------------------------------------------------------------------------------


def acquired(content: bytes) -> None:
    job: AcquiredJob | MalformedAnswer
    try:
        job = parse_job(content, REQUEST, plan_id="")
    except MalformedAnswer as problem:
        job = problem
    if isinstance(job, MalformedAnswer):
        assert 0 < len(str(job)) < 1000
        assert "job.token" not in str(job)
        return
    assert worker_pod_name("ci-cpu", job.plan_id)
    for text in (job.plan_id, job.job_id, job.identity.job_name):
        assert len(text.encode()) < 10_000, "it becomes a key of a Secret, a name or an annotation"
    checked(job.identity)
    assert isinstance(job.unsupported, str)


def checked(identity: RunIdentity) -> None:
    """What becomes part of a path is safe to be, and numbers are numbers of GitHub."""
    assert identity.repository is None or identity.repository.count("/") == 1
    for number in (identity.run_id, identity.run_attempt, identity.check_run_id):
        assert number is None or 0 <= number < 10**19
    assert isinstance(identity.job_name, str)


@given(st.binary(max_size=200) | JSON.map(dumped))
def test_any_payload_is_a_job_or_an_error(content: bytes) -> None:
    acquired(content)


@given(mutated(PAYLOAD))
def test_a_broken_payload_is_a_job_or_an_error(payload: Any) -> None:
    acquired(dumped(payload))


@pytest.mark.parametrize("name", ["\ud800", "x" * 300_000])
def test_a_name_that_no_annotation_takes_is_made_one_that_it_takes(name: str) -> None:
    acquired(dumped({**PAYLOAD, "plan": {"planId": name[:100]}, "jobId": name[:100], "jobDisplayName": name}))


@pytest.mark.parametrize("depth", [100, 300, 900, 2000])
def test_a_deep_payload_is_a_job_or_an_error(depth: int) -> None:
    payload = {**PAYLOAD, "contextData": {"github": "deep", "matrix": "deep"}, "jobContainer": "deep"}
    acquired(dumped(payload).replace(b'"deep"', nested(depth)))


def test_a_payload_that_is_nested_without_end_is_an_error() -> None:
    acquired(b'{"plan":' * 100_000)
    acquired(b"[" * 1_000_000)
    acquired(b'{"contextData":{"github":' + b'{"t":1,"a":[' * 50_000)


@given(JSON)
def test_any_context_decodes_to_something(value: Any) -> None:
    decode_context(value)


@given(st.dictionaries(st.sampled_from(list(PAYLOAD)), JSON, max_size=4))
def test_identity_and_refusal_are_told_of_anything(members: dict[str, Any]) -> None:
    checked(run_identity(Fields(members)))
    assert isinstance(unsupported_of(Fields(members)), str)
