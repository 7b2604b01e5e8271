"""Kinds of rules and the cases that each needs: a bound on a gauge, a rate, a count of events, an event at all.

Whatever is not of these kinds has its cases written by hand in the module of its alert.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from actions_gateway.metrics.catalog import Metric
from gw_alerts.cases.model import Case, Proof, Series, Span
from gw_alerts.cases.samples import GAP, STALE, Samples, counting, steps, without
from gw_alerts.foreign import ForeignSeries
from gw_alerts.model import Alert, Arm
from gw_alerts.thresholds import Threshold

BEGIN = 5
"""The minute in which something goes wrong."""
CALM = 3
"""Minutes that are looked at after all is well again."""
POD = "one"
BUSY = 6000.0
"""A minute: a hundred each second."""
_FEW_SAMPLES = 3
"""Minutes: a window of at most so many holds a handful."""

_DEFAULTS = {"namespace": "team-a", "runner_group": "ci-cpu", "name": "ci", "quota": "tenant", "pod": POD}
"""Of labels whose values come from objects; each case may name others."""

_EXACT = re.compile(r'(\w+)="([^"]*)"')


def of(metric: Metric | ForeignSeries, samples: Samples, part: str = "", **labels: str) -> Series:
    """A series as its process exports it and Prometheus scrapes it; `part` is that of a histogram."""
    known = dict(_EXACT.findall(metric.matchers)) if isinstance(metric, ForeignSeries) else {}
    for name in metric.labels:
        values = metric.labels[name] if isinstance(metric, Metric) else None
        default = values[0] if values else _DEFAULTS.get(name)
        if default is not None:
            known[name] = default
    target = {"namespace": _DEFAULTS["namespace"], "pod": POD, "job": "whatever"}
    return Series(metric.name + part, {**target, **known, **labels}, samples)


Build = Callable[[Samples], tuple[Series, ...]]


@dataclass(frozen=True, slots=True)
class Subject:
    """The arm that cases are made for."""

    alert: Alert
    arm: Arm
    build: Build
    """The series, when the value that is judged goes by these samples."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The labels of its instance."""
    also: tuple[tuple[Alert, Arm], ...] = ()
    """Alerts that share the arm's condition wherever it is bad, with their own `for`."""

    @property
    def threshold(self) -> Threshold:
        """The first number that the arm compares with."""
        return self.arm.thresholds[0]

    @property
    def everything(self) -> tuple[tuple[Alert, Arm], ...]:
        """The arm and what fires with it."""
        return ((self.alert, self.arm), *self.also)

    def span(self, begin: int, end: int | None, value: float) -> Span:
        """It fires on what is bad from `begin` until before `end`."""
        return self.spans(begin, end, value)[0]

    def spans(self, begin: int, end: int | None, value: float) -> tuple[Span, ...]:
        """It and what fires with it."""
        return tuple(
            Span(
                alert, arm, begin + arm.for_minutes, end + alert.keep_firing_minutes if end is not None else None,
                self.labels, value,
            )
            for alert, arm in self.everything
        )  # fmt: skip

    def case(
        self, name: str, samples: Samples, *fires: Span, proofs: frozenset[Proof], is_told: bool = False,
        series: tuple[Series, ...] = (), unclear: frozenset[int] = frozenset(),
    ) -> Case:  # fmt: skip
        """A case of the arm; its name begins with the arm's."""
        title = f"{self.arm.name} {name}" if self.arm.name else name
        until = (len(samples) - 1) // 2
        return Case(
            self.alert, self.arm, title, proofs, (*self.build(samples), *series), until, fires, is_told,
            unclear=unclear,
        )  # fmt: skip

    def seen_twice(self, samples: Samples, *fires: Span) -> Case:
        """What two Prometheus servers tell of one process is nothing more."""
        case = self.case("seen twice", samples, *fires, proofs=frozenset({Proof.REPLICAS}), is_told=bool(fires))
        return replace(case, series=twice(case.series))


def is_bad(threshold: Threshold, value: float) -> bool:
    """Whether a value is on the bad side."""
    match threshold.comparison:
        case ">":
            return value > threshold.value
        case "<":
            return value < threshold.value
        case ">=":
            return value >= threshold.value
        case "<=":
            return value <= threshold.value
        case "=":
            return value == threshold.value
    raise ValueError(f"unknown comparison {threshold.comparison!r}")


def sides(threshold: Threshold, step: float) -> tuple[tuple[Proof, float], ...]:
    """Values at the threshold and a step to either side."""
    bound = threshold.value
    better = -step if threshold.comparison in (">", ">=") else step
    found = [(Proof.BELOW, bound + better), (Proof.AT, bound)]
    if threshold.comparison != "=":
        found.append((Proof.ABOVE, bound - better))
    return tuple((proof, round(value, 9)) for proof, value in found)


