"""What every query of every board returns from a real Prometheus: in health, busy and idle, and during each fault."""

import pytest

from gw_dashboards.alerting import WATCHDOG
from gw_dashboards.catalog import BOARDS
from gw_dashboards.model import Board, Presence
from support.aio import run
from support.alert_faults import DRILLS, AlertDrill
from support.board_drill import BUSY, CLUSTERS, IDLE, SINGLE, Shown, concerned, show
from support.board_queries import Answers, Asked, Sample, questions, wrong_labels


def wrong_in_health(asked: Asked, answer: list[Sample] | str) -> str | None:
    """What is wrong with an answer of a healthy cluster."""
    if isinstance(answer, str):
        return answer
    if not answer:
        wanted = {Presence.ALWAYS, Presence.OPTIONAL} | ({Presence.JOBS} if asked.cluster != IDLE else set())
        return "no series" if asked.query.presence in wanted else None
    if asked.query.presence is Presence.FAULT:
        return f"there without a fault: {answer}"
    if wrong := wrong_labels(asked, answer):
        return wrong
    bad = [sample for sample in answer if asked.is_bad(sample.value)]
    return f"shown as bad: {bad}" if bad else None


def of_query(asked: Asked) -> tuple[str, str, str]:
    """The query without the cluster that it is about."""
    return asked.board, asked.panel.title, asked.query.expression


NOT_ASKED = "not asked yet"
# The Prometheus of these drills evaluates the rules of every cluster: `test_answers.py` has one where nobody does.
MUST_SHOW = {of_query(each) for each in questions((BUSY,)) if each.can_show and WATCHDOG not in each.panel.alerts}
CONCERNED = {drill.name: list(concerned(drill)) for drill in DRILLS}


NOT_JUDGED = {
    "ActionsGatewayJobAcquisitionStalled": "the failed claims are drawn beside those that succeed",
    "ActionsGatewayMessagePollErrors": "drawn with registrations, whose bound is another",
    "ActionsGatewayAgentRecycleErrors": "drawn with polls, whose bound is another",
    "ActionsGatewayRolloutStopped": "the alert's bound is a time, the panel's value gateways",
    "ActionsGatewayEvictionRetryAbuse": "drawn by cause, of which one counts",
    "ActionsGatewayAgentOOMKilled": "drawn by reason, of which one counts",
    "ActionsGatewayAgentCrashLooping": "drawn by reason, of which some count",
}
"""Alerts whose panels show the fault without a colour, and why."""


def unseen_faults(answers: Answers) -> set[tuple[str, str]]:
    """(drill, alert) of which no panel that names the alert shows anything."""
    return {
        (drill.name, alert)
        for drill in DRILLS
        for alert in drill.tells
        if not any(asked.shows(answers.get(asked, NOT_ASKED)) for asked in _about(drill, alert))
    }


def unseen_queries(answers: Answers) -> set[tuple[str, str, str]]:
    """Coloured queries that no fault turned bad, and queries of faults that never had a series."""
    return MUST_SHOW - {of_query(asked) for asked, answer in answers.items() if asked.shows(answer)}


def still_unseen(answers: Answers) -> list[Asked]:
    """What has to be asked again until every fault is seen wherever it should, and all that was asked is answered."""
    faults = {(drill, alert) for drill, alert in unseen_faults(answers) if alert not in NOT_JUDGED}
    queries = unseen_queries(answers)
    again = [
        asked
        for drill in DRILLS
        for asked in CONCERNED[drill.name]
        if of_query(asked) in queries
        or isinstance(answers.get(asked, ()), str)
        or any((drill.name, alert) in faults and asked in _about(drill, alert) for alert in drill.tells)
    ]
    return list(dict.fromkeys(again))


def _about(drill: AlertDrill, alert: str) -> list[Asked]:
    return [asked for asked in CONCERNED[drill.name] if alert in {each.name for each in asked.panel.alerts}]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return run(show(tmp_path_factory.mktemp("boards"), wrong_in_health, still_unseen), timeout_seconds=600)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_healthy_system_shows_the_promised_series_and_nothing_bad(board: Board, shown: Shown) -> None:
    wrong = {
        str(asked): problem
        for asked, answer in shown.health.items()
        if asked.board == board.uid and (problem := wrong_in_health(asked, answer))
    }
    assert wrong == {}


def test_no_query_is_refused(shown: Shown) -> None:
    answers = {**shown.health, **shown.faults}
    assert {str(asked): answer for asked, answer in answers.items() if isinstance(answer, str)} == {}


def test_every_fault_is_seen_on_a_panel_that_names_its_alert(shown: Shown) -> None:
    unseen = unseen_faults(shown.faults)
    assert {(drill, alert) for drill, alert in unseen if alert not in NOT_JUDGED} == set()
    assert NOT_JUDGED.keys() <= {alert for _, alert in unseen}, "a reason that is none any more"


def test_every_coloured_query_and_every_query_of_faults_shows_one(shown: Shown) -> None:
    assert sorted(unseen_queries(shown.faults)) == []


def test_the_variables_offer_what_is_expected_to_run(shown: Shown) -> None:
    offered = {"cluster": set(CLUSTERS) - {SINGLE}, "namespace": set(CLUSTERS), "runner_group": {"ci-cpu"}}
    for (_, variable), choices in shown.variables.items():
        assert choices == offered[variable]
