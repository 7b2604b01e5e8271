"""The alert rules: generated, on series, labels and numbers that exist, and few enough that wake somebody."""

import re
from datetime import UTC, datetime

import pytest

from actions_gateway.api import names
from actions_gateway.manager.gateway.conditions import decide_conditions
from actions_gateway.manager.gateway.decide import decide
from gw.checks.catalog import CATALOG as CHECKS
from gw_alerts import generate
from gw_alerts.catalog import ALERTS, GROUP_SIZES, MOST_PAGES, PAGES
from gw_alerts.expressions import CLUSTER
from gw_alerts.model import Alert, Arm, Links
from gw_alerts.recordings import RECORDINGS
from gw_alerts.rules import rule_groups
from gw_alerts.slos import long_recordings, recent_recordings
from gw_alerts.thresholds import Severity
from support import manager_objects as make
from support.promql import known_labels, selections

GROUPING = re.compile(r"\b(?:by|on|ignoring|group_left|group_right) \(([^)]*)\)")
MADE = re.compile(r'label_replace\(.*?, "(\w+)", ')
TEMPLATE = re.compile(r"\$labels\.(\w+)")
ARMS = [pytest.param(alert, arm, id=f"{alert.name}-{arm.name}") for alert in ALERTS for arm in alert.arms]
RECORDED = (*RECORDINGS, *recent_recordings(), *long_recordings())
EXPRESSIONS = [
    *(pytest.param(arm.expression, id=f"{alert.name}-{arm.name}") for alert in ALERTS for arm in alert.arms),
    *(pytest.param(each.expression, id=f"{each.name}-{'-'.join(each.labels.values())}") for each in RECORDED),
]

PRESENCE = {
    "ActionsGatewayManagerDown", "ActionsGatewayProxyDown", "ActionsGatewaySeriesMissing",
    "ActionsGatewayRulesNotLoaded",
}  # fmt: skip
"""Alerts on what is there or not, which is compared with no number but that of the rules."""


def groupings(expression: str) -> list[list[str]]:
    return [[label.strip() for label in found.split(",") if label.strip()] for found in GROUPING.findall(expression)]


def test_the_committed_files_are_what_the_code_builds() -> None:
    assert generate.outdated(generate.ROOT) == [], f"run: {generate.COMMAND}"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_reads_series_that_somebody_exports_by_labels_that_they_have(expression: str) -> None:
    known = known_labels()
    chosen = selections(expression)
    assert {name for name, _ in chosen} <= known.keys()
    for name, labels in chosen:
        assert labels <= known[name], name
    there = {label for name, _ in chosen for label in known[name]} | set(MADE.findall(expression))
    assert {label for grouping in groupings(expression) for label in grouping} <= there


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_it_tells_clusters_apart(expression: str) -> None:
    aside = {"slo"}
    assert all(CLUSTER in grouping for grouping in groupings(expression) if grouping and not set(grouping) <= aside)


@pytest.mark.parametrize(("alert", "arm"), ARMS)
def test_it_says_only_what_its_instances_have(alert: Alert, arm: Arm) -> None:
    assert set(TEMPLATE.findall(arm.summary + arm.description)) <= set(alert.grouping)
    assert not alert.grouping or alert.grouping[0] == CLUSTER
    assert set(alert.grouping).isdisjoint(alert.static_labels(arm))


@pytest.mark.parametrize(("alert", "arm"), ARMS)
def test_it_compares_with_the_first_of_its_thresholds(alert: Alert, arm: Arm) -> None:
    if alert.is_always_firing:
        assert not arm.thresholds
        return
    threshold = arm.thresholds[0]
    if alert.name in PRESENCE:
        assert re.search(rf"\b(unless|absent)\b| < {sum(GROUP_SIZES.values())}$", arm.expression)
        return
    assert threshold.severity is not Severity.INFO or alert.severity is Severity.INFO
    in_seconds = 60 if threshold.unit == "minutes" else 1
    value = f"{threshold.value * in_seconds:g}"
    assert re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", arm.expression), value


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_the_checks_that_see_the_same_exist(alert: Alert) -> None:
    assert set(alert.checks) <= {check.id for check in CHECKS}


def test_so_few_page_that_whoever_is_woken_knows_each() -> None:
    assert 0 < len(PAGES) <= MOST_PAGES


def test_names_are_told_apart_and_so_are_arms() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        arms = [arm.name for arm in alert.arms]
        assert len(set(arms)) == len(arms)
        assert len(arms) == 1 or all(arms)


def test_what_counts_the_rules_counts_each() -> None:
    assert {group["name"]: len(group["rules"]) for group in rule_groups(Links())} == GROUP_SIZES


def test_a_recording_is_read_after_it_is_made() -> None:
    """A rule reads what an earlier one of its group has just recorded; itself it may read as it was."""
    for group in rule_groups(Links()):
        own = [rule["record"] for rule in group["rules"] if "record" in rule]
        made = set[str]()
        for rule in group["rules"]:
            read = {name for name, _ in selections(rule["expr"])} & set(own)
            assert read <= made | {rule.get("record")}, rule.get("record") or rule["alert"]
            made.add(rule.get("record", ""))


def test_denials_are_counted_of_each_policy_of_ours() -> None:
    (pattern,) = {
        found for alert in ALERTS for arm in alert.arms for found in re.findall(r'policy=~"([^"]*)"', arm.expression)
    }
    ours = {name: value for name, value in vars(names).items() if name.endswith("_POLICY")}
    policies = set(ours.values()) - {names.WORKLOAD_POLICY}
    assert policies
    assert all(re.fullmatch(pattern, policy) for policy in policies)


def test_the_conditions_of_gateways_that_rules_read_are_those_that_the_manager_sets() -> None:
    owner = make.gateway()
    snapshot = make.snapshot(owner, children=make.children_of(owner))
    plan = decide(snapshot, make.SETTINGS)
    assert plan is not None
    set_always = {each.type.value for each in decide_conditions(snapshot, plan, (), datetime.now(UTC)).conditions}
    of_gateways = re.compile(r'kind="ActionsGateway",type=~"([^"]+)"')
    named = {kind for arm in (arm for alert in ALERTS for arm in alert.arms) for kind in of_types(of_gateways, arm)}
    assert named
    assert named <= set_always


def of_types(pattern: re.Pattern[str], arm: Arm) -> set[str]:
    return {kind for types in pattern.findall(arm.expression) for kind in types.split("|")}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_whoever_has_to_act_is_told_what_to_begin_with(alert: Alert) -> None:
    for rule in alert.rules(Links()):
        command = rule["annotations"].get("command", "")
        assert bool(command) is not alert.is_always_firing
        assert command.startswith("gw health ") == bool(alert.checks)
