"""A gauge with many series: a dictionary, where the library's own holds an object with a lock for each of them.

A thousand tenants have some 60,000 series of conditions. As the library's objects they take three times the memory,
and a scrape of them holds up the event loop for half a second.
"""

import sys
from collections.abc import Iterator, Mapping

from prometheus_client.utils import floatToGoString

from actions_gateway.metrics.catalog import Metric

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
"""Prometheus' exposition formats, "Text-based format"."""


class SeriesGauge:
    """The series of one gauge by the values of their labels, for use in one thread."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._names = tuple(metric.labels)
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, labels: Mapping[str, str], value: float) -> None:
        """Sets one series; raises KeyError for labels other than the catalogue's."""
        self._values[self._key(labels)] = value

    def add(self, labels: Mapping[str, str], amount: float) -> None:
        """Adds to one series, which begins at zero."""
        key = self._key(labels)
        self._values[key] = self._values.get(key, 0.0) + amount

    def begin(self, labels: Mapping[str, str]) -> None:
        """Makes one series exist, at zero if it is new."""
        self._values.setdefault(self._key(labels), 0.0)

    def value(self, labels: Mapping[str, str]) -> float | None:
        """The value of one series, or None."""
        return self._values.get(self._key(labels))

    def remove(self, labels: Mapping[str, str]) -> None:
        """Ends one series, if it exists."""
        self._values.pop(self._key(labels), None)

    def remove_matching(self, labels: Mapping[str, str]) -> None:
        """Ends every series that carries all of `labels`."""
        wanted = [(self._names.index(name), value) for name, value in labels.items()]
        for key in [key for key in self._values if all(key[place] == value for place, value in wanted)]:
            del self._values[key]

    def render(self) -> Iterator[str]:
        """The lines of the Prometheus text exposition."""
        name = self._metric.name
        yield f"# HELP {name} {self._metric.help}\n# TYPE {name} gauge\n"
        for key, value in self._values.items():
            pairs = [f'{label}="{text.translate(_ESCAPES)}"' for label, text in zip(self._names, key, strict=True)]
            labels = f"{{{','.join(pairs)}}}" if pairs else ""
            yield f"{name}{labels} {floatToGoString(value)}\n"  # type: ignore[no-untyped-call]

    def _key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        if len(labels) != len(self._names):
            raise KeyError(f"{self._metric.name} has the labels {self._names}")
        # A fleet's labels have few different values, each of them in many series.
        return tuple([sys.intern(labels[name]) for name in self._names])
