"""Exit codes, the termination message and what it must not tell."""

import json
import os
import signal
from pathlib import Path

import pytest

from actions_gateway.worker.outcome import Outcome, from_status, not_started, write_termination_message
from actions_gateway.worker.redaction import redact

EXITS = [
    (100, 0, "succeeded"),
    (101, 0, "succeededWithIssues"),
    (102, 102, "failed"),
    (103, 103, "canceled"),
    (104, 104, "skipped"),
    (105, 105, "abandoned"),
    (106, 106, None),
    (0, 1, None),
    (1, 1, None),
    (99, 99, None),
]


@pytest.mark.parametrize(("code", "exit_code", "result"), EXITS)
def test_an_exit_code_is_mapped(code: int, exit_code: int, result: str | None) -> None:
    outcome = from_status(code << 8, reason="", tail="")
    assert (outcome.exit_code, outcome.worker_code, outcome.result) == (exit_code, code, result)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_a_signal_gives_128_plus_its_number(number: signal.Signals) -> None:
    assert os.WIFSIGNALED(int(number))
    outcome = from_status(int(number), reason="", tail="the end\n")
    assert (outcome.exit_code, outcome.result) == (128 + number, None)
    assert outcome.reason == f"Runner.Worker died (killed by signal {int(number)}); its last output:\nthe end"


def test_a_result_needs_no_reason_and_shows_no_output() -> None:
    assert from_status(102 << 8, reason="", tail="noise").reason == ""


def message_of(path: Path, outcome: Outcome) -> dict[str, object]:
    write_termination_message(str(path), outcome)
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def test_the_message_is_short_json(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    assert message_of(path, from_status(100 << 8, reason="", tail="")) == {
        "exit_code": 100,
        "result": "succeeded",
        "reason": None,
    }
    assert message_of(path, not_started("no payload")) == {"exit_code": None, "result": None, "reason": "no payload"}


def test_a_long_reason_keeps_its_beginning_and_its_end_within_kubernetes_limit(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    message = message_of(path, from_status(1 << 8, reason="first", tail="\x1b[31m😀" * 4000 + "last"))
    assert path.stat().st_size < 4096
    assert str(message["reason"]).startswith("first")
    assert str(message["reason"]).endswith("last")


def test_a_message_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    write_termination_message(str(tmp_path / "no" / "folder"), not_started("x"))
    write_termination_message("", not_started("x"))


JOB = {
    "Resources": {
        "Endpoints": [{"Name": "SystemVssConnection", "Authorization": {"Parameters": {"accesstoken": "job-token"}}}]
    },
    "variables": {"a": {"value": "line one\nline two", "isSecret": True}, "b": {"value": "public"}},
    "mask": [{"type": "regex", "value": "card-[0-9]+"}, {"type": "regex", "value": "(?<broken"}],
}


@pytest.mark.parametrize(
    "secret",
    [
        "job-token",
        "line one\nline two",
        "line two",
        "card-1234",
        "ghs_abcdefghijklmnopqrstuv",
        "github_pat_abcdefghijklmnopqrst",
        "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
        "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----",
    ],
)
def test_secrets_are_taken_out(secret: str) -> None:
    text = redact(f"before {secret} after public", json.dumps(JOB))
    assert secret not in text
    assert text.startswith("before ")
    assert text.endswith(" after public")


@pytest.mark.parametrize("job", ["", "[]", "{broken", '{"resources": 3}', '{"variables": {"a": 1}}', "null"])
def test_a_job_message_of_any_shape_is_no_obstacle(job: str) -> None:
    assert redact("Authorization: Bearer abcdefghijkl", job) == "Authorization: ***"