def gauge(subject: Subject, *, calm: float, step: float, held: int = 0, best_counts: bool = False) -> list[Case]:
    """A state that is bad for a while.

    `held`: for so many minutes the rule looks back. `best_counts`: of several processes the best one decides.
    """
    wait, keep = subject.arm.for_minutes, subject.alert.keep_firing_minutes
    end = BEGIN + wait + 4
    until = end + held + keep + CALM
    cases = []
    for proof, value in sides(subject.threshold, step):
        samples = steps(until, (0, calm), (BEGIN, value), (end, calm))
        is_one = is_bad(subject.threshold, value)
        fires = subject.spans(BEGIN, end + held, value) if is_one else ()
        told = is_one and (proof is Proof.ABOVE or subject.threshold.comparison == "=")
        cases.append(subject.case(proof.name.lower(), samples, *fires, proofs=frozenset({proof}), is_told=told))
    bad = next(value for _, value in reversed(sides(subject.threshold, step)) if is_bad(subject.threshold, value))
    constant = steps(until, (0, calm), (BEGIN, bad))
    if wait:
        brief = steps(until, (0, calm), (BEGIN, bad), (BEGIN + wait - held, calm))
        cases.append(subject.case("brief", brief, proofs=frozenset({Proof.BRIEF})))
    gone = without(constant, end, until + 1, STALE)
    worst = () if best_counts else subject.spans(BEGIN, None, bad)
    well = _elsewhere(subject.build(steps(until, (0, calm))))
    both = subject.case("replicas", constant, *worst, proofs=frozenset({Proof.REPLICAS}), series=well)
    return [
        *cases,
        subject.case("gone", gone, *subject.spans(BEGIN, end + held, bad), proofs=frozenset({Proof.ABSENT})),
        _gap(subject, calm, bad, Proof.SHORT_GAP, 4, held),
        _gap(subject, calm, bad, Proof.LONG_GAP, 6, held),
        both,
        *([_restart(subject, constant, bad)] if keep else []),
    ]


