"""The fleet's series: they live as long as the objects that they tell of, and only the leader exports them."""

from collections.abc import Iterable

from actions_gateway.kube.client import Manifest
from actions_gateway.kube.listwatch import key_of
from actions_gateway.kube.resources import ACTIONSGATEWAYS, PODS, RESOURCEQUOTAS
from actions_gateway.manager.fleet.samples import Sample, gateway_samples, quota_samples
from actions_gateway.manager.fleet.terminations import REASONS, terminations
from actions_gateway.manager.gateway.mirror import Edit, Mirror
from actions_gateway.manager.gateway.snapshot import Key, Snapshot
from actions_gateway.metrics.catalog import (
    AGENT_TERMINATIONS,
    CATALOG,
    GATEWAYS_CREATED,
    GATEWAYS_DELETED,
    MANAGED_GATEWAYS,
)
from actions_gateway.metrics.registry import Metrics

_Owner = tuple[str, ...]
"""The key of a gateway, or a namespace alone for its quotas."""
_Series = tuple[str, ...]
"""A metric's name and the values of its labels."""
_METRICS = {metric.name: metric for metric in CATALOG}


class Fleet:
    """The series of all gateways."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._series: dict[_Owner, set[_Series]] = {}
        self._served: dict[str, Key] = {}
        """The one gateway that is served, by namespace."""
        self._is_begun = False

    def begin(self) -> None:
        """Every gateway of the first full list has been passed over: how many are served is known."""
        self._is_begun = True
        self._count()

    def observe(self, key: Key, snapshot: Snapshot, *, is_served: bool) -> None:
        """Exports what one gateway is like now, and ends the series that it has no more."""
        self._replace(key, gateway_samples(snapshot, is_served=is_served))
        self._serve(key, is_served=is_served)
        if is_served:
            self._show_quotas(key[0], snapshot.quotas)

    def forget(self, key: Key) -> None:
        """Ends the series of a gateway that is gone."""
        self._replace(key, ())
        self._serve(key, is_served=False)

    def follow(self, mirror: Mirror, edit: Edit) -> None:
        """Counts what a change brought, and shows a quota's; what was there before the first full list is no news."""
        manifest = edit.after or edit.before or {}
        if mirror.resource == RESOURCEQUOTAS:
            namespace = key_of(manifest)[0]
            self._show_quotas(namespace, mirror.in_namespace(namespace))
        if not mirror.is_synced:
            return
        if mirror.resource == ACTIONSGATEWAYS:
            gone, come = ({entry["metadata"]["uid"]} if entry else set() for entry in (edit.before, edit.after))
            self._metrics.inc(GATEWAYS_CREATED, len(come - gone))
            self._metrics.inc(GATEWAYS_DELETED, len(gone - come))
        elif mirror.resource == PODS and (namespace := key_of(manifest)[0]) in self._served:
            for reason in terminations(edit):
                self._metrics.inc(AGENT_TERMINATIONS, namespace=namespace, reason=reason)

    def _show_quotas(self, namespace: str, quotas: Iterable[Manifest]) -> None:
        is_served = namespace in self._served
        self._replace((namespace,), (sample for quota in quotas if is_served for sample in quota_samples(quota)))

    def _replace(self, owner: _Owner, samples: Iterable[Sample]) -> None:
        before, after = self._series.pop(owner, set()), set()
        for sample in samples:
            self._metrics.set(sample.metric, sample.value, **sample.labels)
            after.add(sample.series)
        for name, *values in before - after:
            metric = _METRICS[name]
            self._metrics.end(metric, **dict(zip(metric.labels, values, strict=True)))
        if after:
            self._series[owner] = after

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
            self._show_quotas(namespace, ())
        self._count()

    def _count(self) -> None:
        if self._is_begun:
            self._metrics.set(MANAGED_GATEWAYS, len(self._served))
