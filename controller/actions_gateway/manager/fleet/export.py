"""The fleet's series: they live as long as the objects that they tell of, and only the leader exports them."""

from collections.abc import Iterator
from dataclasses import replace

from actions_gateway.kube.listwatch import key_of
from actions_gateway.kube.resources import ACTIONSGATEWAYS, PODS, RESOURCEQUOTAS
from actions_gateway.manager.fleet.samples import Sample, gateway_samples
from actions_gateway.manager.fleet.terminations import REASONS, terminations
from actions_gateway.manager.gateway.mirror import Edit, Mirror
from actions_gateway.manager.gateway.snapshot import Key, Snapshot
from actions_gateway.metrics.catalog import (
    AGENT_TERMINATIONS,
    GATEWAYS_CREATED,
    GATEWAYS_DELETED,
    MANAGED_GATEWAYS,
)
from actions_gateway.metrics.registry import Metrics


class Fleet:
    """The series of all gateways."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen: dict[Key, tuple[Snapshot, bool]] = {}
        self._served: dict[str, Key] = {}
        """The one gateway that is served, by namespace."""
        self._is_begun = False

    def begin(self) -> None:
        """Every gateway of the first full list has been passed over: how many are served is known."""
        self._is_begun = True
        self._count()

    def observe(self, key: Key, snapshot: Snapshot, *, is_served: bool) -> None:
        """Exports what one gateway is like now, and ends the series that it has no more."""
        self._replace(key, (snapshot, is_served))

    def forget(self, key: Key) -> None:
        """Ends the series of a gateway that is gone."""
        self._replace(key, None)

    def follow(self, mirror: Mirror, edit: Edit) -> None:
        """Counts what a change brought, and shows a quota's; what was there before the first full list is no news."""
        manifest = edit.after or edit.before or {}
        if mirror.resource == RESOURCEQUOTAS:
            self._show_quotas(mirror, key_of(manifest)[0])
        if not mirror.is_synced:
            return
        if mirror.resource == ACTIONSGATEWAYS:
            gone, come = ({entry["metadata"]["uid"]} if entry else set() for entry in (edit.before, edit.after))
            self._metrics.inc(GATEWAYS_CREATED, len(come - gone))
            self._metrics.inc(GATEWAYS_DELETED, len(gone - come))
        elif mirror.resource == PODS and (namespace := key_of(manifest)[0]) in self._served:
            for reason in terminations(edit):
                self._metrics.inc(AGENT_TERMINATIONS, namespace=namespace, reason=reason)

    def _show_quotas(self, mirror: Mirror, namespace: str) -> None:
        if key := self._served.get(namespace):
            snapshot, is_served = self._seen[key]
            self._replace(key, (replace(snapshot, quotas=tuple(mirror.in_namespace(namespace))), is_served))

    def _replace(self, key: Key, seen: tuple[Snapshot, bool] | None) -> None:
        # What was exported is computed again rather than kept: the objects are in memory anyway, their series need not.
        before = {sample.series: sample for sample in _samples(self._seen.pop(key, None))}
        for sample in _samples(seen):
            self._metrics.set(sample.metric, sample.value, **sample.labels)
            before.pop(sample.series, None)
        for sample in before.values():
            self._metrics.end(sample.metric, **sample.labels)
        if seen:
            self._seen[key] = seen
        self._serve(key, is_served=seen is not None and seen[1])
        self._count()

    def _serve(self, key: Key, *, is_served: bool) -> None:
        namespace = key[0]
        if is_served and namespace not in self._served:
            self._metrics.open(namespace=namespace)
        if is_served:
            self._served[namespace] = key
        elif self._served.get(namespace) == key:
            del self._served[namespace]
            for reason in REASONS:
                self._metrics.end(AGENT_TERMINATIONS, namespace=namespace, reason=reason)

    def _count(self) -> None:
        if self._is_begun:
            self._metrics.set(MANAGED_GATEWAYS, len(self._served))


def _samples(seen: tuple[Snapshot, bool] | None) -> Iterator[Sample]:
    return gateway_samples(seen[0], is_served=seen[1]) if seen else iter(())
