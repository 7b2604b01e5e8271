"""Each check passes where it should and fails where it should, reads only what it names, and has a page."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actions_gateway.api.conditions import ConditionType, Reason
from gw.checks.catalog import CATALOG, HEALTH, INSTALLATION, PREREQUISITES
from gw.checks.engine import judge, select
from gw.checks.frontmatter import front_matter
from gw.checks.model import Check, Finding, Outcome
from gw.exits import ExitCode
from gw.ops.health import HealthReport
from gw.sources.facts import Facts, Known, Missing, Need
from gw.sources.series import LATENCY_P95, SLOW_P95
from gw_alerts.thresholds import Severity
from support import series_cases
from support.check_cases import FAILING, LESS_BAD, PASSING, UNDECIDED
from support.check_facts import HEALTHY, LIMITED, QUEUED, SCALED_TO_0, ago, condition, gateway, group, queued, told
from support.clock import START
from support.monitoring import alert, series

PAGES = Path(__file__).parents[3] / "runbooks" / "checks"
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verification", "Escalation"]
CHECKS = {check.id: check for check in CATALOG}


def named(cases: list[Any]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}: {case[1]}") for case in cases]


def run(check_id: str, changes: dict[str, Any]) -> tuple[Finding, ...]:
    (result,) = judge([CHECKS[check_id]], replace(HEALTHY, **changes))
    return result.findings


@pytest.mark.parametrize(("check_id", "situation", "changes"), named(PASSING))
def test_it_passes_where(check_id: str, situation: str, changes: dict[str, Any]) -> None:
    assert {finding.outcome for finding in run(check_id, changes)} == {Outcome.OK}


@pytest.mark.parametrize(("check_id", "situation", "changes"), named(FAILING))
def test_it_finds_a_problem_where(check_id: str, situation: str, changes: dict[str, Any]) -> None:
    (finding,) = run(check_id, changes)
    assert finding.outcome is Outcome.PROBLEM
    assert finding.summary
    assert finding.next_step


@pytest.mark.parametrize(("check_id", "situation", "severity", "changes"), named(LESS_BAD))
def test_it_is_as_bad_as_it_is_where(
    check_id: str, situation: str, severity: Severity, changes: dict[str, Any]
) -> None:
    (result,) = judge([CHECKS[check_id]], replace(HEALTHY, **changes))
    assert [result.severity_of(finding) for finding in result.problems] == [severity]


@pytest.mark.parametrize(("check_id", "situation", "outcome", "changes"), named(UNDECIDED))
def test_it_does_not_judge_where(check_id: str, situation: str, outcome: Outcome, changes: dict[str, Any]) -> None:
    (finding,) = run(check_id, changes)
    assert finding.outcome is outcome
    assert finding.summary
    assert "cannot judge what it read" not in finding.summary, "the check itself knows this case"


def test_every_check_has_a_passing_and_a_failing_case() -> None:
    assert {case[0] for case in PASSING} == set(CHECKS)
    # The API server that does not answer has no facts to be judged from: that is `unknown`, never `problem`.
    assert {case[0] for case in FAILING} == set(CHECKS) - {"api.reachable"}


def test_an_api_server_that_does_not_answer_is_unknown() -> None:
    (finding,) = run("api.reachable", {"served": Missing("the API server gives no answer", "Check it.")})
    assert (finding.outcome, finding.summary, finding.next_step) == (
        Outcome.UNKNOWN,
        "the API server gives no answer",
        "Check it.",
    )


@pytest.mark.parametrize("check", CATALOG, ids=lambda check: check.id)
def test_it_reads_only_the_facts_that_it_names(check: Check) -> None:
    unread = {need.fact: Missing("not asked for") for need in Need if need not in check.needs}
    (result,) = judge([check], replace(HEALTHY, **unread))  # type: ignore[arg-type]
    assert result.outcome is Outcome.OK
    for need in check.needs:
        (blind,) = judge([check], replace(HEALTHY, **{need.fact: Missing("gone")}))  # type: ignore[arg-type]
        assert blind.outcome is Outcome.UNKNOWN, need


def test_ids_are_unique_and_are_file_names() -> None:
    assert len(CHECKS) == len(CATALOG)
    assert all(set(check_id) <= set("abcdefghijklmnopqrstuvwxyz.-") for check_id in CHECKS)


@pytest.mark.parametrize("check", CATALOG, ids=lambda check: check.id)
def test_it_has_a_page_with_every_section_that_begins_its_diagnosis_with_gw(check: Check) -> None:
    text = (PAGES / f"{check.id}.md").read_text()
    data = front_matter(text)
    assert (data["check"], data["severity"]) == (check.id, check.severity.value)
    assert data["symptoms"]
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    diagnosis = text.split("## Diagnosis")[1].split("## Mitigation")[0]
    commands = [line for line in diagnosis.splitlines() if line.startswith(("gw ", "kubectl "))]
    assert commands[0].startswith("gw check " if check not in HEALTH else "gw ")
    assert any(command.startswith("kubectl ") for command in commands)


def verifications(check_id: str) -> Iterator[list[str]]:
    """The words of the commands that, as its page says, exit with 0 when the problem is gone."""
    text = (PAGES / f"{check_id}.md").read_text().split("## Verification")[1]
    yield from (shlex.split(command) for command in re.findall(r"`(gw [^`]+)` exits with 0", text))


VERIFIED = [check.id for check in CATALOG if any(verifications(check.id))]


def verdict(words: list[str], facts: Facts) -> ExitCode:
    """What such a command exits with, of its options those that decide it."""
    options = list(pairwise(words))
    catalog = HEALTH if words[1] == "health" else PREREQUISITES if "--pre" in words else INSTALLATION
    checks = select(catalog, [value for option, value in options if option == "--check"])
    fail_on = next((Severity(value) for option, value in options if option == "--fail-on"), Severity.PAGE)
    return HealthReport(None, START, fail_on, judge(checks, facts)).exit_code


@pytest.mark.parametrize("check_id", VERIFIED)
def test_a_pages_verification_passes_when_all_is_well(check_id: str) -> None:
    assert {verdict(words, HEALTHY) for words in verifications(check_id)} == {ExitCode.OK}


TICKETS = [
    (check_id, situation, changes)
    for check_id, situation, severity, changes in LESS_BAD
    if severity.reaches(Severity.TICKET)
]
"""Less bad than their check's worst, and bad enough to act on."""


