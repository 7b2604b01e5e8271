"""Fleet metrics: which agents and sessions there should be, and every condition, per gateway and runner group.

Expectations come from the manager, so that a dead agent, whose own series end with it, is missed. Only the leader
exports them. A series lives as long as the object that it tells of.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from actions_gateway.api.conditions import ConditionStatus
from actions_gateway.kube.client import Manifest
from actions_gateway.metrics.catalog import (
    CONDITION,
    CONDITION_LAST_TRANSITION,
    EXPECTED_AGENTS,
    EXPECTED_SESSIONS,
    MANAGED_GATEWAYS,
    Metric,
)
from actions_gateway.metrics.registry import Metrics

Key = tuple[str, str]
"""(namespace, name) of a gateway."""


class _Sample(NamedTuple):
    metric: Metric
    labels: dict[str, str]
    value: float

    @property
    def series(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.metric.name, tuple(sorted(self.labels.items()))


class Fleet:
    """The series of all gateways."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._samples: dict[Key, list[_Sample]] = {}
        self._served: set[Key] = set()

    def observe(self, key: Key, gateway: Manifest, groups: Iterable[Manifest], *, is_served: bool) -> None:
        """Exports what one gateway is like now, and ends the series that it has no more."""
        samples = list(_samples(gateway, list(groups), is_served=is_served))
        kept = {sample.series for sample in samples}
        self._close(sample for sample in self._samples.get(key, []) if sample.series not in kept)
        # Ending a series takes every other one along that carries the same labels: so all are set again.
        for sample in samples:
            self._metrics.set(sample.metric, sample.value, **sample.labels)
        self._samples[key] = samples
        self._count(key, is_served=is_served)

    def forget(self, key: Key) -> None:
        """Ends the series of a gateway that is gone or on its way out."""
        self._close(self._samples.pop(key, []))
        self._count(key, is_served=False)

    def _close(self, samples: Iterable[_Sample]) -> None:
        for sample in samples:
            self._metrics.close(**sample.labels)

    def _count(self, key: Key, *, is_served: bool) -> None:
        (self._served.add if is_served else self._served.discard)(key)
        self._metrics.set(MANAGED_GATEWAYS, len(self._served))


def _samples(gateway: Manifest, groups: list[Manifest], *, is_served: bool) -> Iterator[_Sample]:
    metadata = gateway["metadata"]
    if is_served:
        yield _Sample(EXPECTED_AGENTS, {"namespace": metadata["namespace"], "name": metadata["name"]}, 1.0)
    for group in groups:
        expected = 0.0 if (group.get("spec") or {}).get("suspended") or not is_served else 1.0
        labels = {"namespace": metadata["namespace"], "runner_group": str(group["metadata"]["name"])}
        yield _Sample(EXPECTED_SESSIONS, labels, expected)
    for manifest in (gateway, *groups):
        yield from _condition_samples(manifest)


def _condition_samples(manifest: Manifest) -> Iterator[_Sample]:
    metadata = manifest["metadata"]
    for entry in (manifest.get("status") or {}).get("conditions") or []:
        labels = {
            "namespace": str(metadata["namespace"]),
            "kind": str(manifest["kind"]),
            "name": str(metadata["name"]),
            "type": str(entry["type"]),
        }
        since = datetime.fromisoformat(str(entry["lastTransitionTime"])).timestamp()
        yield _Sample(CONDITION_LAST_TRANSITION, labels, since)
        for status in ConditionStatus:
            yield _Sample(CONDITION, {**labels, "status": status.value}, float(entry["status"] == status.value))