def twice(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """The same targets, of which another Prometheus writes into the same store."""
    return tuple(series_ for each in series for series_ in (each, each.within(prometheus_replica="other")))


def _elsewhere(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """The same of another process."""
    return tuple(Series(each.name, {**each.labels, "pod": "other"}, each.samples) for each in series)


def _gap(subject: Subject, calm: float, bad: float, proof: Proof, minutes: int, held: int) -> Case:
    """Prometheus believes a sample for five minutes, or as long as the rule looks back; then it begins anew."""
    lost = BEGIN + 1
    until = lost + minutes + subject.arm.for_minutes + CALM
    samples = without(steps(until, (0, calm), (BEGIN, bad)), lost, lost + minutes)
    unseen = lost + (held or 5)
    fires: list[Span] = []
    for alert, arm in subject.everything:
        after = Span(alert, arm, lost + minutes + arm.for_minutes, None, subject.labels, bad)
        if minutes < (held or 5) or (alert.keep_firing_minutes and BEGIN + arm.for_minutes < unseen):
            fires.append(Span(alert, arm, BEGIN + arm.for_minutes, None, subject.labels, bad))
        elif BEGIN + arm.for_minutes < unseen:
            fires += [Span(alert, arm, BEGIN + arm.for_minutes, unseen, subject.labels, bad), after]
        else:
            fires.append(after)
    return subject.case(proof.name.lower().replace("_", " "), samples, *fires, proofs=frozenset({proof}))


def _restart(subject: Subject, constant: Samples, bad: float) -> Case:
    """Its process is replaced while it fires: nothing is resolved meanwhile."""
    begin = BEGIN + subject.arm.for_minutes + 1
    until = (len(constant) - 1) / 2
    before = without(constant, begin, until + 1, STALE)
    after = _elsewhere(subject.build(without(constant, 0, begin + 2)))
    return subject.case(
        "restart", before, *subject.spans(BEGIN, None, bad), proofs=frozenset({Proof.RESTART}), series=after
    )


def rate(subject: Subject, *, window: int, unit: float, rare: float = 0.1) -> list[Case]:
    """Events by how fast they come; `unit` is how many a minute make one of the threshold."""
    wait = subject.arm.for_minutes
    stop = BEGIN + window + wait + 3
    until = max(stop + CALM, 2 * window + wait)
    cases = []
    for proof, value in sides(subject.threshold, subject.threshold.value * 0.02):
        samples = counting(until, (BEGIN, value * unit), (stop, 0.0), start=40)
        fires = []
        if is_bad(subject.threshold, value):
            # The window is full of the bad rate for the first time, and a minute after the last event no more.
            fires = [subject.span(BEGIN + window, stop + 1, value)]
        cases.append(subject.case(proof.name.lower(), samples, *fires, proofs=frozenset({proof}), is_told=bool(fires)))
    at = subject.threshold.value * unit
    brief = counting(until, (BEGIN, at * 1.02), (BEGIN + window + wait - 1, 0.0), start=40)
    gaps = without(without(counting(until, (0, at)), 6, 10), window + 8, window + 14)
    return [
        *cases,
        *([subject.case("brief", brief, proofs=frozenset({Proof.BRIEF}))] if wait else []),
        subject.case(
            "reset", counting(until, (0, at), start=40, resets=(window + 2,)), proofs=frozenset({Proof.RESET})
        ),
        subject.case("rare", counting(until, (0, rare), start=40), proofs=frozenset({Proof.RARE})),
        subject.seen_twice(counting(until, (0, at), start=40)),
        subject.case("gaps", gaps, proofs=frozenset({Proof.SHORT_GAP, Proof.LONG_GAP})),
        _busy(subject, window),
    ]


def _busy(subject: Subject, window: int, start: float = 40, also: tuple[tuple[Alert, Arm, int], ...] = ()) -> Case:
    """A hundred a second, until the process is gone; what it counted leaves the window afterwards."""
    gone = BEGIN + 1 + subject.arm.for_minutes + 3
    until = gone + max(window, *(longer for *_, longer in also), 0) + CALM
    samples = without(counting(until, (BEGIN, BUSY), start=start), gone, until + 1, STALE)
    span = subject.span(BEGIN + 1, gone + window, BUSY)
    more = (Span(alert, arm, BEGIN + 1 + arm.for_minutes, gone + longer, subject.labels) for alert, arm, longer in also)
    ends = ((subject.alert, window), *((alert, longer) for alert, _, longer in also))
    unclear = frozenset(gone + longer - 1 + alert.keep_firing_minutes for alert, longer in ends)
    proofs = frozenset({Proof.BUSY, Proof.ABSENT})
    return subject.case("busy and gone", samples, span, *more, proofs=proofs, unclear=unclear)


def events(subject: Subject, *, window: int, again: int = 0) -> list[Case]:
    """Whole events within a window; `again` minutes later they happen once more, where `for` outlasts the window."""
    until = BEGIN + again + window + CALM
    cases = []
    for proof, value in sides(subject.threshold, 1):
        if value < 0:
            continue
        samples = steps(until, (0, 40), (BEGIN, 40 + value), *(((BEGIN + again, 40 + 2 * value),) if again else ()))
        fires = [subject.span(BEGIN, BEGIN + again + window, value)] if is_bad(subject.threshold, value) else []
        told = bool(fires) and proof is Proof.ABOVE
        cases.append(subject.case(proof.name.lower(), samples, *fires, proofs=frozenset({proof}), is_told=told))
    most = max(value for _, value in sides(subject.threshold, 1) if value >= 0 and not is_bad(subject.threshold, value))
    one = subject.threshold.value + 1
    once = steps(BEGIN + window + CALM, (0, 40), (BEGIN, 40 + one))
    # Late enough that nothing is extrapolated from a series that is younger than the window.
    first = window + 2
    apart = steps(first + 2 * window + 6 + CALM, (0, 40), (first, 40 + most), (first + window, 40 + 2 * most))
    # Of a window of few samples half is soon lost, and what is extrapolated from the rest differs between versions.
    lost = first + 1 if window > _FEW_SAMPLES else first + 2 * window
    return [
        *cases,
        *([subject.case("once", once, proofs=frozenset({Proof.BRIEF}))] if again else []),
        subject.case("reset", steps(until, (0, 40), (BEGIN, most)), proofs=frozenset({Proof.RESET})),
        subject.case("born", steps(until, (BEGIN, one)), proofs=frozenset({Proof.BORN})),
        subject.seen_twice(steps(until, (0, 40), (BEGIN, 40 + most))),
        subject.case("apart", apart, proofs=frozenset({Proof.RARE})),
        subject.case("short gap", without(apart, lost, lost + 4), proofs=frozenset({Proof.SHORT_GAP})),
        subject.case("long gap", without(apart, lost, lost + 6), proofs=frozenset({Proof.LONG_GAP})),
        _busy(subject, window),
    ]


def any_event(
    subject: Subject, *, window: int, exporter: Callable[[Samples], Series],
    also: tuple[tuple[Alert, Arm, int], ...] = (),
) -> list[Case]:  # fmt: skip
    """A single event is enough, the first of a series as well; nothing else is, and nothing is told twice.

    `exporter`: that a process of the component is scraped. `also`: what fires on many of them, and its window.
    """
    until = BEGIN + window + CALM
    seen = subject.span(BEGIN, BEGIN + window, 1)

    def case(name: str, samples: Samples, proof: Proof, *fires: Span, is_told: bool = False) -> Case:
        return subject.case(name, samples, *fires, proofs=frozenset({proof}), is_told=is_told)

    once = steps(until, (0, 0), (BEGIN, 1))
    gone = without(once, BEGIN + 1, until + 1, STALE)
    return [
        case("none", steps(until, (0, 0)), Proof.AT),
        case("one", once, Proof.ABOVE, seen, is_told=True),
        case("reset", steps(until, (0, 0), (BEGIN, 1), (BEGIN + 3, 0)), Proof.RESET, seen),
        case("rare", steps(until, (0, 0), (BEGIN, 1), (BEGIN + 10, 2)), Proof.RARE, subject.span(BEGIN, None, 1)),
        case("short gap", without(once, BEGIN + 1, BEGIN + 5), Proof.SHORT_GAP, seen),
        case("long gap", without(once, BEGIN + 1, BEGIN + 7), Proof.LONG_GAP, seen),
        case("gone", gone, Proof.ABSENT, seen),
        subject.seen_twice(once, seen),
        *_born(subject, window, exporter),
        _busy(subject, window, start=0, also=also),
    ]


def _born(subject: Subject, window: int, exporter: Callable[[Samples], Series]) -> list[Case]:
    """A first sample that is not zero is an event where somebody has looked before, and no process is known by it."""
    new = window + BEGIN
    until = new + window + CALM
    always, old = steps(until, (0, 1)), steps(until, (0, 40))
    unseen = (BEGIN, new)
    found = tuple(each.within(endpoint="metrics") for each in subject.build(steps(until, (new, 40))))

    def case(name: str, samples: Samples, proof: Proof, process: Samples, *fires: Span) -> Case:
        return subject.case(name, samples, *fires, proofs=frozenset({proof}), series=(exporter(process),))

    return [
        case("born", steps(until, (new, 1)), Proof.BORN, always, subject.span(new, new + window, 1)),
        case("Prometheus is new", old, Proof.BELOW, always),
        case("Prometheus was away", without(old, *unseen), Proof.LONG_GAP, without(always, *unseen)),
        case("it was not scraped", without(old, *unseen), Proof.LONG_GAP, always),
        subject.case("it is found in another way", without(old, new, until + 1, STALE),
                     proofs=frozenset({Proof.REPLICAS}), series=(exporter(always), *found)),
    ]  # fmt: skip


def expectation(
    subject: Subject, *, told: Callable[[Samples], Series], leads: Callable[[Samples], Series]
) -> list[Case]:
    """What the manager expects against what is there; `subject.build` makes the series of what is there.

    The manager may be gone first, and what it expected be deleted or suspended.
    """
    until = 30
    wait = subject.arm.for_minutes
    always, there = steps(until, (0, 1)), steps(until, (0, 1))
    gone = steps(until, (0, 1), (BEGIN, STALE))
    fires = subject.span(BEGIN, None, 1)

    def case(name: str, proof: Proof, samples: Samples, *spans: Span, expected: Samples = always,
             manager: Samples = always, is_told: bool = False) -> Case:  # fmt: skip
        return subject.case(
            name, samples, *spans, proofs=frozenset({proof}), series=(told(expected), leads(manager)), is_told=is_told
        )

    first = steps(until, (0, 1), (1, STALE))
    later = steps(until, (0, 1), (20, STALE))
    unseen = without(always, 8, 14)
    handed = without(always, BEGIN + 3, BEGIN + 5, STALE)
    return [
        case("there", Proof.AT, there),
        case("gone", Proof.ABOVE, gone, fires, is_told=True),
        case("never there", Proof.ABSENT, steps(until, (0, GAP)), subject.span(0, None, 1)),
        case("brief", Proof.BRIEF, without(there, BEGIN, BEGIN + wait, STALE)),
        case("short gap", Proof.SHORT_GAP, without(there, BEGIN, BEGIN + 4)),
        case("long gap", Proof.LONG_GAP, without(there, BEGIN, BEGIN + 4 + 1 + wait)),
        case("manager first", Proof.MEMORY, gone, fires, expected=first, manager=first),
        case("manager restarted", Proof.RESTART, gone, fires, expected=handed, manager=handed),
        case("manager unseen", Proof.LONG_GAP, gone, fires, expected=unseen, manager=unseen),
        case("none expected", Proof.IDLE, gone, expected=steps(until, (0, 0))),
        case("none expected lately", Proof.IDLE, gone, expected=steps(until, (0, 1), (3, 0), (10, STALE)),
             manager=steps(until, (0, 1), (10, STALE))),
        case("deleted", Proof.DELETED, gone, expected=gone),
        case("deleted before the manager went", Proof.DELETED, gone, expected=gone, manager=later),
    ]  # fmt: skip
