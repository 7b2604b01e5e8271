"""What is done with a job slot that an earlier agent left."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.agent.adoption.fates import Fate, decide_fate, decoded
from actions_gateway.agent.jobs.outcome import PodView
from actions_gateway.agent.jobs.slots import ResumeState
from actions_gateway.api import labels
from actions_gateway.github.secrets import Secret

STATE = ResumeState(
    request_id="job-a",
    run_service_url="https://run.example/1",
    billing_owner_id="owner",
    runner_id=7,
    runner_name="ci-cpu-1",
    group="ci-cpu",
    group_uid="uid-group",
    jit_config=Secret("the blob"),
    delivered_at=datetime(2026, 1, 5, 9, 0, tzinfo=UTC),
    agent="agent-1",
)
POD = PodView("p", "uid-pod", "ci-cpu", slot_uid="u")
OTHER = PodView("p", "uid-pod", "ci-cpu", slot_uid="another slot's")


def secret(request: str | None = None, **keys: bytes) -> dict[str, Any]:
    annotations = {labels.WORKER_REQUEST: request} if request else {}
    metadata = {"name": "job-0003", "uid": "u", "creationTimestamp": "2026-01-05T09:00:01Z"}
    data = {key.replace("_", "-"): base64.b64encode(value).decode() for key, value in keys.items()}
    return {"metadata": metadata | {"annotations": annotations}, "data": data}


def test_a_state_survives_its_text() -> None:
    assert ResumeState.parse(STATE.render()) == STATE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        STATE.render().replace(b'"version":1', b'"version":2'),
        STATE.render().replace(b"https:", b"http:"),
        STATE.render().replace(b"+00:00", b""),
        STATE.render().replace(b'"id":7', b'"id":"seven"'),
    ],
)
def test_a_state_of_another_making_is_none_and_shows_nothing_of_itself(content: bytes) -> None:
    with pytest.raises(ValueError) as problem:
        ResumeState.parse(content)
    assert str(problem.value) == "the slot's state cannot be read"
    assert problem.value.__context__ is None
    assert decide_fate(decoded(3, secret(state=content)), POD) is Fate.UNREADABLE


FATES = [
    (secret(state=STATE.render()), None, Fate.CLAIM),
    (secret(labels.WORKER_REFUSED, state=STATE.render(), payload=b"{}"), None, Fate.START),
    (secret(labels.WORKER_REQUESTED, state=STATE.render(), payload=b"{}"), None, Fate.VANISHED),
    (secret(state=STATE.render(), payload=b"{}"), None, Fate.VANISHED),
    (secret(labels.WORKER_REQUESTED, state=STATE.render(), payload=b"{}"), POD, Fate.FOLLOW),
    (secret(labels.WORKER_REFUSED, state=STATE.render(), payload=b"{}"), POD, Fate.FOLLOW),
    (secret(labels.WORKER_REQUESTED, state=STATE.render(), payload=b"{}"), OTHER, Fate.DUPLICATE),
    (secret(labels.WORKER_DUPLICATE, state=STATE.render(), payload=b"{}"), None, Fate.DUPLICATE),
]


@pytest.mark.parametrize(("manifest", "pod", "fate"), FATES)
def test_secret_and_pod_together_say_how_far_a_job_had_got(
    manifest: dict[str, Any], pod: PodView | None, fate: Fate
) -> None:
    found = decoded(3, manifest)
    assert found.state == STATE
    assert decide_fate(found, pod) is fate


def test_what_is_no_base64_is_not_there() -> None:
    manifest = secret(state=STATE.render())
    manifest["data"]["payload"] = "%%%"
    assert decoded(3, manifest).payload == b""
