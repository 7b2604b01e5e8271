"""How Prometheus is asked about a shift, and whose answers count."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from gw.sources.endpoints import PROMETHEUS, Endpoint, Reply
from gw.sources.shiftseries import ShiftSeriesFact, gather_shift_series
from support.aio import run
from support.clock import START
from support.monitoring import PrometheusDouble

HOUR = 3600.0


def asked(
    prometheus: PrometheusDouble, *, hours: float = 12, clusters: tuple[str, ...] = ("",), namespace: str | None = None
) -> tuple[ShiftSeriesFact, list[Mapping[str, str]]]:
    """The facts, and the range queries that were sent."""
    queries: list[Mapping[str, str]] = []

    async def send(path: str, query: Mapping[str, str]) -> Reply:
        if path == "/api/v1/query_range":
            queries.append(query)
        return Reply(*prometheus.answer(path, query))

    endpoint = Endpoint(PROMETHEUS, "x", send)
    since = START - timedelta(hours=hours)
    return run(gather_shift_series(endpoint, since, START, clusters, namespace)), queries


def tokens(points: list[tuple[float, float]], **about: str) -> tuple[str, dict[str, str], list[tuple[float, float]]]:
    return "token_refresh_errors", about, points


Track = tuple[str, Mapping[str, str], list[tuple[float, float]]]


def prometheus(*tracks: Track) -> PrometheusDouble:
    return PrometheusDouble(lambda: (), tracks=list(tracks))


@pytest.mark.parametrize(
    ("hours", "step"), [(0.01, 30), (1, 30), (12, 180), (24, 360), (31 * 24, 3600)], ids=lambda value: str(value)
)
def test_the_last_point_is_now_and_no_hour_lies_between_two(hours: float, step: int) -> None:
    _, queries = asked(prometheus(), hours=hours)
    for query in queries:
        start, end = float(query["start"]), float(query["end"])
        assert (int(query["step"]), end) == (step, START.timestamp())
        assert (end - start) % step == 0
        assert hours * HOUR <= end - start < hours * HOUR + step


def test_the_worst_hour_is_the_highest_point_and_the_last_hour_the_last_one() -> None:
    found, _ = asked(prometheus(tokens([(7200, 1.0), (HOUR, 5.0), (0, 2.0)], namespace="team-a")))
    errors = found.token_errors["team-a"]
    assert (errors.last_hour, errors.peak, errors.peak_at) == (2.0, 5.0, START - timedelta(hours=1))


def test_a_series_that_ended_says_nothing_of_the_last_hour() -> None:
    found, _ = asked(prometheus(tokens([(7200, 3.0)], namespace="team-a")))
    assert (found.token_errors["team-a"].last_hour, found.token_errors["team-a"].peak) == (0.0, 3.0)


def test_an_alert_that_came_back_is_told_apart_from_one_that_stayed() -> None:
    def fired(name: str, *points: float) -> Track:
        return "ALERTS", {"alertname": name, "namespace": "team-a"}, [(at, 1.0) for at in points]

    found, _ = asked(prometheus(fired("Stayed", 540, 360, 180), fired("CameBack", 7200, 7020, 3600, 180)))
    assert {each.name: each.times for each in found.fired} == {"Stayed": 1, "CameBack": 3}


def test_numbers_that_are_none_are_left_out() -> None:
    found, _ = asked(prometheus(tokens([(HOUR, float("nan"))], namespace="team-a")))
    assert found.token_errors == {}


def test_other_clusters_do_not_count_and_the_newest_name_of_ours_goes_first() -> None:
    double = prometheus(
        tokens([(0, 1.0)], namespace="team-a", cluster="new"),
        tokens([(0, 9.0)], namespace="team-a", cluster="old"),
        tokens([(0, 7.0)], namespace="team-a", cluster="foreign"),
        tokens([(0, 7.0)], namespace="team-b", cluster="old"),
    )
    found, _ = asked(double, clusters=("new", "old"))
    assert {name: errors.last_hour for name, errors in found.token_errors.items()} == {"team-a": 1.0, "team-b": 7.0}
    found, _ = asked(double, clusters=("new", "old"), namespace="team-b")
    assert list(found.token_errors) == ["team-b"]


def scraped(component: str, *whiles: tuple[float, float], **about: str) -> Track:
    """Points each three minutes from and to so many hours ago."""
    points = [(hour * HOUR - at, 1.0) for hour, end in whiles for at in range(0, int((hour - end) * HOUR) + 1, 180)]
    return "_build_info", {"component": component, **about}, points


def holes(found: ShiftSeriesFact) -> list[tuple[str, float, float]]:
    """In hours ago."""
    return [
        (each.component.value, (START - each.begins_at).total_seconds() / HOUR, (START - each.ends_at).seconds / HOUR)
        for each in found.holes
    ]


@pytest.mark.parametrize(
    ("kept_seconds", "since_hours_ago"), [(1e9, None), (2 * HOUR, 2.0), (-1, 0.0)], ids=["all", "its end", "nothing"]
)
def test_when_it_has_nothing_is_told(kept_seconds: float, since_hours_ago: float | None) -> None:
    double = prometheus()
    double.kept_seconds = kept_seconds
    expected = [] if since_hours_ago is None else [(name, 12.0, since_hours_ago) for name in ("manager", "agent")]
    assert holes(asked(double)[0]) == expected
    assert holes(asked(double, hours=0.05)[0]) == ([("manager", 0.05, 0.0), ("agent", 0.05, 0.0)] * (kept_seconds < 0))


def test_holes_are_found_wherever_they_are_and_for_each_component() -> None:
    double = prometheus(scraped("manager", (12, 7), (6, 1)), scraped("agent", (12, 0)))
    double.kept_seconds = -1
    assert holes(asked(double)[0]) == [("manager", 7.0, 6.0), ("manager", 1.0, 0.0)]


def test_a_moment_without_a_sample_is_no_hole() -> None:
    double = prometheus(scraped("manager", (12, 7), (6.9, 0)), scraped("agent", (12, 0)))
    double.kept_seconds = -1
    assert holes(asked(double)[0]) == []


def test_what_else_and_whom_else_it_scrapes_covers_nothing() -> None:
    everything: Track = ("count(up)", {}, [(at * 180.0, 9.0) for at in range(241)])
    foreign = [scraped(component, (12, 0), cluster="foreign") for component in ("manager", "agent")]
    double = prometheus(everything, *foreign)
    double.kept_seconds = -1
    assert holes(asked(double)[0]) == [("manager", 12.0, 0.0), ("agent", 12.0, 0.0)]
    assert holes(asked(double, clusters=("foreign",))[0]) == []


def test_gateways_are_those_that_a_manager_told_of_once_each_and_of_this_cluster() -> None:
    def info(uid: str, name: str, *points: float, **about: str) -> Track:
        labels = {"namespace": "team-a", "name": name, "uid": uid, **about}
        return "gateway_info", labels, [(at, 1.0) for at in points]

    double = prometheus(
        info("u2", "gpu", 7200, HOUR),
        info("u1", "cpu", 7200, 1800, cluster="new"),
        info("u1", "cpu", 9000, cluster="old"),
        info("u3", "alien", 0, cluster="foreign"),
        info("u4", "other", 0, namespace="team-b"),
    )
    found, _ = asked(double, clusters=("", "new", "old"), namespace="team-a")
    assert [(each.uid, each.subject, START - each.last_at, each.is_told) for each in found.gateways] == [
        ("u1", "team-a/cpu", timedelta(minutes=30), False),
        ("u2", "team-a/gpu", timedelta(hours=1), False),
    ]
