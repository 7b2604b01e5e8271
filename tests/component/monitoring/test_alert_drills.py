"""Every alert whose windows allow fires from its fault, reaches its receiver once, and is resolved.

A real Prometheus and a real Alertmanager with the rules and routes that ship, durations divided by 240. An hour is 15
seconds; no window is shorter than four scrapes.
"""

from collections.abc import Callable, Iterable

import pytest

from gateway_sandbox.monitoring.inbox import Notification
from gw_alerts.catalog import ALERTS, BY_NAME
from gw_alerts.scaling import Pace
from gw_alerts.thresholds import Severity
from support.aio import run
from support.alert_drill import WATCHDOG, Played, play
from support.alert_faults import DRILLS, AlertDrill
from support.alert_times import ALERT_ROW

PACE = Pace(240, shortest_scrape_seconds=4.0)
RECEIVERS = {Severity.PAGE: "oncall-sre", Severity.TICKET: "tickets"}
LONG_WINDOWS = {alert.name for alert in ALERTS if alert.name.endswith("BurnSlow")}
"""Of a day and more: six minutes and more even here. promtool proves them."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return run(play(tmp_path_factory.mktemp("drills"), DRILLS, PACE, without=LONG_WINDOWS), timeout_seconds=600)


def test_every_alert_has_a_drill() -> None:
    drilled = {name for drill in DRILLS for name in (*drill.tells, *drill.silent)}
    assert drilled | LONG_WINDOWS | {WATCHDOG} == BY_NAME.keys()


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_the_fault_is_told_to_the_right_receiver_once_and_resolved(
    drill: AlertDrill, played: Played, record_property: Callable[[str, object], None]
) -> None:
    notifications = played.of(drill)
    heard = {name for name, *_ in courses(notifications)}
    expected = {*drill.tells, *(heard & {*drill.told_late})}
    for alert in sorted(expected):
        told = played.told(drill, alert)
        record_property(ALERT_ROW, str(told))
        assert told.receiver == RECEIVERS[BY_NAME[alert].severity]
        assert 0 <= told.fires_seconds <= told.told_seconds
        assert alert in drill.tells or told.told_seconds > played.ended - played.began
    for receiver in RECEIVERS.values():
        subjects = courses(each for each in notifications if each["receiver"] == receiver)
        wanted = {name for name in expected if RECEIVERS[BY_NAME[name].severity] == receiver}
        assert {name for name, *_ in subjects} == wanted
        # A group is told again when something of it is new; of an alert that is alone twice, its beginning and its end.
        for subject, course in subjects.items():
            assert course == sorted(course), f"{subject} came again: {course}"
            assert course == ["firing", "resolved"] or len(subjects) > 1, f"{subject} was told more often: {course}"


def courses(notifications: Iterable[Notification]) -> dict[tuple[str, ...], list[str]]:
    """What was told of each alert that ever fired for its receiver, the oldest first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for each in notifications:
        for one in each["alerts"]:
            subject = (one["name"], *(f"{name}={value}" for name, value in sorted(one["labels"].items())))
            # The end of one that was silent to its end comes with the end of what silenced it.
            if subject in found or one["status"] == "firing":
                found.setdefault(subject, []).append(one["status"])
    return found


def test_no_other_alert_fires(played: Played) -> None:
    assert played.fired == {drill.name: {*drill.tells, *drill.silent, *drill.told_late} for drill in DRILLS}


def test_the_dead_mans_switch_is_heard_outside(played: Played) -> None:
    heard = {each["receiver"] for each in played.notifications for one in each["alerts"] if one["name"] == WATCHDOG}
    assert heard == {"dead-man"}
