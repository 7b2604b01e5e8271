"""The status manifest: what it sums up, and when it is written."""

from datetime import UTC, datetime
from typing import Any

import pytest

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
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


def test_a_condition_that_means_nothing_any_more_is_withdrawn() -> None:
    status = written(make.gateway(), AVAILABLE)
    status["conditions"].append(make.condition("Deleting", "True", "RemovingObjects"))
    assert [entry["type"] for entry in written(make.gateway(status=status), AVAILABLE)["conditions"]] == [
        "AGCAvailable"
    ]


def test_ready_proxies_are_counted() -> None:
    children = make.with_proxy(group_reports(), ready=3)
    manifest = build_status(make.snapshot(children=children), Verdict((AVAILABLE,)), NOW)
    assert manifest is not None
    assert manifest["status"]["proxyReadyReplicas"] == 3


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
