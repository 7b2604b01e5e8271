"""Cases of error budgets that burn.

A steady share of misses is the same in every window, so most cases look at that; the windows themselves are told apart
by what was well for long and is bad for a while.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from actions_gateway.metrics import catalog as m
from gw_alerts import slos
from gw_alerts.cases.latency import histogram
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.plant import TENANT, manager
from gw_alerts.cases.samples import GAP, STALE, Mark, Samples, counting, mapped, steps, without
from gw_alerts.cases.shapes import of, twice
from gw_alerts.catalog.budgets import BUDGET_ALERTS
from gw_alerts.model import Alert

_FAST = {alert.slo: alert for alert in BUDGET_ALERTS if alert.name.endswith("Fast")}
_SLOW = {alert.slo: alert for alert in BUDGET_ALERTS if alert.name.endswith("Slow")}
_PER_MINUTE = 6000.0
LONG_MINUTES = 4
"""The unit of cases that last for hours: less than the five minutes for which Prometheus believes what was recorded."""
_HOUR = 60 // LONG_MINUTES


def _objective(name: str) -> slos.Objective:
    return next(each for each in slos.OBJECTIVES if each.name == name)


@dataclass(frozen=True, slots=True)
class _Goal:
    """An objective with the series that say so many events and so many misses."""

    name: str
    build: Callable[..., tuple[Series, ...]]

    @property
    def objective(self) -> slos.Objective:
        """Of the catalogue."""
        return _objective(self.name)

    @property
    def is_timed(self) -> bool:
        """Whether misses are told by a histogram."""
        return self.name.startswith("pod-creation")


def _less(events: Samples, missed: Samples) -> Samples:
    return tuple(
        all_ if isinstance(all_, Mark) or isinstance(bad, Mark) else all_ - bad
        for all_, bad in zip(events, missed, strict=True)
    )


def _pods(bound: float) -> Callable[..., tuple[Series, ...]]:
    after = next(each for each in m.POD_CREATION_LATENCY.buckets if each > bound)

    def build(events: Samples, missed: Samples, **labels: str) -> tuple[Series, ...]:
        # What is good is so at once, and by that for the stricter objective, too.
        good = _less(events, missed)
        return histogram({m.POD_CREATION_LATENCY.buckets[0]: good, bound: good, after: events}, **labels)

    return build


def _claims(events: Samples, missed: Samples, **labels: str) -> tuple[Series, ...]:
    return (
        of(m.JOBS_ACQUIRED, _less(events, missed), **labels),
        of(m.JOB_ACQUISITION_ERRORS, missed, **{"reason": "other", **labels}),
        # Races that are lost to other runners count for nothing.
        of(
            m.JOB_ACQUISITION_ERRORS,
            mapped(events, lambda value, _: value * 5),
            **{"reason": "already_claimed", **labels},
        ),
    )


_GOALS = (
    _Goal("pod-creation-15s", _pods(15)),
    _Goal("pod-creation-60s", _pods(60)),
    _Goal("job-acquisition", _claims),
)


def _span(alert: Alert, start: int, end: int | None = None, value: float = 0) -> Span:
    return Span(alert, alert.arms[0], start, end, TENANT, value)


def _case(alert: Alert, name: str, proofs: set[Proof], series: tuple[Series, ...], *fires: Span, is_told: bool = False,
          unclear: range = range(0)) -> Case:  # fmt: skip
    until = (len(series[0].samples) - 1) // 2
    return Case(
        alert, alert.arms[0], name, frozenset(proofs), series, until, fires, is_told, unclear=frozenset(unclear)
    )


def _fast(goal: _Goal) -> list[Case]:
    """The slower one of the fast pairs decides while Prometheus knows no more than a few hours."""
    alert, until = _FAST[goal.name], 55
    quick, slow = (slos.bound(goal.objective, pair) for pair in slos.FAST)
    wait = alert.arms[0].for_minutes
    first = 1 + wait

    def share(
        part: float, per_minute: float = _PER_MINUTE, *, end: float = until, resets: tuple[float, ...] = ()
    ) -> tuple[Series, ...]:
        missed = counting(until, (0, per_minute * part), (end, 0), resets=resets)
        return goal.build(counting(until, (0, per_minute), resets=resets), missed)

    def case(
        name: str, proof: Proof, series: tuple[Series, ...], *fires: Span, told: bool = False, unclear: range = range(0)
    ) -> Case:
        return _case(alert, name, {proof}, series, *fires, is_told=told, unclear=unclear)

    above = slow * 1.02
    few = slos.FEWEST_IN_AN_HOUR / 60
    lost = share(above)
    gone = _unseen(lost, 20, until + 1, STALE)
    short = max(1, int(60 * quick / 2))
    spike = goal.build(
        counting(100, (0, _PER_MINUTE)), counting(100, (0, 0), (70, _PER_MINUTE), (70 + short, 0))
    )  # fmt: skip
    return [
        case("below", Proof.BELOW, share(slow * 0.98)),
        case("at", Proof.AT, share(slow)),
        case("above", Proof.ABOVE, share(above), _span(alert, first, value=above), told=True),
        case("ends", Proof.BUSY, share(above, end=30), _span(alert, first, 35), unclear=range(30, 36)),
        case("a spike", Proof.BRIEF, spike),
        case("too few events", Proof.RARE, share(1, few * 0.98)),
        case("too few events seen twice", Proof.REPLICAS, twice(share(1, few * 0.98))),
        # A rate is told too low while its series is young.
        case("events enough", Proof.RARE, share(1, few * 1.1), _span(alert, first), unclear=range(1, 40)),
        case("nothing happens", Proof.IDLE, share(1, 0)),
        case("reset", Proof.RESET, share(slow, resets=(20,))),
        case("short gap", Proof.SHORT_GAP, _unseen(share(slow), 20, 24)),
        case("long gap", Proof.LONG_GAP, _unseen(share(slow), 20, 26)),
        *([case("old spelling", Proof.SPELLING, _spelled_anew(lost), _span(alert, first))] if goal.is_timed else []),
        case("gone", Proof.ABSENT, gone, _span(alert, first, until), unclear=range(21, until + 1)),
        case("two agents", Proof.REPLICAS, (*share(slow), *goal.build(
            counting(until, (0, 60)), counting(until, (0, 60 * slow)), pod="other"
        ))),
    ]  # fmt: skip


def _unseen(series: tuple[Series, ...], start: int, end: int, mark: Mark = GAP) -> tuple[Series, ...]:
    return tuple(Series(each.name, each.labels, without(each.samples, start, end, mark)) for each in series)


def _spelled_anew(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """Bounds as another client writes them: `15` in place of `15.0`."""
    return tuple(
        Series(each.name, {**each.labels, "le": each.labels["le"].removesuffix(".0")}, each.samples)
        if "le" in each.labels else each
        for each in series
    )  # fmt: skip


def _after_hours(goal: _Goal) -> list[Case]:
    """The quicker one of the fast pairs, after hours in which all was well."""
    alert, slow = _FAST[goal.name], _SLOW[goal.name]
    bound = slos.bound(goal.objective, slos.FAST[0])
    well = 6 * _HOUR
    until = well + _HOUR + 6
    full = well + _HOUR
    # Long windows read what is recorded each full hour.
    later = _span(slow, full + _waits(slow))

    def case(name: str, proof: Proof, part: float, *fires: Span, unclear: range = range(0)) -> Case:
        missed = counting(until, (0, 0), (well, LONG_MINUTES * _PER_MINUTE * part))
        series = goal.build(counting(until, (0, LONG_MINUTES * _PER_MINUTE)), missed)
        return _case(alert, name, {proof}, series, *fires, later, unclear=unclear)

    return [
        case("below after hours", Proof.BELOW, bound * 0.98),
        case("at after hours", Proof.AT, bound),
        case("above after hours", Proof.ABOVE, bound * 1.02, _span(alert, full + 2), unclear=range(full, full + 2)),
    ]


def _waits(alert: Alert) -> int:
    """How many evaluations it holds before it fires, where they are rare."""
    return math.ceil(alert.arms[0].for_minutes / LONG_MINUTES)


def _slow(goal: _Goal) -> list[Case]:
    """The slower one of the slow pairs decides while Prometheus knows no more than an hour or two."""
    alert, until = _SLOW[goal.name], 90
    bound = slos.bound(goal.objective, slos.SLOW[1])
    # Long windows read what is recorded each full hour.
    start = 60 + alert.arms[0].for_minutes

    def share(
        part: float, per_minute: float = _PER_MINUTE, *, end: float = until, resets: tuple[float, ...] = ()
    ) -> tuple[Series, ...]:
        missed = counting(until, (0, per_minute * part), (end, 0), resets=resets)
        return goal.build(counting(until, (0, per_minute), resets=resets), missed)

    few = slos.FEWEST_IN_A_DAY / 1440
    lost = share(bound * 1.02)
    gone, back = _unseen(lost, 82, until + 1, STALE), _unseen(lost, 62, 66)
    return [
        _case(alert, "below", {Proof.BELOW}, share(bound * 0.98)),
        _case(alert, "at", {Proof.AT}, share(bound)),
        _case(alert, "above", {Proof.ABOVE, Proof.BUSY}, lost, _span(alert, start, value=bound * 1.02), is_told=True),
        _case(alert, "too few events", {Proof.RARE}, share(1, few * 0.98)),
        _case(alert, "events enough", {Proof.RARE}, share(1, few * 1.1), _span(alert, start)),
        _case(alert, "gone", {Proof.ABSENT}, gone, _span(alert, start)),
        _case(alert, "short gap", {Proof.SHORT_GAP}, back, _span(alert, start)),
        _case(alert, "long gap", {Proof.LONG_GAP}, _unseen(share(bound), 62, 68)),
        _case(alert, "for an hour", {Proof.BRIEF}, share(bound * 1.02, end=64)),
        _case(alert, "reset", {Proof.RESET}, share(bound, resets=(20,))),
        *(
            [_case(alert, "old spelling", {Proof.SPELLING}, _spelled_anew(lost), _span(alert, start))]
            if goal.is_timed
            else []
        ),
    ]


_SESSIONS = "session-availability"
_HISTORY = 60
"""Minutes of which a budget must know before it is judged; sessions have no number of events to go by."""


def _groups(
    until: int, of_all: int, lost: int, *, manager_ends: float | None = None, is_gone: bool = False
) -> tuple[Series, ...]:
    """So many groups, some of which have no session from the beginning on."""
    ends = ((manager_ends, STALE),) if manager_ends is not None else ()
    told = steps(until, (0, 1), *ends)
    series = [manager(told)]
    for number in range(of_all):
        group = {"runner_group": f"group-{number}"}
        series.append(of(m.EXPECTED_SESSIONS, told, **group))
        if number >= lost:
            series.append(of(m.ACTIVE_SESSIONS, steps(until, (0, 3)), **group))
        elif not is_gone:
            series.append(of(m.ACTIVE_SESSIONS, steps(until, (0, 0)), **group))
    return tuple(series)


def _sessions() -> list[Case]:
    """A share of the groups is without a session; it is the same in every window."""
    alert, until = _FAST[_SESSIONS], _HISTORY + 20
    bound = slos.bound(_objective(_SESSIONS), slos.FAST[1])
    most = round(1 / bound)
    start = _HISTORY + 1 + alert.arms[0].for_minutes
    suspended = (
        manager(steps(until, (0, 1))), of(m.EXPECTED_SESSIONS, steps(until, (0, 0))),
        of(m.ACTIVE_SESSIONS, steps(until, (0, 0))),
    )  # fmt: skip

    def one(samples: Samples) -> tuple[Series, ...]:
        return (
            manager(steps(until, (0, 1))),
            of(m.EXPECTED_SESSIONS, steps(until, (0, 1))),
            of(m.ACTIVE_SESSIONS, samples),
        )

    def case(name: str, proof: Proof, series: tuple[Series, ...], value: float = 0, *, is_told: bool = False) -> Case:
        fires = (_span(alert, start, value=round(value, 6)),) if value else ()
        return _case(alert, name, {proof}, series, *fires, is_told=is_told)

    return [
        case("below", Proof.BELOW, _groups(until, most + 1, 1)),
        case("at", Proof.AT, _groups(until, round(3 / bound), 3)),
        case("above", Proof.ABOVE, _groups(until, most, 1), 1 / most, is_told=True),
        case("gone", Proof.ABSENT, _groups(until, 1, 1, is_gone=True), 1),
        case("the manager is gone first", Proof.MEMORY, _groups(until, 1, 1, manager_ends=5), 1),
        case("suspended", Proof.IDLE, suspended),
        case("for a minute", Proof.BRIEF, one(steps(until, (0, 3), (_HISTORY + 5, 0), (_HISTORY + 6, 3)))),
        case("short gap", Proof.SHORT_GAP, one(without(steps(until, (0, 3)), _HISTORY + 5, _HISTORY + 9))),
        case("long gap", Proof.LONG_GAP, one(without(steps(until, (0, 3)), _HISTORY + 5, _HISTORY + 11))),
    ]


def _long_sessions() -> list[Case]:
    """The same over days."""
    fast, slow = _FAST[_SESSIONS], _SLOW[_SESSIONS]
    until = 25 * _HOUR
    quick = _span(fast, _HOUR + 2, value=1)
    start = 24 * _HOUR + 1 + _waits(slow)

    def case(name: str, proof: Proof, series: tuple[Series, ...], *fires: Span, is_told: bool = False) -> Case:
        # How soon the fast one is told is not looked at here.
        return _case(slow, name, {proof}, series, *fires, is_told=is_told, unclear=range(_HOUR, _HOUR + 4))

    return [
        case("below", Proof.BELOW, _groups(until, 1, 0)),
        case(
            "for some minutes",
            Proof.BRIEF,
            (
                manager(steps(until, (0, 1))),
                of(m.EXPECTED_SESSIONS, steps(until, (0, 1))),
                of(m.ACTIVE_SESSIONS, steps(until, (0, 3), (start - 1, 0), (start, 3))),
            ),
        ),
        case("above", Proof.ABOVE, _groups(until, 50, 1), _span(slow, start, value=0.02), is_told=True),
        case("gone", Proof.ABSENT, _groups(until, 1, 1, is_gone=True), quick, _span(slow, start, value=1)),
    ]


CASES: tuple[Case, ...] = (
    *(case for goal in _GOALS for case in (*_fast(goal), *_slow(goal))),
    *_sessions(),
)
LONG_CASES: tuple[Case, ...] = (*(case for goal in _GOALS for case in _after_hours(goal)), *_long_sessions())