@pytest.mark.parametrize(
    ("check_id", "situation", "changes"), named([case for case in (*FAILING, *TICKETS) if case[0] in VERIFIED])
)
def test_a_pages_verification_fails_where(check_id: str, situation: str, changes: dict[str, Any]) -> None:
    for words in verifications(check_id):
        assert verdict(words, replace(HEALTHY, **changes)) is ExitCode.PROBLEM, shlex.join(words)


def test_all_pages_are_verified_by_gw() -> None:
    assert set(CHECKS) - set(VERIFIED) == set()


@pytest.mark.parametrize("selection", [HEALTH, PREREQUISITES, INSTALLATION], ids=["health", "check --pre", "check"])
def test_every_selection_is_of_the_catalogue(selection: tuple[Check, ...]) -> None:
    assert set(selection) <= set(CATALOG)
    assert len({check.id for check in selection}) == len(selection)


def test_every_check_belongs_to_a_selection() -> None:
    assert {*HEALTH, *PREREQUISITES, *INSTALLATION} == set(CATALOG)


def test_no_page_is_left_of_a_check_that_is_gone() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(CHECKS)


@pytest.mark.parametrize("check_id", ["manager.running", "manager.leading"])
def test_a_manager_that_is_scaled_to_0_is_scaled_up_since_a_restart_would_change_nothing(check_id: str) -> None:
    (finding,) = run(check_id, SCALED_TO_0)
    assert finding.next_step == "kubectl scale deploy/gmc-controller-manager -n gmc-system --replicas=2"


def test_a_lease_that_was_given_back_tells_since_when() -> None:
    (finding,) = run("manager.leading", SCALED_TO_0)
    assert finding.since == ago(90)


def test_a_pause_is_named_before_the_suspension_that_it_brings_about() -> None:
    (finding,) = run("session.open", group(suspended=True) | gateway(paused=True))
    assert finding.summary == "its gateway is paused by intention"


def test_silence_that_the_credential_explains_leads_to_the_credential() -> None:
    rejected = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)
    (finding,) = run("session.open", group(conditions=(rejected,)))
    assert finding.next_step == "gw health team-a --check credential.available"


