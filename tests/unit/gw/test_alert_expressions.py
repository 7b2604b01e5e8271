"""When two PromQL expressions are the same, and when they only look so."""

import pytest

from gw.ops.alerting.expressions import duration_seconds, is_same_expression
from gw_alerts.rules import rule_groups


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sum by (a, b) (x)", "sum  by(a,b)(x) # as before\n"),
        ("rate(x[24h])", "rate(x[1d])"),
        ("rate(x[90m]) offset 168h", "rate(x[1h30m]) offset 1w"),
        ("max_over_time(x[1d:1m])", "max_over_time(x[24h:60s])"),
        ('x{a="1",b=~"2|3"}', "x{b=~'2|3', a=\"1\",}"),
        ('x{a=~"[.]\\\\d"}', "x{a=~`[.]\\d`}"),
        ("x > 0.10", "x > 1e-1"),
        ("x > 0x10", "x > 16"),
    ],
)
def test_these_are_the_same(one: str, other: str) -> None:
    assert is_same_expression(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x > 1", "x >= 1"),
        ("x > 10", "x > 100"),
        ("rate(x[5m])", "rate(x[5s])"),
        ("rate(x[1m])", "rate(x[1])"),
        ('x{a="1"}', 'x{a!="1"}'),
        ('x{a="1"}', "x{a=1}"),
        ('x{a="1"} + y{b="2"}', 'x{b="2"} + y{a="1"}'),
        ("sum by (a, b) (x)", "sum by (a) (x)"),
        ("a - b", "b - a"),
        ("sum(x)", "sum(x"),
        ('x{a="é"}', 'x{a="e"}'),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert not is_same_expression(one, other)


def test_no_two_rules_of_one_group_are_the_same_but_for_their_labels() -> None:
    for group in rule_groups():
        found = [rule["expr"] for rule in group["rules"] if "alert" in rule]
        for number, one in enumerate(found):
            assert [other for other in found[number + 1 :] if is_same_expression(one, other) and one != other] == []


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1m", 60), ("1h30m", 5400), ("500ms", 0.5), ("1w2d", 777600)])
def test_a_duration_is_read_as_prometheus_reads_it(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "1h ", "-1m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration_seconds(text)
