"""The checklist of a hand-over: each item over checks, alerts, series and ledgers."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from actions_gateway.api.ledger import Cause, RerunState
from actions_gateway.metrics.catalog import Component
from cli.objects import gateway
from gw.checks.catalog import HEALTH
from gw.checks.model import Finding, Outcome, ok, problem, skipped, unknown
from gw.ops.handoff.checklist import CHECK_IDS, CHECKLIST, Extra
from gw.ops.handoff.handing import NEEDS
from gw.ops.handoff.incidents import open_incidents
from gw.ops.handoff.model import State
from gw.ops.handoff.rates import EXHAUSTED, PAGES, RENEWALS, TOKENS, extras_of
from gw.sources.facts import Fact, Facts, Known, Missing
from gw.sources.gateways import parse_gateway
from gw.sources.incidents import Incident, IncidentKind, IncidentsFact, StepRecord, StepState, Target
from gw.sources.lostjobs import UNREADABLE
from gw.sources.shiftseries import ErrorsFact, FiredFact, HoleFact
from gw_alerts.thresholds import Severity
from support.clock import START
from support.monitoring import MONITORING
from support.seed import production_runbook
from unit.gw.handoff_facts import (
    FORBIDDEN,
    SERIES,
    SILENCE,
    SINCE,
    ago,
    alert,
    alerting,
    facts,
    items,
    lost,
    results,
    shift,
    watched,
)


def test_the_items_are_the_runbooks_to_the_letter() -> None:
    assert tuple(item.title for item in CHECKLIST) == production_runbook().handoff


def test_every_check_of_an_item_is_in_the_catalogue_of_health_and_no_item_is_without_anything_to_look_at() -> None:
    assert {check.id for check in HEALTH} >= CHECK_IDS
    assert [item.title for item in CHECKLIST if not item.checks] == ["No open incidents or unresolved pages."]


def test_what_checks_need_is_gathered() -> None:
    assert {need for check in HEALTH for need in check.needs} <= NEEDS


@pytest.mark.parametrize(
    ("findings", "state"),
    [
        ((ok("a", ""), ok("b", "")), State.DONE),
        ((skipped("a", "suspended"),), State.DONE),
        ((ok("a", ""), unknown("b", "new")), State.UNKNOWN),
        ((unknown("a", "new"), problem("b", "bad")), State.OPEN),
        ((problem("a", "mild", severity=Severity.INFO),), State.OPEN),
    ],
    ids=["all fine", "left out by intention", "one unknown", "a problem beats unknown", "a mild problem counts, too"],
)
def test_an_item_is_as_its_worst_finding(findings: tuple[Finding, ...], state: State) -> None:
    assert items(results(gateway_ready=findings))[1].state is state


@pytest.mark.parametrize("check_id", ["agent.stable", "manager.stable", "proxy.stable", "worker.stable"])
def test_any_pod_of_ours_that_dies_opens_the_sixth(check_id: str) -> None:
    found = items(results(**{check_id.replace(".", "_"): problem("team-a/p", "OOMKilled")}))
    assert {number for number, item in found.items() if item.state is State.OPEN} == {6}


INCIDENT = Incident(
    kind=IncidentKind.AGENT_FAILURE,
    subject="team-a",
    opened_at=ago(minutes=10),
    opened_by="olivia",
    steps=(StepRecord("restart", "Start the agent anew", StepState.FAILED),),
    targets=(Target("team-a", "ci"),),
    name="incident-20260105-085000-agent-failure",
)
CLOSED = replace(INCIDENT, closed_at=ago(minutes=1), closed_by="olivia")


@pytest.mark.parametrize(
    ("known", "namespace", "outcome", "words"),
    [
        (Known(IncidentsFact((INCIDENT,), ())), None, Outcome.PROBLEM, "at the step restart (failed)"),
        (Known(IncidentsFact((INCIDENT,), ())), "team-b", Outcome.OK, "no incident is open"),
        (Known(IncidentsFact((replace(INCIDENT, targets=()),), ())), "team-b", Outcome.PROBLEM, "is open, by olivia"),
        (Known(IncidentsFact((CLOSED,), ())), None, Outcome.OK, "no incident is open"),
        (Known(IncidentsFact((), ("x: it is no JSON",))), None, Outcome.UNKNOWN, "the record x: it is no JSON"),
        (Missing("could not read the incidents: forbidden"), None, Outcome.UNKNOWN, "forbidden"),
    ],
    ids=["open", "another tenant's", "the platform's", "closed", "unreadable", "not to be read"],
)
def test_open_incidents_open_the_seventh(
    known: Fact[IncidentsFact], namespace: str | None, outcome: Outcome, words: str
) -> None:
    (finding,) = open_incidents(known, namespace)
    assert finding.outcome is outcome
    assert words in finding.summary
    if outcome is Outcome.PROBLEM:
        assert finding.next_step == f"gw incident agent-failure --resume {INCIDENT.name}"
    told = extras_of(facts(namespace=namespace), shift(incidents=known))[7]
    assert finding in told.findings


def test_a_page_opens_the_seventh_silenced_or_not_and_a_ticket_does_not() -> None:
    silenced = alert(silenced_by=("s1",), page="runbooks/checks/session.open.md")
    item = items(results(), watched(silenced, alert("ticket"), silences=(SILENCE,)))[7]
    assert item.state is State.OPEN
    (bad,) = [each.finding for each in item.said if each.finding.outcome is Outcome.PROBLEM]
    assert bad.subject == "ActionsGatewayX team-a"
    assert bad.summary == "the page is silenced, not resolved: no session"
    assert bad.evidence == ("silenced by carol: known",)
    assert bad.next_step == "see runbooks/checks/session.open.md"
    assert items(results(), watched(alert("ticket")))[7].state is State.DONE


def test_pages_of_other_tenants_are_not_this_tenants() -> None:
    known = watched(alert(labels={"namespace": "team-b"}), namespace="team-a")
    assert items(results(), known)[7].state is State.DONE


def test_whose_a_page_is_has_to_be_known() -> None:
    item = items(results(), facts(alerting=alerting(alert()), series=Missing("there is no Prometheus")))[7]
    assert item.state is State.UNKNOWN
    assert "unresolved pages: there is no Prometheus" in [each.finding.summary for each in item.said]


def of_pages(known: Facts) -> list[tuple[Outcome, str]]:
    said = [each.finding for each in items(results(), known)[7].said]
    return [(each.outcome, each.summary) for each in said]


def test_no_page_means_something_where_one_would_be_told() -> None:
    assert of_pages(watched()) == [(Outcome.OK, "Alertmanager at x has no page of this project")]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"monitoring": Known(replace(MONITORING, alerts={}))}, "Prometheus at x does not evaluate"),
        ({"monitoring": Known(replace(MONITORING, alertmanager_count=0))}, "Prometheus at x sends its alerts to no"),
        ({"monitoring": Missing("Prometheus at x took longer than 4 s")}, "Prometheus at x took longer than 4 s"),
        ({"gateways": Known(())}, "without a gateway nobody can tell"),
    ],
    ids=["no rules", "no Alertmanager", "nobody can tell", "no gateway to be known by"],
)
def test_no_page_means_nothing_where_none_would_be_told(changed: dict[str, Any], why: str) -> None:
    ((outcome, words),) = of_pages(replace(watched(), **changed))
    assert outcome is Outcome.UNKNOWN
    assert words.startswith(f"whether there are pages: {why}")


def test_a_page_that_prometheus_fires_and_nobody_was_told_opens_the_seventh() -> None:
    def fired(**more: Any) -> FiredFact:
        base = FiredFact("ActionsGatewayX", "page", "team-a", ago(hours=3), START, True)
        return replace(base, **more)

    def found(known: Facts) -> list[str]:
        others = (fired(is_firing=False), fired(severity="ticket"))
        told = extras(known, fired=(fired(), *others))[PAGES].findings
        return [each.subject for each in told if each.outcome is Outcome.PROBLEM]

    assert found(watched(alert())) == [], "Alertmanager has it"
    assert found(watched()) == ["ActionsGatewayX team-a"]
    assert found(replace(watched(), alerting=FORBIDDEN)) == ["ActionsGatewayX team-a"]
    blind = replace(watched(), alerting=FORBIDDEN)
    assert items(results(), blind, n7=extras(blind, fired=(fired(),))[PAGES])[7].state is State.OPEN


def test_pages_are_told_however_many_more_there_may_be() -> None:
    deaf = replace(watched(alert()), monitoring=Known(replace(MONITORING, alertmanager_count=0)))
    (bad, _), (blind, words) = of_pages(deaf)
    assert (bad, blind) == (Outcome.PROBLEM, Outcome.UNKNOWN)
    assert words.startswith("whether there are other pages: ")


def test_pages_that_cannot_be_seen_are_unknown_with_the_reason() -> None:
    item = items(results(), facts(alerting=FORBIDDEN))[7]
    assert any('User "eve" cannot' in each.finding.summary for each in item.said)


def test_a_reason_is_told_once() -> None:
    blind = unknown("", "there is no Prometheus", next_step="x")
    item = items(results(job_lost=blind), n8=Extra((blind,)))[8]
    assert len(item.said) == 1


# -- series of the shift -----------------------------------------------------------------------------------------------


def extras(known: Facts | None = None, **more: Any) -> dict[int, Extra]:
    return dict(extras_of(known or facts(), shift(series=Known(replace(SERIES, **more)))))


def test_without_prometheus_both_rates_are_unknown() -> None:
    found = extras_of(facts(), shift(series=Missing("there is no Prometheus", "name one")))
    for number in (TOKENS, RENEWALS):
        (finding,) = found[number].findings
        assert (finding.outcome, finding.summary) == (Outcome.UNKNOWN, "there is no Prometheus")
    assert found[EXHAUSTED].findings == ()


def test_what_ledgers_have_forgotten_is_unknown_unless_prometheus_counted_it() -> None:
    long = replace(shift(series=Missing("there is no Prometheus")), since=ago(days=3))
    (finding,) = extras_of(facts(), long)[EXHAUSTED].findings
    assert finding.summary == "which jobs were lost before 2026-01-04 09:00 UTC: ledgers keep a job for a day"
    assert extras_of(facts(), replace(long, series=Known(SERIES)))[EXHAUSTED].findings == ()
    cut = replace(SERIES, holes=(HoleFact(Component.AGENT, ago(days=3), ago(days=2)),))
    old = replace(watched(), gateways=Known((parse_gateway(gateway("team-a", seconds_old=9e6)),)))
    assert extras_of(old, replace(long, series=Known(cut)))[EXHAUSTED].findings == (finding,)


@pytest.mark.parametrize(
    ("number", "series", "what"),
    [(TOKENS, "token_errors", "token refreshes"), (RENEWALS, "renew_errors", "lock renewals")],
)
def test_one_error_within_the_hour_opens_its_item_and_an_older_one_is_a_note(
    number: int, series: str, what: str
) -> None:
    errors = {"team-a": ErrorsFact(1, 1, START), "team-b": ErrorsFact(0, 7, ago(hours=3))}
    more: dict[str, Any] = {series: errors}
    found = extras(**more)[number]
    assert [(each.outcome, each.subject, each.summary) for each in found.findings] == [
        (Outcome.PROBLEM, "team-a", f"1 error of {what} in the last hour")
    ]
    assert found.notes == ("team-b: 7 errors in the shift's worst hour, until 2026-01-05 06:00 UTC",)


def test_token_errors_that_health_takes_for_over_leave_the_fourth_open() -> None:
    fine = results(credential_refresh=ok("team-a/team-a", "9 tokens could not be minted, and one has been since"))
    errors = {"team-a": ErrorsFact(9, 9, START)}
    item = items(fine, n4=extras(token_errors=errors)[TOKENS])[TOKENS]
    assert item.state is State.OPEN


def test_an_hour_that_prometheus_has_not_from_its_beginning_is_unknown() -> None:
    def told(begins_at: datetime, ends_at: datetime, component: Component = Component.AGENT) -> tuple[Finding, ...]:
        found = extras(watched(), holes=(HoleFact(component, begins_at, ends_at),))
        assert found[TOKENS].findings == found[RENEWALS].findings
        return found[TOKENS].findings

    (finding,) = told(SINCE, ago(minutes=10))
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.summary == ("all of the last hour: Prometheus at x has nothing of agents until 2026-01-05 08:50 UTC")
    assert told(ago(minutes=40), ago(minutes=10)) == (), "a counter has risen by as much when it is read again"
    assert told(SINCE, ago(hours=2)) == ()
    assert told(SINCE, START, Component.MANAGER) == (), "it counts neither"


def test_an_exhausted_budget_that_no_ledger_tells_of_is_unknown() -> None:
    counted = {("team-a", "cpu"): 2.0}
    (finding,) = extras(exhausted=counted)[EXHAUSTED].findings
    assert (finding.outcome, finding.subject) == (Outcome.UNKNOWN, "team-a/cpu")
    assert finding.summary == (
        "eviction_retries_exhausted_total has risen by 2 in the shift, and the ledger tells of 0 such jobs"
    )
    told = facts(lost_jobs=Known((lost(), lost(runner="r2", state=RerunState.REQUESTED.value, request="t1"))))
    assert extras(told, exhausted=counted)[EXHAUSTED].findings == ()


@pytest.mark.parametrize(
    "other",
    [
        {"state": RerunState.REQUESTED.value},
        {"group": "gpu"},
        {"namespace": "team-b"},
        {"lost_at": ago(hours=13)},
        {"lost_at": None, "state": UNREADABLE},
        {"state": RerunState.REQUESTED.value, "request": "t1", "cause": Cause.LOCK_LOST.value},
    ],
    ids=["rerun", "of another group", "of another tenant", "of an earlier shift", "unreadable", "never counted"],
)
def test_other_lost_jobs_document_no_exhausted_budget(other: dict[str, Any]) -> None:
    known = facts(lost_jobs=Known(tuple(lost(runner=f"r{number}", **other) for number in range(3))))
    (finding,) = extras(known, exhausted={("team-a", "cpu"): 3.0})[EXHAUSTED].findings
    assert "the ledger tells of 0 such jobs" in finding.summary
