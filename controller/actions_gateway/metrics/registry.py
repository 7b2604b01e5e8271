"""The live metrics of one process, instantiated from the catalogue."""

import itertools
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

from actions_gateway.metrics.catalog import BUILD_INFO, CATALOG, Component, Kind, Metric

_Family = Counter | Gauge | Histogram


class Metrics:
    """All metrics of one component; using a metric that the component does not export raises KeyError."""

    def __init__(self, component: Component, version: str) -> None:
        # A `_created` series per counter and bucket set doubles the series for a time that nobody queries.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._metrics = [metric for metric in CATALOG if component in metric.components]
        self._families = {metric.name: self._family(metric) for metric in self._metrics}
        self.set(BUILD_INFO, 1, component=component.value, version=version)
        self.open()

    def inc(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Adds to a counter or gauge."""
        self._child(metric, labels).inc(amount)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._child(metric, labels).set(value)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Adds an observation to a histogram."""
        self._child(metric, labels).observe(value)

    def open(self, **labels: str) -> None:
        """Creates at zero every series whose free labels are exactly `labels`, for all known values of the others."""
        for metric in self._matching(labels):
            for known in _known_values(metric):
                self._child(metric, labels | known)

    def close(self, **labels: str) -> None:
        """Removes every series that carries all of `labels`."""
        for metric in self._metrics:
            if labels.keys() <= metric.labels.keys() and labels:
                self._families[metric.name].remove_by_labels(dict(labels))

    def value(self, metric: Metric, **labels: str) -> float | None:
        """The current value of a counter or gauge, the count of a histogram; None when the series does not exist."""
        suffix = "_count" if metric.kind is Kind.HISTOGRAM else ""
        return self._registry.get_sample_value(metric.name + suffix, labels)

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self._registry)

    def _family(self, metric: Metric) -> _Family:
        arguments: dict[str, Any] = {"registry": self._registry, "labelnames": tuple(metric.labels)}
        match metric.kind:
            case Kind.COUNTER:
                return Counter(metric.name, metric.help, **arguments)
            case Kind.GAUGE:
                return Gauge(metric.name, metric.help, **arguments)
            case Kind.HISTOGRAM:
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
