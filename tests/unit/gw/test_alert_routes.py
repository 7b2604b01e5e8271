"""Where a loaded Alertmanager configuration sends an alert, and whether that is where it should go."""

from typing import Any

import pytest
import yaml

from gw.ops.alerting.routes import LoadedConfiguration, UnreadableConfiguration, parse_configuration
from gw.ops.alerting.routing import RoutesComparison, compare_routes
from gw.ops.alerting.timing import TimingDifference
from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.catalog import PAGES
from gw_alerts.routing import Receiver
from gw_alerts.values import Values, load_values
from support.alertmanager import EXAMPLE_VALUES

VALUES: Values = load_values(EXAMPLE_VALUES)
TREE = """
route:
  receiver: root
  routes:
    - receiver: copies
      matchers: ['severity=~"page|ticket"', tenant!=b]
      continue: true
    - receiver: pages
      match: {severity: page}
      routes:
        - {receiver: deep, match_re: {tenant: "a.*"}}
    - receiver: late
      matchers: ['{severity="page", tenant="x"}']
receivers: [{name: root}, {name: copies}, {name: pages}, {name: deep}, {name: late}]
"""


def configuration(**changes: Any) -> LoadedConfiguration:
    """The shipped one, with changes of its keys."""
    return parse_configuration(yaml.safe_dump({**alertmanager_configuration(VALUES), **changes}))


def compared(loaded: LoadedConfiguration, **more: Any) -> RoutesComparison:
    return compare_routes(loaded, "0.25.0", "Alertmanager at x", **more)


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({}, ["root"]),
        ({"severity": "ticket", "tenant": "a"}, ["copies"]),
        ({"severity": "ticket", "tenant": "b"}, ["root"]),
        ({"severity": "page", "tenant": "abc"}, ["copies", "deep"]),
        ({"severity": "page", "tenant": "ba"}, ["copies", "pages"]),
        ({"severity": "pages"}, ["root"]),
    ],
    ids=str,
)
def test_the_first_route_that_matches_takes_it_unless_it_continues(
    labels: dict[str, str], receivers: list[str]
) -> None:
    assert parse_configuration(TREE).receivers_of(labels) == receivers


def test_what_a_route_does_not_say_is_its_parents() -> None:
    text = "route: {receiver: a, group_by: [x], group_wait: 7s, routes: [{matchers: ['b=\"c\"']}]}\nreceivers: []"
    (route,) = parse_configuration(text).root.ends({"b": "c"})
    assert (route.receiver, route.group_by, route.wait) == ("a", ("x",), "7s")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "route: {receiver: a}", "receivers: []", ": :", "route: {matchers: ['a=~\"(\"']}\nreceivers: []"],
)
def test_what_is_no_configuration_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableConfiguration):
        parse_configuration(text)


def test_what_is_shipped_is_as_it_should_be() -> None:
    for more in ({}, {"receivers": frozenset(VALUES.receivers), "tenants": ("team-a", "team-b"), "cluster": "prod"}):
        found = compared(configuration(), **more)
        assert (found.routes, found.timing, found.inhibitions, found.foreign) == ((), (), (), ())
        assert found.is_same


def test_the_receiver_for_abuse_need_not_be_there() -> None:
    values = VALUES.model_copy(
        update={"receivers": {name: told for name, told in VALUES.receivers.items() if name is not Receiver.SECURITY}}
    )
    loaded = parse_configuration(yaml.safe_dump(alertmanager_configuration(values)))
    assert compared(loaded).routes == ()
    missed = compared(loaded, receivers=frozenset(VALUES.receivers)).routes
    assert [each.detail for each in missed] == ["security is not told"]


def test_the_operators_names_of_receivers_are_known() -> None:
    ours = alertmanager_configuration(VALUES)
    text = yaml.safe_dump(ours)
    for receiver in Receiver:
        text = text.replace(f"receiver: {receiver.value}\n", f"receiver: monitoring/gateway/{receiver.value}\n")
        text = text.replace(f"name: {receiver.value}\n", f"name: monitoring/gateway/{receiver.value}\n")
    assert compared(parse_configuration(text)).routes == ()


def test_pages_that_reach_nobody_are_named() -> None:
    loaded = configuration(receivers=[{"name": receiver.value} for receiver in Receiver])
    details = {each.detail for each in compared(loaded).routes}
    assert details == {
        "the receiver oncall-sre tells nobody",
        "the receiver tickets tells nobody",
        "the receiver dead-man tells nobody",
        "the receiver security tells nobody",
    }


