"""promtool's cases: each arm of each alert has all kinds that apply to its rule, and scenarios say who is told what."""

import re

import pytest

from gw_alerts.cases import ALL_CASES
from gw_alerts.cases.model import Proof
from gw_alerts.cases.scenarios import SCENARIOS, UNTIL, Firing, Scenario
from gw_alerts.catalog import ALERTS, BY_NAME
from gw_alerts.model import Alert, Arm
from gw_alerts.routing import INHIBITIONS, Inhibition
from gw_alerts.slos import OBJECTIVES
from gw_alerts.thresholds import Severity
from support.promql import RECORDED, series_in

ARMS = [pytest.param(alert, arm, id=f"{alert.name}-{arm.name}") for alert in ALERTS for arm in alert.arms]
OF_ARM = {
    (alert.name, arm.name): [case for case in ALL_CASES if case.alert is alert and case.arm is arm]
    for alert in ALERTS for arm in alert.arms
}  # fmt: skip
"""Cases by what they are about."""

GAPS = {Proof.SHORT_GAP, Proof.LONG_GAP}
EXEMPT: dict[str, tuple[set[Proof], str]] = {
    "ActionsGatewayCredentialOld": (GAPS | {Proof.BRIEF}, "it is looked at once a day, and waits for an hour"),
    "ActionsGatewayRunnerVersionOld": (GAPS | {Proof.BRIEF}, "it is looked at once a day, and waits for an hour"),
    "ActionsGatewayTokenRefreshErrors": ({Proof.BRIEF}, "its window is longer than it waits"),
    "ActionsGatewayProxyLongLivedTunnels": ({Proof.BRIEF}, "its window is longer than it waits"),
    "ActionsGatewaySLOSessionAvailabilityBurnSlow": (GAPS | {Proof.AT}, "the bound is one group of two hundred"),
}
"""What a rule of such a form has, and this one has not."""
NO_EXEMPTION: tuple[set[Proof], str] = (set(), "")


def read_by(alert: Alert, arm: Arm) -> str:
    """The arm's expression and those of the recordings that it reads; of budgets those of its own objective."""
    if alert.slo:
        (objective,) = (each for each in OBJECTIVES if each.name == alert.slo)
        return f"{objective.events} {objective.errors}"
    return " ".join([arm.expression, *(RECORDED[name] for name in series_in(arm.expression) if name in RECORDED)])


def needed(alert: Alert, arm: Arm) -> set[Proof]:
    """By the form of the rule: what may go wrong with it."""
    if alert.is_always_firing:
        return {Proof.ABOVE}
    bound = arm.thresholds[0]
    applies = {
        Proof.ABOVE: bound.comparison != "=",
        Proof.BELOW: bound.comparison.startswith("<") or bound.value > 0,
        Proof.BRIEF: arm.for_minutes > 0,
        **_by_text(arm.expression, read_by(alert, arm)),
        Proof.RESTART: ":remembered" in arm.expression or alert.keep_firing_minutes > 0,
    }
    return {Proof.AT, Proof.ABSENT, *GAPS} | {proof for proof, is_one in applies.items() if is_one}


def _by_text(expression: str, read: str) -> dict[Proof, bool]:
    counts = "increase(" in read or "rate(" in read
    remembers = ":remembered" in expression
    return {
        Proof.RESET: counts,
        Proof.RARE: counts,
        Proof.BUSY: counts,
        Proof.BORN: " unless " in expression and " offset " in expression,
        Proof.SPELLING: "_bucket{le=~" in read,
        Proof.MEMORY: remembers,
        Proof.DELETED: remembers,
        Proof.IDLE: remembers,
        Proof.REPLICAS: re.search(r"\b(max|min) by \(", expression) is not None,
        Proof.ONE_SOURCE: " or on (" in expression or "kube_" in expression,
    }


@pytest.mark.parametrize(("alert", "arm"), ARMS)
def test_it_has_every_kind_of_case_that_applies_to_its_rule(alert: Alert, arm: Arm) -> None:
    shown = {proof for case in OF_ARM[alert.name, arm.name] for proof in case.proofs}
    missing = needed(alert, arm) - shown - EXEMPT.get(alert.name, NO_EXEMPTION)[0]
    assert not missing, sorted(missing)


@pytest.mark.parametrize("name", EXEMPT)
def test_nothing_is_exempt_that_is_shown(name: str) -> None:
    shown = {proof for arm in BY_NAME[name].arms for case in OF_ARM[name, arm.name] for proof in case.proofs}
    assert not shown & EXEMPT[name][0]


@pytest.mark.parametrize(("alert", "arm"), ARMS)
def test_it_fires_in_a_case_that_says_the_whole_notification(alert: Alert, arm: Arm) -> None:
    told = [case for case in OF_ARM[alert.name, arm.name] if case.is_told or case.is_alone]
    assert any(span.alert is alert and span.arm is arm for case in told for span in case.fires)


def test_cases_are_told_apart() -> None:
    names = [(case.alert.name, case.name) for case in ALL_CASES]
    assert len(set(names)) == len(names)


# -- scenarios


def inhibitors(scenario: Scenario, target: Firing, minute: int) -> list[Inhibition]:
    """Those whose source fires in that minute for the same tenant."""
    active = [fired for fired in scenario.fires if fired.is_active(minute)]
    return [
        each
        for each in INHIBITIONS
        if each.inhibits(BY_NAME[target.name])
        and any(
            source.name == each.source.name and ("namespace" not in each.equal or source.tenant == target.tenant)
            for source in active
        )
    ]


def told(scenario: Scenario) -> set[tuple[str, str]]:
    """Alerts and tenants of which anybody is told in any minute."""
    return {
        (fired.alert, fired.tenant)
        for fired in scenario.fires
        if BY_NAME[fired.name].severity is not Severity.INFO
        for minute in range(fired.start, min(fired.end, UNTIL + 1))
        if not inhibitors(scenario, fired, minute)
    }


BY_SCENARIO = [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS]


@pytest.mark.parametrize("scenario", BY_SCENARIO)
def test_nobody_is_told_in_any_minute_of_what_follows_from_something_else(scenario: Scenario) -> None:
    heard = {alert for alert, _ in told(scenario)}
    fired = {each.alert for each in scenario.fires if BY_NAME[each.name].severity is not Severity.INFO}
    assert fired - heard == set(scenario.untold)


def test_when_github_is_down_each_tenant_has_one_page_and_it_names_the_cause() -> None:
    (scenario,) = (each for each in SCENARIOS if each.name == "GitHub is down")
    assert {alert for alert, _ in told(scenario)} == {"GitHubUnreachable"}
    assert len(told(scenario)) == len({fired.tenant for fired in scenario.fires})


def test_scenarios_name_alerts_and_arms_that_exist() -> None:
    for scenario in SCENARIOS:
        for fired in scenario.fires:
            assert fired.arm in {arm.name for arm in BY_NAME[fired.name].arms}
