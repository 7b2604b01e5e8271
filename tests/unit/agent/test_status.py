"""The status of a RunnerGroup."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actions_gateway.agent.runnergroups.status import (
    GroupFacts,
    decide_degraded,
    decide_rate_limited,
    decide_ready,
    decide_status,
    decide_version,
)
from actions_gateway.agent.runnergroups.waits import Wait
from actions_gateway.agent.tokens.verdict import AVAILABLE, UNKNOWN, Verdict
from actions_gateway.api.conditions import ConditionStatus, Reason
from actions_gateway.api.runnergroup import GroupWait, RunnerGroupStatus
from actions_gateway.api.waits import WaitReason

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
FACTS = GroupFacts(
    is_suspended=False,
    spec_problem="",
    active_sessions=1,
    busy_sessions=0,
    active_jobs=0,
    pending_jobs=0,
    registrations=1,
    is_rate_limited=False,
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
        (
            {"active_sessions": 2, "silence": "GitHub gives no answer: refused."},
            ConditionStatus.FALSE,
            Reason.NO_ACTIVE_SESSIONS,
            "No open session hears of jobs: GitHub gives no answer: refused.",
        ),
        (
            {"active_sessions": 2, "busy_sessions": 1, "silence": "GitHub gives no answer: refused."},
            ConditionStatus.TRUE,
            Reason.LISTENER_ACTIVE,
            "open",
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


WAIT = Wait(WaitReason.CEILING, 2, NOW, "3", "3 jobs of this group run.")


def test_what_waits_is_listed_and_goes_when_nothing_waits() -> None:
    status = written(group(), replace(FACTS, waits=(WAIT,)))
    entry = {"reason": "ceiling", "jobs": 2, "since": "2026-01-05T09:00:00Z", "message": "3 jobs of this group run."}
    assert status["waiting"] == [entry]
    assert RunnerGroupStatus.model_validate(status).waiting == [GroupWait.model_validate(entry)]
    patch = decide_status(group(status), FACTS, now=NOW)
    assert patch == {"status": {"waiting": None}}


def written(manifest: dict[str, Any], facts: GroupFacts) -> dict[str, Any]:
    patch = decide_status(manifest, facts, now=NOW)
    assert patch is not None
    return dict(patch["status"])


def test_a_first_status_says_everything() -> None:
    patch = decide_status(group(), FACTS, now=NOW)
    assert patch is not None
    status = patch["status"]
    assert {entry["type"]: entry["status"] for entry in status["conditions"]} == {
        "Ready": "True",
        "CredentialUnavailable": "False",
        "Degraded": "False",
        "RateLimited": "False",
        "RunnerVersionTooOld": "False",
    }
    assert status["observedGeneration"] == 3
    assert status["activeSessions"] == status["registrations"] == 1
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


def test_a_count_of_runners_that_is_no_more_known_is_taken_back() -> None:
    patch = decide_status(group(), FACTS, now=NOW)
    assert patch is not None
    changed = decide_status(group(patch["status"]), replace(FACTS, registrations=None), now=NOW)
    assert changed == {"status": {"registrations": None}}


def test_a_condition_s_time_moves_with_its_status_only() -> None:
    first = decide_status(group(), replace(FACTS, verdict=UNKNOWN), now=NOW)
    assert first is not None
    later = NOW + timedelta(minutes=5)
    second = decide_status(group(first["status"]), FACTS, now=later)
    assert second is not None
    times = {entry["type"]: entry["lastTransitionTime"] for entry in second["status"]["conditions"]}
    assert times == {
        "Ready": "2026-01-05T09:00:00Z",
        "CredentialUnavailable": "2026-01-05T09:05:00Z",
        "Degraded": "2026-01-05T09:00:00Z",
        "RateLimited": "2026-01-05T09:00:00Z",
        "RunnerVersionTooOld": "2026-01-05T09:00:00Z",
    }


def test_pods_that_are_not_admitted_degrade_the_group_in_the_servers_words() -> None:
    facts = replace(FACTS, refusals=("exceeded quota: q, requested: pods=1", "exceeded quota: q, requested: pods=1"))
    condition = decide_degraded(facts)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.WORKERS_REFUSED)
    assert "not admitted: 2; the API server says: exceeded quota: q" in condition.message
    assert decide_degraded(FACTS).status is ConditionStatus.FALSE


def test_a_quota_that_keeps_the_group_from_claiming_degrades_it_unless_a_claimed_job_waits_already() -> None:
    facts = replace(FACTS, quota_problem="the quota team has no room: pods needs 1, used 5 of 5")
    condition = decide_degraded(facts)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.WORKERS_REFUSED)
    assert condition.message == "No job is claimed: the quota team has no room: pods needs 1, used 5 of 5."
    assert decide_degraded(replace(facts, refusals=("no",))).message.startswith("Claimed jobs")


def test_a_limit_that_lasts_is_told_and_a_short_one_is_not() -> None:
    short, lasting = decide_rate_limited(FACTS), decide_rate_limited(replace(FACTS, is_rate_limited=True))
    assert (short.status, short.reason) == (ConditionStatus.FALSE, Reason.WITHIN_RATE_LIMIT)
    assert (lasting.status, lasting.reason) == (ConditionStatus.TRUE, Reason.SUSTAINED_RATE_LIMIT)
    assert "for 10 minutes" in lasting.message


@pytest.mark.parametrize("reason", [Reason.SECRET_EDITED, Reason.EDITED_SECRET_UNUSABLE])
def test_an_edited_secret_is_not_why_no_session_is_open(reason: Reason) -> None:
    facts = replace(FACTS, active_sessions=0, session_problem="GitHub is down.", verdict=Verdict(reason, "Edited."))
    assert "GitHub is down" in decide_ready(facts).message


def test_what_is_no_longer_known_of_the_credential_is_taken_back() -> None:
    told = {"appId": "12", "tokenExpiresAt": "2026-01-05T10:00:00Z", "permissions": {"actions": "write", "old": "read"}}
    before = decide_status(group(), replace(FACTS, credential=told), now=NOW)
    assert before is not None
    rejected = replace(FACTS, verdict=REJECTED, credential={"appId": "12", "permissions": {"actions": "write"}})
    patch = decide_status(group(before["status"]), rejected, now=NOW)
    assert patch is not None
    assert patch["status"]["credential"] == {
        "appId": "12",
        "tokenExpiresAt": None,
        "permissions": {"actions": "write", "old": None},
    }
    gone = decide_status(group(before["status"]), replace(FACTS, verdict=REJECTED, credential=None), now=NOW)
    assert gone is not None
    assert gone["status"]["credential"] is None


def test_an_agent_that_knows_nothing_yet_leaves_the_credential_as_told() -> None:
    patch = decide_status(
        group({"credential": {"appId": "12"}}), replace(FACTS, verdict=UNKNOWN, credential=None), now=NOW
    )
    assert patch is not None
    assert "credential" not in patch["status"]


def test_conditions_of_others_stay() -> None:
    foreign = {"type": "Foreign", "status": "True"}
    patch = decide_status(group({"conditions": [foreign]}), FACTS, now=NOW)
    assert patch is not None
    assert foreign in patch["status"]["conditions"]


def test_a_template_that_would_be_refused_degrades_the_group_unless_a_job_waits_already() -> None:
    refused = replace(FACTS, template_refusal="spec.containers[side].image: Required value")
    condition = decide_degraded(refused)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.POD_TEMPLATE_REFUSED)
    assert condition.message.endswith("the API server says: spec.containers[side].image: Required value")
    assert decide_ready(refused).status is ConditionStatus.TRUE
    assert decide_degraded(replace(refused, refusals=("no",))).reason is Reason.WORKERS_REFUSED


def test_a_runner_version_that_github_no_longer_serves_is_told_with_the_image() -> None:
    old = replace(
        FACTS,
        active_sessions=0,
        session_problem="GitHub did not open a session (HTTP 400): v2.1 is deprecated",
        version_problem="GitHub did not open a session (HTTP 400): v2.1 is deprecated",
        runner_version="2.1.0",
        worker_image="example.test/runner:2.1.0",
    )
    condition = decide_version(old)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.VERSION_TOO_OLD)
    assert all(word in condition.message for word in ("version 2.1.0,", "example.test/runner:2.1.0", "deprecated"))
    assert decide_ready(old).status is ConditionStatus.FALSE
    fine = decide_version(FACTS)
    assert (fine.status, fine.reason) == (ConditionStatus.FALSE, Reason.VERSION_SUPPORTED)


def test_runners_that_github_rejects_degrade_the_group_unless_jobs_wait_for_their_pods() -> None:
    rejected = replace(FACTS, rejection="GitHub did not open a session (HTTP 401)")
    assert decide_degraded(rejected).reason is Reason.UNAUTHORIZED
    assert "HTTP 401" in decide_degraded(rejected).message
    assert decide_degraded(replace(rejected, refusals=("no",))).reason is Reason.WORKERS_REFUSED
