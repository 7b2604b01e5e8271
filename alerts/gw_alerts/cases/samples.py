"""What series say minute by minute, and how promtool spells that.

Samples are 30 s apart, as the monitors scrape, and rules are evaluated each minute. What changes between two samples
lies inside a window or outside of it in every Prometheus, whichever side of a window belongs to it.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise

PER_MINUTE = 2
"""Samples."""


class Mark(Enum):
    """What is not a number."""

    GAP = "_"
    """No sample: nobody asked, so Prometheus believes the last one for five minutes."""
    STALE = "stale"
    """The target or the series is gone: it ends at once."""


Sample = float | Mark
Samples = tuple[Sample, ...]
GAP, STALE = Mark.GAP, Mark.STALE


def steps(until: float, *changes: tuple[float, Sample]) -> Samples:
    """From minute 0 to `until`: each value from its minute on; before the first one there is none."""
    found: list[Sample] = []
    for index in range(_index(until) + 1):
        current: Sample = GAP
        for minute, value in changes:
            if _index(minute) <= index:
                current = value
        found.append(current)
    return _ended(found)


def counting(until: float, *rates: tuple[float, float], start: float = 0, resets: Sequence[float] = ()) -> Samples:
    """A counter that grows by so much a minute from each minute on, and begins anew at the minutes of `resets`."""
    found: list[Sample] = []
    value = start
    for index in range(_index(until) + 1):
        if index in map(_index, resets):
            value = 0.0
        found.append(value)
        rate = next((rate for minute, rate in reversed(rates) if _index(minute) <= index), 0.0)
        value += rate / PER_MINUTE
    return tuple(found)


def mapped(samples: Samples, change: Callable[[float, float], float]) -> Samples:
    """Each number by its value and its second."""
    seconds = 60 / PER_MINUTE
    return tuple(
        sample if isinstance(sample, Mark) else change(sample, index * seconds) for index, sample in enumerate(samples)
    )


def without(samples: Samples, start: float, end: float, mark: Mark = GAP) -> Samples:
    """The same without what lies from `start` to just before `end`."""
    lost = range(_index(start), _index(end))
    return _ended([mark if index in lost else sample for index, sample in enumerate(samples)])


def spelled(samples: Samples) -> str:
    """In promtool's notation."""
    parts, index = [], 0
    while index < len(samples):
        length = _run(samples[index:])
        parts.append(_part(samples[index : index + length]))
        index += length
    return " ".join(parts)


def _index(minute: float) -> int:
    return round(minute * PER_MINUTE)


def _ended(samples: Sequence[Sample]) -> Samples:
    """A series ends once."""
    return tuple(
        GAP if index and sample is STALE and samples[index - 1] is STALE else sample
        for index, sample in enumerate(samples)
    )


def _run(samples: Samples) -> int:
    """How many samples from the first on go by the same difference."""
    first = samples[0]
    if isinstance(first, Mark):
        return next((index for index, sample in enumerate(samples) if sample is not first), len(samples))
    length, difference = 1, None
    for before, after in pairwise(samples):
        if isinstance(before, Mark) or isinstance(after, Mark) or difference not in (None, after - before):
            break
        difference = after - before
        length += 1
    # Two numbers always have a difference; they are one part only when it is none.
    return 1 if length == 2 and difference else length


def _part(samples: Samples) -> str:
    first, more = samples[0], len(samples) - 1
    if isinstance(first, Mark):
        return "_" if not more and first is GAP else f"_x{len(samples)}" if first is GAP else "stale"
    if not more:
        return _number(first)
    second = samples[1]
    assert not isinstance(second, Mark)
    difference = second - first
    if not difference or difference != difference:
        return f"{_number(first)}x{more}"
    return f"{_number(first)}{'+' if difference > 0 else '-'}{_number(abs(difference))}x{more}"


def _number(value: float) -> str:
    if value in (float("inf"), float("-inf")):
        return "Inf" if value > 0 else "-Inf"
    return f"{value:.0f}" if value == int(value) else repr(value)
