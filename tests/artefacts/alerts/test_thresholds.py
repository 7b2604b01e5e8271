"""A rule and its thresholds say the same: the number, the comparison, how bad it is."""

import re

import pytest

from gw_alerts import thresholds as t
from gw_alerts.catalog import ALERTS, BY_NAME, PAGES, components, watching
from gw_alerts.model import Alert, Arm

ARMS = [pytest.param(alert, arm, id=f"{alert.name}-{arm.name}") for alert in ALERTS for arm in alert.arms]

IN_OTHER_WORDS = {
    ("ActionsGatewayAgentCrashLooping", t.AGENT_CRASH_LOOPING): "a gauge is 1 of a container that waits",
    ("ActionsGatewayGatewayNotReady", components.NOT_READY): "the condition's gauge is 0",
    ("ActionsGatewayManagerDown", components.NO_MANAGER): "`unless` one leads",
    ("ActionsGatewayProxyDown", t.PROXY_NOT_READY): "`unless` one is ready",
    ("ActionsGatewayProxyHPAMetricUnknown", t.AUTOSCALER_BLIND): "the gauge is 0",
    ("ActionsGatewayRolloutStopped", t.RELEASE_BEHIND_SECONDS): "the time is its `for`",
    ("ActionsGatewayRulesNotLoaded", t.RULES_NOT_LOADED): "fewer than all",
    ("ActionsGatewayRulesNotLoaded", watching.RULES_UNKNOWN): "`absent`",
    ("ActionsGatewayAgentDown", components.NO_AGENT): "`unless` there is at least one",
    ("ActionsGatewaySeriesMissing", t.RULES_NOT_LOADED): "a component `unless` the family",
}
"""Thresholds that are not what the expression of an alert compares with, and what it does instead."""
OTHERWISE_BAD = {
    "ActionsGatewayProxyDown": "health pages on it; as an alert it is a ticket, since what follows from it pages",
}


def compares(arm: Arm, threshold: t.Threshold) -> bool:
    sign = "==" if threshold.comparison == "=" else threshold.comparison
    value = threshold.value * (60 if threshold.unit == "minutes" else 1)
    return re.search(rf"(?<![\w.]){re.escape(f'{sign} {value:g}')}(?![\w.])", arm.expression) is not None


@pytest.mark.parametrize(("alert", "arm"), ARMS)
def test_it_compares_as_its_thresholds_say(alert: Alert, arm: Arm) -> None:
    unsaid = [threshold for threshold in arm.thresholds if not compares(arm, threshold)]
    assert [each.subject for each in unsaid if (alert.name, each) not in IN_OTHER_WORDS] == []


@pytest.mark.parametrize(("name", "threshold"), IN_OTHER_WORDS)
def test_nothing_is_in_other_words_that_is_said(name: str, threshold: t.Threshold) -> None:
    arms = [arm for arm in BY_NAME[name].arms if threshold in arm.thresholds]
    assert arms
    assert not all(compares(arm, threshold) for arm in arms)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_it_is_as_bad_as_its_thresholds(alert: Alert) -> None:
    severities = {threshold.severity for threshold in alert.thresholds}
    assert (severities <= {alert.severity}) != (alert.name in OTHERWISE_BAD)


def test_pages_are_the_alerts_that_page() -> None:
    assert {alert.severity for alert in PAGES} == {t.Severity.PAGE}
    assert len(PAGES) == sum(alert.severity is t.Severity.PAGE for alert in ALERTS)
