"""Rules and routes at a faster pace: durations are divided, everything that is compared stays."""

import re
from typing import Any

import pytest

from gw_alerts.alertmanager import alertmanager_configuration
from gw_alerts.rules import rule_groups
from gw_alerts.scaling import Pace, paced_alertmanager, paced_groups
from gw_alerts.values import REQUIRED, Destinations, Values, Webhook

DURATION = re.compile(r"(?:(?<=\[)|(?<=:)|(?<=offset ))[0-9]+(?:ms|[smhdw])\b")


@pytest.mark.parametrize(
    ("promql", "paced"),
    [
        ("rate(x[5m]) > 5", "rate(x[15s]) > 5"),
        ("rate(x[2m])", "rate(x[6s])"),
        ("rate(x[30s])", "rate(x[6s])"),
        ("rate(x[2s])", "rate(x[2s])"),
        ("x unless x offset 15m", "x unless x offset 45s"),
        ("avg_over_time(x[1d:1h]) * 86400", "avg_over_time(x[72m:3m]) * 86400"),
        ("max_over_time(x[1h30m:])", "max_over_time(x[270s:])"),
        ('x{le=~"15([.]0)?|1[.]8e[+]06"} > 60', 'x{le=~"15([.]0)?|1[.]8e[+]06"} > 60'),
        ('x{reason="[5m]"}', 'x{reason="[15s]"}'),
        ("actions_gateway:slo_events:avg1h + last_5m", "actions_gateway:slo_events:avg1h + last_5m"),
        ("time() - x > 180", "time() - x > 180"),
    ],
)
def test_only_windows_steps_and_offsets_of_an_expression_are_divided(promql: str, paced: str) -> None:
    assert Pace(20).expression(promql) == paced


def test_a_window_keeps_a_few_scrapes_and_an_interval_one() -> None:
    fast = Pace(240)
    assert (fast.scrape_interval, fast.window("15m"), fast.interval("1m"), fast.settling("10s")) == (
        "1s",
        "4s",
        "1s",
        "3s",
    )
    assert (fast.wait("15m"), fast.wait("0m"), fast.settling("0s")) == ("3750ms", "0s", "0s")
    assert Pace(20).scrape_interval == "1500ms"


def test_what_is_no_duration_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="'5 minutes' is no duration of Prometheus"):
        Pace(2).wait("5 minutes")


def test_at_the_usual_pace_nothing_changes_but_the_spelling() -> None:
    pace = Pace()
    assert pace.scrape_interval == "5s"
    assert [spelled(group, pace) for group in rule_groups()] == paced_groups(rule_groups(), pace)


def test_every_rule_keeps_everything_but_its_durations() -> None:
    for slow, fast in zip(rule_groups(), paced_groups(rule_groups(), Pace(20)), strict=True):
        assert slow["name"] == fast["name"]
        for rule, paced in zip(slow["rules"], fast["rules"], strict=True):
            waits = {"expr", "for", "keep_firing_for"}
            assert {k: v for k, v in rule.items() if k not in waits} == {
                k: v for k, v in paced.items() if k not in waits
            }
            assert DURATION.sub("", rule["expr"]) == DURATION.sub("", paced["expr"])


def test_routes_wait_shorter_and_repeat_as_before() -> None:
    anywhere = Destinations(webhook=(Webhook(url="http://receiver.example.com"),))
    shipped = alertmanager_configuration(Values(cluster="one", receivers=dict.fromkeys(REQUIRED, anywhere)))
    paced = paced_alertmanager(shipped, Pace(20))
    assert {key: value for key, value in paced.items() if key != "route"} == {
        key: value for key, value in shipped.items() if key != "route"
    }
    by_receiver = {route["receiver"]: route for route in paced["route"]["routes"]}
    pages, tickets = by_receiver["oncall-sre"], by_receiver["tickets"]
    assert (pages["group_wait"], pages["group_interval"], pages["repeat_interval"]) == ("4500ms", "15s", "1h")
    assert (tickets["group_wait"], tickets["repeat_interval"]) == ("15s", "24h")
    assert by_receiver["dead-man"]["group_wait"] == "0s"


def spelled(group: dict[str, Any], pace: Pace) -> dict[str, Any]:
    """As the pace writes the same durations."""
    waits = ("for", "keep_firing_for")
    rules = [
        {
            **rule,
            "expr": DURATION.sub(lambda found: pace.wait(found.group()), rule["expr"]),
            **{key: pace.wait(rule[key]) for key in waits if key in rule},
        }
        for rule in group["rules"]
    ]
    return {**group, "interval": pace.wait(group["interval"]), "rules": rules}
