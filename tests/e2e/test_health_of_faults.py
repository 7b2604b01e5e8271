"""Every fault of the sandbox's library: health names it with its severity, says nothing false, and is clean afterwards.

Its alert reaches the right receiver, at a faster pace than production's; before all of them nothing fires.

On the real control plane where its programs are there, since there a tenant's own rights can be tried as well; else on
the embedded cluster.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from gateway_sandbox.faults import FAULTS, Fault
from gw.checks.catalog import HEALTH
from gw.sources.facts import Need
from gw_alerts import slos
from gw_alerts.catalog import BY_NAME
from gw_alerts.thresholds import Severity
from gw_dashboards.model import Presence
from support.alert_times import ALERT_ROW
from support.board_queries import EVERYTHING, Answers, Asked, questions, wrong_labels
from support.components import best_cluster, require_monitoring
from support.fault_drill import FAULT_ROW, OF_AGES, Drill, Report, Row, drill
from support.running_sandbox import until

pytestmark = pytest.mark.e2e

OF_MONITORING = {Need.SERIES, Need.MONITORING, Need.ALERTING}
ALERT_OF = {fault.name: fault.alert for fault in FAULTS}
RECEIVERS = {Severity.PAGE: "oncall-sre", Severity.TICKET: "tickets"}
JOBS = """\
name: Jobs
on: workflow_dispatch
jobs:
  works:
    runs-on: [self-hosted, linux]
    strategy:
      matrix:
        part: [1, 2, 3]
    steps:
      - run: echo ${{ matrix.part }}
  fails:
    runs-on: [self-hosted, linux]
    steps:
      - run: exit 1
"""
SWITCH = "Watchdog"
NOT_ASKED = "not asked yet"
SLOWEST_SECONDS = 30.0
"""Between two evaluations of the rules that are waited for, at the drill's pace; others look back for days."""
NEEDS = {check.id: check.needs for check in HEALTH}


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    require_monitoring()
    with drill(tmp_path_factory.mktemp("drill") / "cluster", cluster=best_cluster()) as running:
        yield running


@pytest.fixture
def well(drilled: Drill) -> Report:
    """What is said before a fault: no problem, and nothing unknown."""
    return drilled.settle()


def test_in_health_nothing_fires_but_the_dead_mans_switch(drilled: Drill, tmp_path: Path) -> None:
    """With jobs that have run, also one that failed on its own; what waits would fire, hence nothing waits either."""
    drilled.settle()
    (workflow := tmp_path / "jobs.yml").write_text(JOBS)
    ran = drilled.gw("sandbox", "run", str(workflow))
    assert "3 success, 1 failure" in ran.out, ran
    until_judged(drilled)

    def names(alerts: set[tuple[str, str]]) -> set[str]:
        return {name for name, _ in alerts}

    until(lambda: names(drilled.active_alerts()) == {SWITCH} == names(drilled.believed_alerts()))
    heard = {each["receiver"] for each in drilled.sandbox.notifications() if SWITCH in str(each["alerts"])}
    assert heard == {"dead-man"}
    assert "dead-man heard the dead-man's switch" in drilled.gw("sandbox", "notifications").out


def test_in_health_every_query_of_the_boards_has_what_it_promises(drilled: Drill) -> None:
    """After jobs, of all components as they are; a fault's query has nothing."""
    drilled.settle()
    asked = list(questions((EVERYTHING,)))
    # Windows of days take steps of an hour, and the first one has not passed.
    late = {each.name for each in slos.long_recordings()}
    promised = {
        each
        for each in asked
        if each.query.presence is Presence.ALWAYS and not any(name in each.expression for name in late)
    }
    answers: Answers = {}

    def lacking() -> list[Asked]:
        return [
            each
            for each in asked
            if isinstance(answers.get(each, NOT_ASKED), str) or (each in promised and not answers[each])
        ]

    def is_nothing_lacking() -> bool:
        answers.update(drilled.ask_boards(lacking()))
        return not lacking()

    try:
        # Recorded series come with their rules' next evaluation, and a busy machine misses a scrape.
        until(is_nothing_lacking)
    except AssertionError:
        raise AssertionError({str(each): answers.get(each) for each in lacking()}) from None
    there = {each: answer for each, answer in answers.items() if answer and not isinstance(answer, str)}
    assert {str(each): answer for each, answer in there.items() if each.query.presence is Presence.FAULT} == {}
    assert {str(each): wrong for each, answer in there.items() if (wrong := wrong_labels(each, answer))} == {}


def until_judged(drilled: Drill) -> None:
    """Returns when Prometheus has scraped all that is there now, and evaluated its rules but the slowest after that."""

    def are_later(times: list[str], moment: float) -> bool:
        return bool(times) and all(datetime.fromisoformat(each).timestamp() > moment for each in times)

    told = drilled.sandbox.ask_prometheus
    began = time.time()
    until(lambda: are_later([each["lastScrape"] for each in told("targets")["activeTargets"]], began))
    scraped = time.time()
    until(
        lambda: are_later(
            [each["lastEvaluation"] for each in told("rules")["groups"] if each["interval"] <= SLOWEST_SECONDS], scraped
        )
    )


SLOW = ("deaf-listener", "label-unserved", "quota-full", "stuck-deletion")
"""What health names after a minute or more, each within one tenant: played together, in tenants of their own."""


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name not in SLOW], ids=lambda fault: fault.name)
def test_health_names_the_fault_and_nothing_false_and_is_clean_again(
    fault: Fault, drilled: Drill, well: Report, record_property: Callable[[str, object], None]
) -> None:
    check(drilled.play(fault, well), record_property)


def test_slow_faults_are_named_each_in_its_own_tenant(
    drilled: Drill, record_property: Callable[[str, object], None]
) -> None:
    """The last of all: its tenants stay."""
    slow = [fault for fault in FAULTS if fault.name in SLOW]
    assert len(slow) == len(SLOW)
    played = {f"team-{fault.name}": fault for fault in slow}
    for tenant in played:
        drilled.add(tenant, f"cpu labels=self-hosted,{tenant} maxWorkers=4 maxListeners=2")
    rows = drilled.play_together(played, drilled.settle())
    assert [row.fault for row in rows] == [fault.name for fault in slow]
    for row in rows:
        check(row, record_property)


def check(row: Row, record_property: Callable[[str, object], None]) -> None:
    """What a fault's row has to say."""
    record_property(FAULT_ROW, str(row))
    if row.told is not None:
        record_property(ALERT_ROW, str(row.told))
    assert row.found_seconds is not None, f"health does not name it: {row}"
    assert not row.false, "\n".join(map(str, row.false))
    assert row.clean_seconds is not None, f"health is not clean again: {[*map(str, row.left)]}"
    alert = ALERT_OF[row.fault]
    if alert and row.fault not in OF_AGES:
        assert row.told is not None, f"nobody was told of {alert}"
        assert row.told.receiver == RECEIVERS[BY_NAME[alert].severity]
    from_the_cluster = {check for check, _ in row.expected if not NEEDS[check] & OF_MONITORING}
    for whose, view in {"without Prometheus": row.without_prometheus, "with a tenant's rights": row.to_tenant}.items():
        if view is not None:
            assert from_the_cluster <= {check for check, _ in view.named}, f"{whose} it is not named: {row}"
            assert view.named <= row.named, f"{whose} it is named as if it were better or worse: {row.named}"
            assert not view.false, f"{whose}: " + "\n".join(map(str, view.false))