def test_a_ticket_that_wakes_somebody_is_wrong_and_an_archive_beside_is_not() -> None:
    ours = alertmanager_configuration(VALUES)
    webhook = {"webhook_configs": [{"url": "https://archive.example.com"}]}
    receivers = [*ours["receivers"], {"name": "archive", **webhook}]
    archive = {"receiver": "archive", "matchers": ['severity=~"page|ticket"'], "continue": True}
    routes = ours["route"]["routes"]
    beside = configuration(receivers=receivers, route={**ours["route"], "routes": [archive, *routes]})
    assert compared(beside).routes == ()
    woken = {"receiver": "oncall-sre", "matchers": ['alertname="ActionsGatewayManagerDown"'], "continue": True}
    (found,) = compared(configuration(route={**ours["route"], "routes": [woken, *routes]})).routes
    assert found.alerts == ("ActionsGatewayManagerDown",)
    assert found.detail == "oncall-sre is woken by what is no page"


def test_a_route_of_one_tenant_alone_is_found_when_there_are_others() -> None:
    ours = alertmanager_configuration(VALUES)
    stolen = {"receiver": "nobody", "matchers": ['namespace="team-b"']}
    loaded = configuration(route={**ours["route"], "routes": [stolen, *ours["route"]["routes"]]})
    assert compared(loaded, tenants=("team-a",)).routes == ()
    assert {each.found for each in compared(loaded, tenants=("team-a", "team-b")).routes} == {("nobody",)}


def test_inhibitions_that_are_missing_and_those_of_somebody_else_are_named() -> None:
    missing = compared(configuration(inhibit_rules=[])).inhibitions
    assert {each.source for each in missing if each.is_missing} == {
        "ActionsGatewayGitHubUnreachable",
        "ActionsGatewayAgentDown",
        "ActionsGatewayManagerDown",
        "ActionsGatewayTenantPaused",
        "ActionsGatewayPodCreationLatencyP99",
    }
    # As kube-prometheus has it for its own severities: a ticket of one tenant would silence another one's pages.
    wide = {"source_matchers": ['severity="ticket"'], "target_matchers": ['severity="page"'], "equal": ["team"]}
    ours = alertmanager_configuration(VALUES)["inhibit_rules"]
    surplus = [each for each in compared(configuration(inhibit_rules=[*ours, wide])).inhibitions if not each.is_missing]
    assert "ActionsGatewayManagerDown" in {each.source for each in surplus}
    assert all("Watchdog" in each.alerts for each in surplus)


def test_an_inhibition_across_tenants_is_another_one() -> None:
    ours = alertmanager_configuration(VALUES)["inhibit_rules"]
    loose = [{**each, "equal": ["cluster"]} for each in ours]
    found = compared(configuration(inhibit_rules=loose)).inhibitions
    assert "ActionsGatewayAgentDown" in {each.source for each in found if not each.is_missing}


# -- in time


def retimed(receiver: Receiver, *, beside: bool = False, **fields: Any) -> tuple[TimingDifference, ...]:
    """What is said when the route of a receiver has these fields, with or without the shipped one below it."""
    ours = alertmanager_configuration(VALUES)["route"]
    routes = []
    for route in ours["routes"]:
        if route["receiver"] == receiver.value:
            routes.append({**route, **fields, **({"continue": True} if beside else {})})
            routes += [route] if beside else []
        else:
            routes.append(route)
    found = compared(configuration(route={**ours, "routes": routes}))
    assert found.is_same is not bool(found.timing)
    assert found.routes == ()
    return found.timing


@pytest.mark.parametrize("field", ["mute_time_intervals", "active_time_intervals"])
@pytest.mark.parametrize("receiver", [Receiver.ONCALL, Receiver.DEAD_MAN, Receiver.SECURITY], ids=str)
def test_hours_without_pages_are_named(field: str, receiver: Receiver) -> None:
    (found,) = retimed(receiver, **{field: ["nights", "weekends"]})
    assert (found.receiver, found.field, found.theirs) == (receiver.value, field, "nights, weekends")
    assert found.is_mute
    assert ("Watchdog" in found.alerts) is (receiver is Receiver.DEAD_MAN)
    assert retimed(receiver, beside=True, **{field: ["nights"]}) == (), "another route tells it at any hour"
    assert retimed(Receiver.TICKETS, **{field: ["nights"]}) == (), "a ticket waits for the working day"


