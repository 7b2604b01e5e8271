"""The live metrics of one process, instantiated from the catalogue."""

import itertools
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

from actions_gateway.metrics.catalog import BUILD_INFO, CATALOG, Component, Kind, Metric
from actions_gateway.metrics.gauges import SeriesGauge

_Family = Counter | Histogram


class Metrics:
    """All metrics of one component; using a metric that the component does not export raises KeyError."""

    def __init__(self, component: Component, version: str) -> None:
        # A `_created` series per counter and bucket set doubles the series for a time that nobody queries.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._metrics = [metric for metric in CATALOG if component in metric.components]
        self._gauges = {metric.name: SeriesGauge(metric) for metric in self._metrics if metric.kind is Kind.GAUGE}
        self._families = {metric.name: self._family(metric) for metric in self._metrics if metric.kind != Kind.GAUGE}
        self.set(BUILD_INFO, 1, component=component.value, version=version)
        self.open()

    def inc(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Adds to a counter or gauge."""
        if gauge := self._gauges.get(metric.name):
            gauge.add(labels, amount)
        else:
            self._child(metric, labels).inc(amount)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._gauges[metric.name].set(labels, value)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Adds an observation to a histogram."""
        self._child(metric, labels).observe(value)

    def open(self, **labels: str) -> None:
        """Creates at zero every series whose free labels are exactly `labels`, for all known values of the others."""
        for metric in self._matching(labels):
            for known in _known_values(metric):
                if gauge := self._gauges.get(metric.name):
                    gauge.begin(labels | known)
                else:
                    self._child(metric, labels | known)

    def end(self, metric: Metric, **labels: str) -> None:
        """Removes one series of a gauge or counter, if it exists."""
        if gauge := self._gauges.get(metric.name):
            gauge.remove(labels)
        else:
            self._families[metric.name].remove_by_labels(labels)

    def close(self, **labels: str) -> None:
        """Removes every series that carries all of `labels`."""
        for metric in self._metrics:
            if labels.keys() <= metric.labels.keys() and labels:
                if gauge := self._gauges.get(metric.name):
                    gauge.remove_matching(labels)
                else:
                    self._families[metric.name].remove_by_labels(dict(labels))

    def value(self, metric: Metric, **labels: str) -> float | None:
        """The current value of a counter or gauge, the count of a histogram; None when the series does not exist."""
        if gauge := self._gauges.get(metric.name):
            return gauge.value(labels)
        suffix = "_count" if metric.kind is Kind.HISTOGRAM else ""
        return self._registry.get_sample_value(metric.name + suffix, labels)

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        lines = (line for gauge in self._gauges.values() for line in gauge.render())
        return generate_latest(self._registry) + "".join(lines).encode()

    def _family(self, metric: Metric) -> _Family:
        arguments: dict[str, Any] = {"registry": self._registry, "labelnames": tuple(metric.labels)}
        if metric.kind is Kind.COUNTER:
            return Counter(metric.name, metric.help, **arguments)
        return Histogram(metric.name, metric.help, buckets=metric.buckets, **arguments)

    def _child(self, metric: Metric, labels: dict[str, str]) -> Any:
        family = self._families[metric.name]
        return family.labels(**labels) if metric.labels else family

    def _matching(self, labels: dict[str, str]) -> Iterable[Metric]:
        for metric in self._metrics:
            free = {name for name, values in metric.labels.items() if values is None}
            if free == labels.keys() and metric.labels:
                yield metric


def _known_values(metric: Metric) -> Iterable[dict[str, str]]:
    known = {name: values for name, values in metric.labels.items() if values is not None}
    for combination in itertools.product(*known.values()):
        yield dict(zip(known, combination, strict=True))
