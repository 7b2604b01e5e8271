"""What runner groups report, folded up into the gateway's conditions."""

from typing import Any

import pytest

from actions_gateway.api.conditions import Condition, ConditionStatus, ConditionType, Reason
from actions_gateway.manager.gateway.verdict.groups import groups_condition, rate_limited_condition
from support import manager_objects as make

AVAILABLE = Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.TRUE, Reason.AGC_READY, "a pod is ready")
GONE = Condition(ConditionType.AGC_AVAILABLE, ConditionStatus.FALSE, Reason.AGC_NOT_READY, "no pod is ready")

REFUSED = make.condition("Degraded", "True", "WorkersRefused")
LIMITED = make.condition("RateLimited", "True", "SustainedRateLimit")


def snapshot(*reports: list[dict[str, Any]]) -> Any:
    """A gateway with a group `ci-1`, `ci-2`, … for each list of conditions."""
    names = [str(number) for number in range(1, len(reports) + 1)]
    owner = make.gateway(runnerGroups=[{"name": name, "runnerLabels": ["linux"]} for name in names])
    children = make.children_of(owner)
    for name, conditions in zip(names, reports, strict=True):
        children = make.with_group_status(children, f"ci-{name}", conditions=conditions)
    return make.snapshot(owner, children=children)


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        pytest.param([REFUSED], "ci-2 Degraded/WorkersRefused;", id="its workers are not admitted"),
        pytest.param(
            [make.condition("Ready", "False", "InvalidSpec")], "ci-2 Ready/InvalidSpec;", id="its spec cannot be used"
        ),
        pytest.param(
            [make.condition("RunnerTooOld", "True", "Rejected")],
            "ci-2 RunnerTooOld/Rejected;",
            id="what only a newer agent knows",
        ),
    ],
)
def test_a_problem_of_one_group_is_named_with_its_reason(conditions: list[dict[str, Any]], told: str) -> None:
    condition = groups_condition(snapshot(make.group_conditions(), conditions), AVAILABLE)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.RUNNER_GROUPS_IMPAIRED)
    assert condition.message.startswith(told)
    assert "kubectl describe runnergroup -n team-a ci-2" in condition.message


@pytest.mark.parametrize(
    "conditions",
    [
        pytest.param([], id="nothing reported yet"),
        pytest.param(make.group_conditions(), id="all well"),
        pytest.param(make.group_conditions(ready=False, credential="True"), id="credential and sessions"),
        pytest.param([LIMITED], id="limits"),
        pytest.param([make.condition("Degraded", "False", "WorkersAdmitted")], id="a problem that is over"),
    ],
)
def test_what_other_conditions_tell_is_no_problem_of_the_group(conditions: list[dict[str, Any]]) -> None:
    assert groups_condition(snapshot(conditions), AVAILABLE).status is ConditionStatus.FALSE


def test_at_most_five_are_named() -> None:
    text = groups_condition(snapshot(*([[REFUSED]] * 7)), AVAILABLE).message
    assert "ci-5 Degraded/WorkersRefused and 2 more;" in text
    assert "ci-6" not in text


def test_groups_that_github_limits_are_named_and_the_others_not() -> None:
    condition = rate_limited_condition(snapshot([], [LIMITED]), AVAILABLE)
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.SUSTAINED_RATE_LIMIT)
    assert "ci-2" in condition.message
    assert "ci-1" not in condition.message
    assert rate_limited_condition(snapshot([]), AVAILABLE).reason is Reason.WITHIN_RATE_LIMIT


@pytest.mark.parametrize("fold", [rate_limited_condition, groups_condition])
def test_the_reports_of_an_agent_that_is_gone_are_not_repeated(fold: Any) -> None:
    condition = fold(snapshot([LIMITED, REFUSED]), GONE)
    assert (condition.status, condition.reason) == (ConditionStatus.UNKNOWN, Reason.AGC_NOT_READY)