def test_hours_are_not_inherited_and_those_of_an_archive_are_its_own() -> None:
    ours = alertmanager_configuration(VALUES)
    archive = {"receiver": "archive", "mute_time_intervals": ["nights"], "continue": True}
    (oncall,) = (each for each in ours["route"]["routes"] if each["receiver"] == "oncall-sre")
    outer = {**oncall, "mute_time_intervals": ["nights"], "routes": [{"receiver": "oncall-sre"}]}
    routes = [archive, *(outer if each is oncall else each for each in ours["route"]["routes"])]
    receivers = [*ours["receivers"], {"name": "archive"}]
    assert compared(configuration(receivers=receivers, route={**ours["route"], "routes": routes})).timing == ()


@pytest.mark.parametrize(
    ("receiver", "field", "ours", "late", "in_time"),
    [
        (Receiver.ONCALL, "group_wait", "10s", "2h", "10s"),
        (Receiver.ONCALL, "group_interval", "5m", "301s", "300s"),
        (Receiver.ONCALL, "repeat_interval", "1h", "1d", "30m"),
        (Receiver.DEAD_MAN, "group_wait", "0s", "1s", "0s"),
        (Receiver.DEAD_MAN, "group_interval", "1m", "12h", "1s"),
        (Receiver.DEAD_MAN, "repeat_interval", "1m", "12h", "60s"),
        (Receiver.TICKETS, "group_wait", "5m", "2d", "1m"),
    ],
    ids=str,
)
def test_what_waits_longer_than_shipped_is_named(
    receiver: Receiver, field: str, ours: str, late: str, in_time: str
) -> None:
    (found,) = retimed(receiver, **{field: late})
    assert (found.receiver, found.field, found.ours, found.theirs) == (receiver.value, field, ours, late)
    assert not found.is_mute
    assert retimed(receiver, **{field: in_time}) == ()


def test_what_a_route_does_not_say_counts_as_its_parent_says_it() -> None:
    ours = alertmanager_configuration(VALUES)["route"]
    routes = [
        {key: value for key, value in each.items() if not (key == "group_wait" and each["receiver"] == "oncall-sre")}
        for each in ours["routes"]
    ]
    (found,) = compared(configuration(route={**ours, "routes": routes})).timing
    assert (found.receiver, found.field, found.theirs) == ("oncall-sre", "group_wait", "30s")


# -- whoever's alert it is that keeps a page quiet


def foreign(target: str, source: str = 'severity="critical"', equal: tuple[str, ...] = (), **more: Any) -> list[str]:
    """The pages that such a rule beside the shipped ones keeps quiet."""
    rule = {"source_matchers": [source], "target_matchers": [target], "equal": list(equal)}
    found = compared(configuration(inhibit_rules=[*alertmanager_configuration(VALUES)["inhibit_rules"], rule]), **more)
    assert found.is_same is not bool(found.foreign)
    assert all((each.source, each.target, each.equal) == ((source,), (target,), equal) for each in found.foreign)
    return [name for each in found.foreign for name in each.alerts]


def test_a_rule_that_keeps_pages_quiet_while_a_strangers_alert_fires_is_named() -> None:
    every = [page.name for page in PAGES]
    assert foreign('severity="page"') == every
    assert foreign('severity=~"page|warning"', 'alertname="ClusterUpgrade"', ("cluster",)) == every
    assert foreign('alertname="Watchdog"', 'alertname="NodeDown"') == ["Watchdog"]
    assert "ActionsGatewayAgentDown" in foreign('namespace="team-b"', tenants=("team-a", "team-b"))


def test_a_strangers_rule_about_other_alerts_is_no_concern_of_this() -> None:
    # As kube-prometheus has it.
    assert foreign('severity=~"warning|info"', equal=("namespace", "alertname")) == []
    assert foreign('severity="ticket"') == []
    assert foreign('namespace="team-b"', tenants=("team-a",)) == []


def test_with_the_same_name_on_both_sides_only_the_switch_can_have_a_strangers_source() -> None:
    assert foreign('severity="page"', 'severity="none"', ("alertname",)) == ["Watchdog"]


def test_a_shipped_inhibition_that_is_narrowed_is_none_of_a_stranger() -> None:
    ours = alertmanager_configuration(VALUES)["inhibit_rules"]
    narrow = [{**each, "equal": [*each["equal"], "runner_group"]} for each in ours]
    narrow += [{**each, "target_matchers": [*each["target_matchers"], 'namespace="team-a"']} for each in ours]
    assert compared(configuration(inhibit_rules=[*ours, *narrow])).is_same
    wide = [{**each, "equal": []} for each in ours]
    found = compared(configuration(inhibit_rules=[*ours, *wide])).foreign
    assert ('alertname="ActionsGatewayGitHubUnreachable"',) in {each.source for each in found}
