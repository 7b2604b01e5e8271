"""What scrapes find, as samples of series, and as promtool's input."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gw_alerts.cases.samples import GAP, STALE, Sample, spelled

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A series: its name and its labels, sorted."""


def key_of(name: str, labels: Mapping[str, str]) -> Key:
    """The series' key."""
    return name, tuple(sorted(labels.items()))


class Recorder:
    """The samples of every series that there ever was, by the number of the scrape."""

    def __init__(self, scrape_seconds: float) -> None:
        self.scrape_seconds = scrape_seconds
        self.scrapes = 0
        self._samples: dict[Key, dict[int, float]] = {}

    def take(self, number: int, found: Iterable[tuple[Key, float]]) -> None:
        """What one scrape found."""
        self.scrapes = number + 1
        for key, value in found:
            self._samples.setdefault(key, {})[number] = value

    def series(
        self, start: int = 0, end: int | None = None, every: int = 1
    ) -> Iterator[tuple[Key, tuple[Sample, ...]]]:
        """The samples from one scrape to just before another, every one or every so many."""
        numbers = range(start, self.scrapes if end is None else end, every)
        for key, samples in sorted(self._samples.items()):
            found: list[Sample] = [samples.get(number, GAP) for number in numbers]
            if any(sample is not GAP for sample in found):
                yield key, tuple(_ended(found))

    def inputs(self, start: int = 0, end: int | None = None, every: int = 1) -> list[dict[str, Any]]:
        """`input_series` of a promtool test."""
        return [
            {"series": selector(key), "values": spelled(samples)} for key, samples in self.series(start, end, every)
        ]


def selector(key: Key) -> str:
    """As promtool writes a series."""
    name, labels = key
    pairs = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"{name}{{{pairs}}}"


def _ended(samples: list[Sample]) -> Iterator[Sample]:
    """A series that is not there any more ends at once: Prometheus marks what a scrape lacks as stale."""
    is_there = False
    for sample in samples:
        if sample is GAP and is_there:
            yield STALE
        else:
            yield sample
        is_there = sample is not GAP
