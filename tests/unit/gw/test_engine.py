"""The engine: order, blindness, exit codes, selection."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gw.checks.catalog import CATALOG
from gw.checks.engine import has_problem, is_blind, judge, needs_of, select
from gw.checks.model import Category, Check, CheckResult, Finding, Outcome, Scope, ok, problem, unknown
from gw.checks.wording import counted, lasting
from gw.errors import Refused
from gw.exits import ExitCode
from gw.ops.health import HealthReport
from gw.sources.facts import Facts, Missing, Need
from gw_alerts.thresholds import Severity
from support.clock import START

FACTS = Facts(START)
ABOUT: dict[str, Any] = {"category": Category.WORKERS, "looks_at": "pods"}
FORBIDDEN = Missing('User "eve" cannot list resource "pods"', is_forbidden=True)


def check(
    *findings: Finding, severity: Severity = Severity.PAGE, scope: Scope = Scope.TENANT, check_id: str = "a.b"
) -> Check:
    return Check(check_id, "It is fine", severity, scope, frozenset(), lambda _: findings, **ABOUT)


def reading_pods(scope: Scope) -> Check:
    def run(facts: Facts) -> Iterator[Finding]:
        for pod in facts.pods.value:
            yield ok(pod.name, "")

    return Check("pods.read", "Pods are read", Severity.PAGE, scope, frozenset({Need.PODS}), run, **ABOUT)


def results(*checks: Check) -> tuple[CheckResult, ...]:
    return judge(checks, FACTS)


def report(*checks: Check, fail_on: Severity = Severity.PAGE, waited_out: bool = False) -> HealthReport:
    return HealthReport(None, START, fail_on, results(*checks), waited_out)


def test_a_selection_takes_ids_and_categories_in_the_catalogues_order() -> None:
    found = select(CATALOG, ["manager.leading"], ["credentials"])
    assert [each.id for each in found][:2] == ["manager.leading", "credential.available"]
    assert {each.category for each in found} == {Category.PLATFORM, Category.CREDENTIALS}


def test_a_problem_may_be_less_bad_than_its_check() -> None:
    mild = problem("a", "it is mild", severity=Severity.TICKET)
    results = judge([check(mild, ok("b", "fine"))], FACTS)
    assert results[0].severity is Severity.TICKET
    assert not has_problem(results, Severity.PAGE)
    assert has_problem(results, Severity.TICKET)
    assert judge([check(mild, problem("c", "it is bad"))], FACTS)[0].severity is Severity.PAGE


def test_results_come_in_the_order_of_the_checks() -> None:
    order = [result.check.id for result in results(check(check_id="z"), check(check_id="a"), check(check_id="m"))]
    assert order == ["z", "a", "m"]


def test_a_check_that_finds_nothing_is_skipped_with_a_reason() -> None:
    (result,) = results(check())
    assert (result.outcome, result.findings[0].summary) == (Outcome.SKIPPED, "nothing here to look at")


@pytest.mark.parametrize(
    ("findings", "worst"),
    [
        ([ok("a", ""), problem("b", ""), unknown("c", "")], Outcome.PROBLEM),
        ([ok("a", ""), unknown("c", "")], Outcome.UNKNOWN),
        ([ok("a", ""), Finding(Outcome.SKIPPED, "b", "")], Outcome.OK),
    ],
)
def test_a_check_is_as_bad_as_its_worst_finding(findings: list[Finding], worst: Outcome) -> None:
    (result,) = results(check(*findings))
    assert result.outcome is worst


@pytest.mark.parametrize(
    ("severity", "fail_on", "fails"),
    [
        (Severity.PAGE, Severity.PAGE, True),
        (Severity.TICKET, Severity.PAGE, False),
        (Severity.TICKET, Severity.TICKET, True),
        (Severity.PAGE, Severity.INFO, True),
        (Severity.INFO, Severity.TICKET, False),
        (Severity.INFO, Severity.INFO, True),
    ],
)
def test_a_problem_counts_when_it_is_at_least_so_severe(severity: Severity, fail_on: Severity, fails: bool) -> None:
    assert has_problem(results(check(problem("a", ""), severity=severity)), fail_on) is fails


@pytest.mark.parametrize(
    ("checks", "waited_out", "code"),
    [
        ([check(ok("a", ""))], False, ExitCode.OK),
        ([check()], False, ExitCode.OK),
        ([check(problem("a", ""))], False, ExitCode.PROBLEM),
        ([check(problem("a", ""), severity=Severity.TICKET)], False, ExitCode.OK),
        ([check(unknown("a", ""))], False, ExitCode.UNKNOWN),
        ([check(unknown("a", "")), check(problem("a", ""))], False, ExitCode.PROBLEM),
        ([check(unknown("a", "")), check(problem("a", ""), severity=Severity.TICKET)], False, ExitCode.UNKNOWN),
        ([check(problem("a", ""))], True, ExitCode.TIMED_OUT),
        ([check(unknown("a", ""))], True, ExitCode.TIMED_OUT),
    ],
    ids=[
        "all fine",
        "nothing to look at",
        "a page",
        "a ticket below the bar",
        "blind",
        "a page beats blindness",
        "blindness beats a ticket below the bar",
        "a page after waiting",
        "blind after waiting",
    ],
)
def test_the_exit_code_of(checks: list[Check], waited_out: bool, code: ExitCode) -> None:
    assert report(*checks, waited_out=waited_out).exit_code is code


def test_a_missing_right_makes_a_check_unknown_and_names_it() -> None:
    (result,) = judge([reading_pods(Scope.TENANT)], replace(FACTS, namespace="team-a", pods=FORBIDDEN))
    assert result.outcome is Outcome.UNKNOWN
    assert 'User "eve" cannot list resource "pods"' in result.findings[0].summary
    assert is_blind([result])


def test_an_oddity_that_no_check_foresees_costs_that_check_alone() -> None:
    odd = Check(
        "a.odd", "It is fine", Severity.PAGE, Scope.TENANT, frozenset(), lambda _: [ok("a", str(1 // 0))], **ABOUT
    )
    broken, sound = judge([odd, check(ok("a", "fine"))], FACTS)
    assert broken.findings == (unknown("", "a.odd cannot judge what it read (ZeroDivisionError)"),)
    assert sound.outcome is Outcome.OK


def test_who_names_a_check_is_told_what_they_may_not_see_as_unknown() -> None:
    platform, own = reading_pods(Scope.PLATFORM), replace(FACTS, namespace="team-a", pods=FORBIDDEN)
    (unnamed,), (named,) = judge([platform], own), judge([platform], own, named=["pods.read"])
    assert (unnamed.outcome, named.outcome) == (Outcome.SKIPPED, Outcome.UNKNOWN)


def test_a_right_on_the_platform_is_skipped_when_one_tenant_was_asked_about() -> None:
    platform = reading_pods(Scope.PLATFORM)
    (of_tenant,) = judge([platform], replace(FACTS, namespace="team-a", pods=FORBIDDEN))
    (of_all,) = judge([platform], replace(FACTS, pods=FORBIDDEN))
    assert (of_tenant.outcome, of_all.outcome) == (Outcome.SKIPPED, Outcome.UNKNOWN)


def test_selection_keeps_the_catalogues_order_and_refuses_unknown_ids() -> None:
    chosen = select(CATALOG, ["session.open", "api.reachable"])
    assert [each.id for each in chosen] == ["api.reachable", "session.open"]
    assert select(CATALOG, []) == CATALOG
    with pytest.raises(Refused) as refused:
        select(CATALOG, ["sessions.open"])
    assert "session.open" in refused.value.next_step


def test_only_what_is_needed_is_gathered() -> None:
    assert needs_of(select(CATALOG, ["manager.leading"])) == {Need.MANAGER}
    assert needs_of([]) == frozenset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (11100, "3h5m"),
        (180000, "2d2h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_counts_agree_with_their_noun() -> None:
    assert [counted(number, "pod") for number in (0, 1, 2)] == ["0 pods", "1 pod", "2 pods"]
