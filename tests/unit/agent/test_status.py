"""The status of a RunnerGroup."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actions_gateway.agent.runnergroups.status import GroupFacts, decide_ready, decide_status
from actions_gateway.agent.tokens.verdict import AVAILABLE, UNKNOWN, Verdict
from actions_gateway.api.conditions import ConditionStatus, Reason

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
FACTS = GroupFacts(
    is_suspended=False,
    spec_problem="",
    active_sessions=1,
    busy_sessions=0,
    active_jobs=0,
    pending_jobs=0,
    session_problem="",
    verdict=AVAILABLE,
    credential={"appId": "12"},
)
REJECTED = Verdict(Reason.KEY_REJECTED, "GitHub does not accept the key privateKey.")


@pytest.mark.parametrize(
    ("changes", "status", "reason", "said"),
    [
        ({}, ConditionStatus.TRUE, Reason.LISTENER_ACTIVE, "open"),
        ({"active_sessions": 0, "busy_sessions": 1}, ConditionStatus.TRUE, Reason.LISTENER_ACTIVE, "open"),
        ({"active_sessions": 0}, ConditionStatus.FALSE, Reason.NO_ACTIVE_SESSIONS, "being opened"),
        (
            {"active_sessions": 0, "session_problem": "GitHub is down."},
            ConditionStatus.FALSE,
            Reason.NO_ACTIVE_SESSIONS,
            "GitHub is down.",
        ),
        ({"active_sessions": 0, "verdict": REJECTED}, ConditionStatus.FALSE, Reason.NO_ACTIVE_SESSIONS, "privateKey"),
        ({"is_suspended": True}, ConditionStatus.FALSE, Reason.SUSPENDED, "suspended"),
        ({"spec_problem": "spec.maxListeners: no"}, ConditionStatus.FALSE, Reason.INVALID_SPEC, "maxListeners"),
    ],
)
def test_ready_says_whether_the_group_takes_jobs_and_why_not(
    changes: dict[str, Any], status: ConditionStatus, reason: Reason, said: str
) -> None:
    condition = decide_ready(replace(FACTS, **changes))
    assert (condition.status, condition.reason) == (status, reason)
    assert said in condition.message


def group(status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "ci-cpu", "generation": 3}, "status": status or {}}


def test_a_first_status_says_everything() -> None:
    patch = decide_status(group(), FACTS, now=NOW)
    assert patch is not None
    status = patch["status"]
    assert {entry["type"]: entry["status"] for entry in status["conditions"]} == {
        "Ready": "True",
        "CredentialUnavailable": "False",
    }
    assert status["observedGeneration"] == 3
    assert status["activeSessions"] == 1
    assert status["credential"] == {"appId": "12"}


def test_an_unchanged_status_is_not_written_again() -> None:
    patch = decide_status(group(), FACTS, now=NOW)
    assert patch is not None
    assert decide_status(group(patch["status"]), FACTS, now=NOW + timedelta(hours=1)) is None


def test_only_what_changed_is_written() -> None:
    patch = decide_status(group(), FACTS, now=NOW)
    assert patch is not None
    changed = decide_status(group(patch["status"]), replace(FACTS, active_jobs=2), now=NOW)
    assert changed == {"status": {"activeJobs": 2}}


def test_a_condition_s_time_moves_with_its_status_only() -> None:
    first = decide_status(group(), replace(FACTS, verdict=UNKNOWN), now=NOW)
    assert first is not None
    later = NOW + timedelta(minutes=5)
    second = decide_status(group(first["status"]), FACTS, now=later)
    assert second is not None
    times = {entry["type"]: entry["lastTransitionTime"] for entry in second["status"]["conditions"]}
    assert times == {"Ready": "2026-01-05T09:00:00Z", "CredentialUnavailable": "2026-01-05T09:05:00Z"}


def test_conditions_of_others_stay() -> None:
    foreign = {"type": "Foreign", "status": "True"}
    patch = decide_status(group({"conditions": [foreign]}), FACTS, now=NOW)
    assert patch is not None
    assert foreign in patch["status"]["conditions"]
