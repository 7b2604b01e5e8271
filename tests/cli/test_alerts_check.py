"""gw alerts check: rules and routes that are loaded beside those that ship, and what cannot be compared."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from actions_gateway.kube import errors
from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.artefacts import render_rules
from gw_alerts.catalog import ALERTS
from gw_alerts.model import Links
from gw_alerts.rules import rule_groups
from gw_alerts.values import load_values
from support.alertmanager import EXAMPLE_VALUES

from .double import ClusterDouble
from .objects import healthy_cluster
from .rig import Gw, check_golden

Groups = list[dict[str, Any]]
COMMAND = ("alerts", "check")
URL = "http://prometheus.example:9090"
SHIPPED = sum(len(group["rules"]) for group in rule_groups())


@pytest.fixture
def healthy() -> Gw:
    return Gw(ClusterDouble(*healthy_cluster()))


def edited(gw: Gw, change: Callable[[Groups], object]) -> dict[str, Any]:
    """What the command says after somebody has changed what is loaded."""

    def edit(groups: Groups) -> Groups:
        change(groups)
        return groups

    gw.cluster.prometheus.edited = edit
    answer = gw(*COMMAND, "-o", "json")
    document: dict[str, Any] = json.loads(answer.out) | {"code": answer.code}
    return document


def differences(document: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(each["kind"], each["group"], each["rule"]) for each in document["rules"]["differences"]]


def group_of(groups: Groups, name: str = "actions-gateway") -> dict[str, Any]:
    return next(group for group in groups if group["name"] == name)


def rule_of(groups: Groups, name: str, number: int = 0) -> dict[str, Any]:
    return [rule for rule in group_of(groups)["rules"] if rule["name"] == name][number]


def test_what_ships_is_the_same(healthy: Gw) -> None:
    answer = healthy(*COMMAND)
    assert answer.code == 0, answer
    assert f"has the {SHIPPED} rules of this release" in answer.out
    assert f"sends each of {len(ALERTS)} alerts where it should" in answer.out


def test_an_edited_rule_is_named_with_each_field_and_both_sides(healthy: Gw) -> None:
    def edit(groups: Groups) -> None:
        rule = rule_of(groups, "ActionsGatewayReconcileErrors")
        rule["query"] = rule["query"].replace("> 1", "> 100")
        rule["duration"] = 3600
        rule["labels"]["severity"] = "info"
        rule["labels"]["owner"] = "eve"
        rule["annotations"]["summary"] = "It is fine"
        rule_of(groups, "ActionsGatewayGitHubUnreachable")["keepFiringFor"] = 0

    document = edited(healthy, edit)
    assert document["code"] == 1
    (unreachable, reconcile) = sorted(document["rules"]["differences"], key=lambda each: str(each["rule"]))
    assert unreachable["fields"] == [{"field": "keep_firing_for", "ours": "300s", "theirs": "0s"}]
    assert [each["field"] for each in reconcile["fields"]] == [
        "expr",
        "for",
        "labels.owner",
        "labels.severity",
        "annotations.summary",
    ]
    assert reconcile["fields"][3] == {"field": "labels.severity", "ours": "ticket", "theirs": "info"}
    check_golden("alerts-check-edited.table.txt", healthy(*COMMAND).out.replace(f" {len(ALERTS)} ", " N "))


def test_how_prometheus_writes_an_expression_is_no_difference(healthy: Gw) -> None:
    def rewrite(groups: Groups) -> None:
        for group in groups:
            for rule in group["rules"]:
                rule["query"] = rule["query"].replace("[24h]", "[1d]").replace(", ", ",").replace(" > ", "  > ")

    assert edited(healthy, rewrite)["code"] == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda groups: group_of(groups)["rules"].remove(rule_of(groups, "ActionsGatewayRenewJobErrors", 1)),
            [("missing", "actions-gateway", "ActionsGatewayRenewJobErrors (lock)")],
        ),
        (lambda groups: groups.pop(0), [("missing", "actions-gateway-slo", None)]),
        (
            lambda groups: group_of(groups)["rules"].append(
                rule_of(groups, "Watchdog") | {"name": "ActionsGatewayMine"}
            ),
            [("extra", "actions-gateway", "ActionsGatewayMine")],
        ),
        (
            lambda groups: groups.append(group_of(groups) | {"name": "actions-gateway-old"}),
            [("extra", "actions-gateway-old", None)],
        ),
        (
            lambda groups: groups.append(dict(group_of(groups, "actions-gateway-slo-long"))),
            [("duplicate", "actions-gateway-slo-long", None)],
        ),
        (
            lambda groups: groups.append({"name": "mine", "rules": [rule_of(groups, "ActionsGatewayManagerDown")]}),
            [("duplicate", "mine", "ActionsGatewayManagerDown")],
        ),
        (lambda groups: group_of(groups).update(interval=300), [("changed", "actions-gateway", None)]),
        (
            lambda groups: rule_of(groups, "ActionsGatewayManagerDown").update(health="err", lastError="too many"),
            [("failing", "actions-gateway", "ActionsGatewayManagerDown")],
        ),
        (lambda groups: groups.clear(), [("missing", group["name"], None) for group in rule_groups()]),
    ],
    ids=["an arm", "a group", "one more", "an old group", "a group twice", "a copy", "interval", "failing", "all"],
)
def test_what_is_not_as_shipped_is_named(
    healthy: Gw, change: Callable[[Groups], object], found: list[tuple[str, str, str | None]]
) -> None:
    document = edited(healthy, change)
    assert document["code"] == 1
    assert differences(document) == found


@pytest.mark.parametrize(
    "change",
    [
        # As kube-prometheus has it.
        lambda groups: groups.append(
            {"name": "general.rules", "rules": [rule_of(groups, "Watchdog") | {"labels": {"severity": "none"}}]}
        ),
        lambda groups: groups.append({"name": "nodes", "rules": [rule_of(groups, "Watchdog") | {"name": "NodeDown"}]}),
        # The operator names files by namespace, name and uid of the object.
        lambda groups: [group.update(file="/etc/prometheus/rules/ns-name-uid.yaml") for group in groups],
    ],
    ids=["another one's switch", "another one's rules", "another file"],
)
def test_what_is_others_business_is_no_difference(healthy: Gw, change: Callable[[Groups], object]) -> None:
    assert edited(healthy, change)["code"] == 0


def test_a_rule_that_was_not_evaluated_yet_is_unknown(healthy: Gw) -> None:
    healthy.cluster.prometheus.rules["ActionsGatewayManagerDown"] = "unknown"
    answer = healthy(*COMMAND)
    assert answer.code == 3, answer
    assert "not evaluated yet: 1 rule" in answer.out


@pytest.mark.parametrize(
    ("version", "code"), [("2.41.0", 1), ("2.42.0", 0), ("3.5.0", 0), ("v2.37", 1), ("", 0), ("mimir", 0)]
)
def test_a_prometheus_that_is_too_old_for_our_rules_is_said_to_be(healthy: Gw, version: str, code: int) -> None:
    healthy.cluster.prometheus.version = version
    answer = healthy(*COMMAND)
    assert answer.code == code, answer
    assert ("refuses the whole file" in answer.out) == bool(code)


def test_links_are_compared_with_values_alone(healthy: Gw) -> None:
    values = load_values(EXAMPLE_VALUES)
    linked = yaml.safe_load(render_rules(values.links))["groups"]

    def link(groups: Groups, links: Links = values.links) -> Groups:
        for group, ours in zip(groups, linked, strict=True):
            for rule, entry in zip(group["rules"], ours["rules"], strict=True):
                rule |= {"annotations": entry["annotations"]} if "annotations" in entry else {}
        return groups

    assert healthy(*COMMAND, "--values", str(EXAMPLE_VALUES)).code == 1
    healthy.cluster.prometheus.edited = link
    assert healthy(*COMMAND).code == 0
    assert healthy(*COMMAND, "--values", str(EXAMPLE_VALUES)).code == 0


# -- whose Prometheus it is


def test_a_strangers_prometheus_is_not_compared(healthy: Gw) -> None:
    healthy.cluster.prometheus.uid_prefix = "another-"
    answer = healthy(*COMMAND)
    assert (answer.code, answer.out) == (3, ""), answer
    assert "is of another cluster" in answer.err
    assert "--prometheus-url" in answer.err


def test_a_fleets_prometheus_is_compared_under_any_name_of_the_cluster(healthy: Gw) -> None:
    healthy.cluster.prometheus.cluster = "prod-eu"
    assert healthy(*COMMAND).code == 0


def test_before_the_first_gateway_rules_are_compared(healthy: Gw) -> None:
    kinds = ("ActionsGateway", "RunnerGroup")
    gw = Gw(ClusterDouble(*[each for each in healthy_cluster() if each["kind"] not in kinds]))
    assert gw(*COMMAND).code == 0


def test_without_a_prometheus_routes_are_compared_all_the_same(healthy: Gw) -> None:
    services = [
        each for each in healthy_cluster() if each["kind"] != "Service" or "prom" not in each["metadata"]["name"]
    ]
    answer = Gw(ClusterDouble(*services))(*COMMAND)
    assert answer.code == 3, answer
    assert "there is no Prometheus in this cluster" in answer.out
    assert "sends each of" in answer.out


@pytest.mark.parametrize(
    ("reply", "words"),
    [((503, b"starting"), "cannot answer now (HTTP 503)"), ((200, b"<html>"), "is no Prometheus")],
)
def test_a_prometheus_that_does_not_answer_is_unknown(healthy: Gw, reply: tuple[int, bytes], words: str) -> None:
    healthy.http["prometheus.example:9090"] = lambda path, query: reply
    answer = healthy(*COMMAND, "--prometheus-url", URL)
    assert answer.code == 3, answer
    assert words in answer.out + answer.err


def test_whose_it_is_cannot_be_told_without_the_right_to_list_gateways(healthy: Gw) -> None:
    healthy.cluster.refusals["list", "actionsgateways"] = errors.Forbidden("no", status=403, reason="Forbidden")
    answer = healthy(*COMMAND)
    assert answer.code == 3, answer
    assert f"has the {SHIPPED} rules" in answer.out
    assert "could not list gateways" in answer.out


# -- routes


def test_routes_that_lead_elsewhere_are_named(healthy: Gw) -> None:
    ours = alertmanager_configuration(load_values(EXAMPLE_VALUES))
    ours["route"]["routes"] = ours["route"]["routes"][:2]
    ours["inhibit_rules"] = ours["inhibit_rules"][1:]
    healthy.cluster.alertmanager.configuration = yaml.safe_dump(ours)
    answer = healthy(*COMMAND)
    assert answer.code == 1, answer
    assert "Next:  `gw alerts render alertmanager --values FILE` has routes" in answer.err
    assert "gw alerts render rules" not in answer.err
    check_golden("alerts-check-routes.table.txt", answer.out.replace(f" {SHIPPED} ", " N "))
    document = json.loads(healthy(*COMMAND, "-o", "json").out)
    assert {each["why"] for each in document["routes"]["routes"]} == {
        "oncall-sre is not told",
        "security is not told",
    }
    assert [each["source"] for each in document["routes"]["inhibitions"]] == ["ActionsGatewayGitHubUnreachable"]


def test_what_keeps_pages_from_being_told_is_named_with_its_field_and_the_next_step(healthy: Gw) -> None:
    ours = alertmanager_configuration(load_values(EXAMPLE_VALUES))
    by_receiver = {each["receiver"]: each for each in ours["route"]["routes"]}
    by_receiver["oncall-sre"] |= {"mute_time_intervals": ["nights"], "group_wait": "2h"}
    by_receiver["dead-man"] |= {"repeat_interval": "12h"}
    ours["inhibit_rules"].append(
        {"source_matchers": ['severity="critical"'], "target_matchers": ['severity="page"'], "equal": ["cluster"]}
    )
    healthy.cluster.alertmanager.configuration = yaml.safe_dump(ours)
    answer = healthy(*COMMAND)
    assert answer.code == 1, answer
    assert "alerts where it should" not in answer.out
    check_golden("alerts-check-quiet.table.txt", answer.out.replace(f" {SHIPPED} ", " N "))
    routes = json.loads(healthy(*COMMAND, "-o", "json").out)["routes"]
    assert routes["routes"] == routes["inhibitions"] == []
    assert [(each["receiver"], each["field"], each["ours"], each["theirs"]) for each in routes["timing"]] == [
        ("oncall-sre", "mute_time_intervals", None, "nights"),
        ("oncall-sre", "group_wait", "10s", "2h"),
        ("dead-man", "repeat_interval", "1m", "12h"),
    ]
    (foreign,) = routes["foreign_inhibitions"]
    assert (foreign["source_matchers"], foreign["target_matchers"]) == (['severity="critical"'], ['severity="page"'])
    assert "Watchdog" in foreign["alerts"]
    short = healthy(*COMMAND, "-o", "short").out.splitlines()
    assert short == [
        "route oncall-sre mute_time_intervals",
        "route oncall-sre group_wait",
        "route dead-man repeat_interval",
        'inhibit severity="critical"',
    ]


@pytest.mark.parametrize("text", ["", "route: 1"], ids=["not told", "another shape"])
def test_a_configuration_that_is_not_told_is_unknown(healthy: Gw, text: str) -> None:
    healthy.cluster.alertmanager.configuration = text
    answer = healthy(*COMMAND)
    assert answer.code == 3, answer
    assert "does not tell the configuration that it has loaded" in answer.out


def test_values_that_cannot_be_used_are_refused_before_anybody_is_asked(healthy: Gw, tmp_path: Any) -> None:
    (path := tmp_path / "values.yaml").write_text("cluster: x\nreceivers: {}\n")
    answer = healthy(*COMMAND, "--values", str(path))
    assert answer.code == 2, answer
    assert "receivers.oncall-sre is missing" in answer.err
    assert healthy.targets == []