def test_words_that_ready_has_said_are_not_said_again() -> None:
    rejected = condition(ConditionType.CREDENTIAL_UNAVAILABLE, "True", Reason.KEY_REJECTED)
    (finding,) = run("gateway.ready", gateway(condition(ConditionType.READY, "False", Reason.KEY_REJECTED), rejected))
    assert finding.evidence == ("CredentialUnavailable=True",)


def test_few_slow_jobs_are_named_where_a_percentile_is_over_its_bound() -> None:
    (finding,) = run("worker.latency", series_cases.measured({LATENCY_P95: 600.0, SLOW_P95: 1.0}))
    assert finding.summary == "p95 600.0 s, p99 4.0 s over 30 min: fewer than 2 jobs were so slow, which is no trend"


def test_where_alerts_cannot_be_told_of_a_silenced_one_is_not_all_there_is_to_say() -> None:
    deaf = series_cases.monitoring(alertmanager_count=0)
    findings = run("alerts.firing", deaf | series_cases.alerting(alert(silenced_by=("abc",))))
    assert [finding.outcome for finding in findings] == [Outcome.UNKNOWN, Outcome.SKIPPED]
    assert "Prometheus at x sends its alerts to no Alertmanager" in findings[0].summary


def test_an_alert_of_which_this_alertmanager_has_not_heard_leads_to_the_tenant() -> None:
    (finding,) = run("alerts.firing", series_cases.firing())
    assert (finding.subject, finding.severity) == ("ActionsGatewayNoActiveSessions, team-a/ci-cpu", Severity.PAGE)
    assert "Alertmanager at y has not heard of it" in finding.summary
    assert finding.next_step == "gw health team-a"


def test_groups_with_a_limit_are_named_by_what_their_agent_says_now() -> None:
    """A manager that is down folds nothing up: its condition still says that all is well."""
    (finding,) = run("gateway.rate-limit", told(LIMITED))
    assert finding.evidence == ("ci-cpu: RateLimited, SustainedRateLimit: the cluster's own words",)
    assert finding.since == LIMITED.since


def test_the_age_of_a_key_is_said_to_be_githubs_to_tell() -> None:
    (finding,) = run("credential.available", {})
    assert finding.summary == (
        "the Secret github-app-v1 works; the age of its key SHA256:a= is in the App's settings at GitHub"
    )


@pytest.mark.parametrize("seconds_old", [299, 301])
@pytest.mark.parametrize("namespace", ["team-a", None])
def test_a_gateway_that_prometheus_does_not_know_is_new_at_first(seconds_old: float, namespace: str | None) -> None:
    """Another tenant is none of a tenant's business, and "another cluster" is wrong of a gateway that was just made."""
    known = {"series": Known(series(gateway=("other", "uid-other")))}
    (finding,) = run("job.locks", known | gateway(created_at=ago(seconds_old)) | {"namespace": namespace})
    assert finding.outcome is Outcome.UNKNOWN
    assert ("another cluster" in finding.summary) is (seconds_old > 300)
    assert ("team-a/other" in finding.summary) is (seconds_old > 300 and namespace is None)
    assert finding.is_lasting is (seconds_old > 300)


def test_beside_a_job_that_no_group_serves_it_is_told_what_was_not_looked_at() -> None:
    gpu = replace(QUEUED, labels=("self-hosted", "gpu"))
    outcomes = {finding.outcome for finding in run("job.unserved", queued(gpu, left_out=3))}
    assert outcomes == {Outcome.PROBLEM, Outcome.UNKNOWN}


def test_an_alert_whose_severity_is_somebody_elses_word_is_as_bad_as_its_rule() -> None:
    (finding,) = run("alerts.firing", series_cases.alerting(alert("P1")))
    assert finding.severity is Severity.PAGE


def test_an_alert_of_the_platform_leads_to_all_tenants_since_its_namespace_is_none() -> None:
    (finding,) = run("alerts.firing", series_cases.alerting(alert(namespace="gmc-system", runner_group="")))
    assert finding.next_step == "gw health -A"


def test_what_github_was_asked_and_did_not_say_is_told_beside_the_status() -> None:
    findings = run("credential.permissions", {"github": Missing("github.com does not accept this private key")})
    assert [finding.outcome for finding in findings] == [Outcome.UNKNOWN, Outcome.OK]
    assert findings[0].summary == "github.com does not accept this private key"
