"""The status manifest and the events that go with its changes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.manager.gateway.announcements import decide_announcements
from actions_gateway.manager.gateway.conditions import Verdict
from actions_gateway.manager.gateway.status import build_status
from support import manager_objects as make

Manifest = dict[str, Any]

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
AVAILABLE = Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.TRUE, Reason.AGC_READY, "a pod is ready")
GONE = Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.FALSE, Reason.AGC_NOT_READY, "no pod is ready")
READY = Condition(ConditionType.READY, ConditionStatus.TRUE, Reason.ALL_AVAILABLE, "all is well")


def group_reports(**status: Any) -> dict[tuple[str, str], Manifest]:
    return make.with_group_status(make.children_of(make.gateway()), **status)


def status_of(owner: Manifest, *conditions: Condition, **reported: Any) -> Manifest | None:
    return build_status(make.snapshot(owner, children=group_reports(**reported)), Verdict(conditions), NOW)


def written(owner: Manifest, *conditions: Condition, **reported: Any) -> Manifest:
    manifest = status_of(owner, *conditions, **reported)
    assert manifest is not None
    found: Manifest = manifest["status"]
    return found


def test_the_status_sums_up_what_the_groups_report() -> None:
    credential = {"appId": "1", "keyFingerprint": "SHA256:abc"}
    status = written(make.gateway(), AVAILABLE, activeSessions=2, activeJobs=3, credential=credential)
    assert (status["activeSessions"], status["activeJobs"], status["observedGeneration"]) == (2, 3, 3)
    assert status["credential"] == credential


def test_without_an_agent_no_session_is_open_but_its_jobs_go_on() -> None:
    status = written(make.gateway(), GONE, activeSessions=2, activeJobs=3)
    assert (status["activeSessions"], status["activeJobs"]) == (0, 3)


def test_a_condition_keeps_its_time_until_its_status_flips_and_always_has_the_generation() -> None:
    before = make.condition("AGCAvailable", "True", "AGCReady", since=make.CREATED)
    (kept,) = written(make.gateway(status={"conditions": [before]}), AVAILABLE)["conditions"]
    (flipped,) = written(make.gateway(status={"conditions": [before]}), GONE)["conditions"]
    assert (kept["lastTransitionTime"], kept["observedGeneration"]) == (make.CREATED, 3)
    assert (flipped["lastTransitionTime"], flipped["observedGeneration"]) == ("2026-01-05T09:00:00Z", 3)


def test_conditions_of_others_are_not_taken_over() -> None:
    foreign = make.condition("CertifiedByArgo", "True", "Yes")
    (entry,) = written(make.gateway(status={"conditions": [foreign]}), AVAILABLE)["conditions"]
    assert entry["type"] == "AGCAvailable"


def test_a_status_that_says_it_already_is_not_written() -> None:
    foreign = make.condition("CertifiedByArgo", "True", "Yes")
    status = written(make.gateway(), AVAILABLE, READY, activeSessions=1)
    status["conditions"] = [foreign, *reversed(status["conditions"])]
    assert status_of(make.gateway(status=status), AVAILABLE, READY, activeSessions=1) is None


@pytest.mark.parametrize(
    "reported",
    [
        pytest.param({"activeSessions": 2}, id="another session"),
        pytest.param({"activeSessions": 1, "activeJobs": 1}, id="another job"),
        pytest.param({"activeSessions": 1, "credential": {"appId": "2"}}, id="another credential"),
    ],
)
def test_a_status_that_differs_is_written(reported: dict[str, Any]) -> None:
    status = written(make.gateway(), AVAILABLE, activeSessions=1, credential={"appId": "1"})
    assert status_of(make.gateway(status=status), AVAILABLE, **reported) is not None


# -- events


def condition(kind: ConditionType, status: str, reason: Reason, message: str = "as it is") -> Condition:
    return Condition(kind, ConditionStatus(status), reason, message)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param([], READY, [("Ready", False)], id="ready for the first time"),
        pytest.param([("Ready", "True", "AllAvailable")], READY, [], id="still ready"),
        pytest.param(
            [],
            condition(ConditionType.READY, "False", Reason.AGC_NOT_READY),
            [],
            id="not yet ready is how it begins",
        ),
        pytest.param(
            [("Ready", "True", "AllAvailable")],
            condition(ConditionType.READY, "False", Reason.AGC_NOT_READY),
            [("AGCNotReady", True)],
            id="no longer ready",
        ),
        pytest.param(
            [],
            condition(ConditionType.READY, "False", Reason.ANOTHER_GATEWAY),
            [("AnotherGateway", True)],
            id="refused from the beginning",
        ),
        pytest.param(
            [("CredentialUnavailable", "Unknown", "CredentialNotYetChecked")],
            condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED),
            [("KeyRejected", True)],
            id="the credential fails",
        ),
        pytest.param(
            [("CredentialUnavailable", "True", "SecretNotFound")],
            condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED),
            [("KeyRejected", True)],
            id="it fails for another reason",
        ),
        pytest.param(
            [],
            condition(ConditionType.DEGRADED, "True", Reason.PROVISIONING_FAILED),
            [("ProvisioningFailed", True)],
            id="a step fails",
        ),
        pytest.param([], condition(ConditionType.DEGRADED, "False", Reason.RECONCILED), [], id="no step fails"),
    ],
)
def test_events_tell_of_transitions(
    before: list[tuple[str, str, str]], now: Condition, expected: list[tuple[str, bool]]
) -> None:
    owner = make.gateway(status={"conditions": [make.condition(*entry) for entry in before]})
    told = decide_announcements(owner, Verdict((now,)))
    assert [(entry.reason, entry.is_warning) for entry in told] == expected


def test_one_cause_that_flips_two_conditions_is_told_once() -> None:
    owner = make.gateway(status={"conditions": [make.condition("Ready", "True", "AllAvailable")]})
    verdict = Verdict(
        (
            condition(ConditionType.READY, "False", Reason.KEY_REJECTED, "GitHub refuses the key"),
            condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED, "GitHub refuses the key"),
        )
    )
    assert [entry.message for entry in decide_announcements(owner, verdict)] == ["GitHub refuses the key"]
