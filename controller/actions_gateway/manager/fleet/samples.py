"""One gateway as gauges: a pure function of what the manager last saw of it and around it.

Expectations come from the manager, so that a dead agent or proxy, whose own series end with it, is missed.
"""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from actions_gateway.api.conditions import ConditionStatus, find_condition
from actions_gateway.api.gateway import ProxySettings
from actions_gateway.api.names import PROXY
from actions_gateway.api.quantities import parse_quantity
from actions_gateway.api.reference import referenced_since
from actions_gateway.kube.client import Manifest
from actions_gateway.manager.gateway.deletion import is_leaving
from actions_gateway.manager.gateway.snapshot import Snapshot
from actions_gateway.manager.gateway.verdict.lifecycle import is_contained
from actions_gateway.metrics.catalog import (
    CONDITION,
    CONDITION_LAST_TRANSITION,
    CREDENTIAL_REFERENCED,
    EXPECTED_AGENTS,
    EXPECTED_PROXIES,
    EXPECTED_SESSIONS,
    GATEWAY_INFO,
    PROXY_HPA_METRIC_AVAILABLE,
    PROXY_QUOTA_EXCEEDED,
    PROXY_READY_REPLICAS,
    QUOTA_HARD,
    QUOTA_USED,
    Metric,
)

_QUOTA_REFUSALS = ("exceeded quota: ", "failed quota: ")
"""How the API server begins a quota's refusal: of what is too much, and of what states no amount (Kubernetes,
plugin/pkg/admission/resourcequota/controller.go)."""
_SCALING_DISABLED = "ScalingDisabled"
_LEAST_PROXIES = ProxySettings.model_construct().min_replicas


class Sample(NamedTuple):
    """One series and its value."""

    metric: Metric
    labels: dict[str, str]
    value: float

    @property
    def series(self) -> tuple[str, ...]:
        """Its metric's name and the values of its labels in the catalogue's order; a fleet has few different ones."""
        return self.metric.name, *(sys.intern(self.labels[name]) for name in self.metric.labels)


def gateway_samples(snapshot: Snapshot, *, is_served: bool) -> Iterator[Sample]:
    """Every series of one gateway; one that is not served, or leaves, is expected to run nothing."""
    gateway, groups = snapshot.gateway, snapshot.runner_groups
    metadata = gateway["metadata"]
    namespace = str(metadata["namespace"])
    is_kept = is_served and not is_leaving(gateway)
    is_running = is_kept and not is_contained(gateway)
    itself = {"namespace": namespace, "name": str(metadata["name"])}
    yield Sample(GATEWAY_INFO, {**itself, "uid": str(metadata["uid"])}, 1.0)
    if is_kept:
        if (since := referenced_since(gateway)) is not None:
            yield Sample(CREDENTIAL_REFERENCED, itself, since.timestamp())
        yield from _component_samples(snapshot, itself, is_running)
    for group in groups:
        is_expected = is_running and not (group.get("spec") or {}).get("suspended")
        labels = {"namespace": namespace, "runner_group": str(group["metadata"]["name"])}
        yield Sample(EXPECTED_SESSIONS, labels, float(is_expected))
    for manifest in (gateway, *groups):
        yield from _condition_samples(manifest)


def _component_samples(snapshot: Snapshot, labels: dict[str, str], is_running: bool) -> Iterator[Sample]:
    proxy = snapshot.proxy
    autoscaler = snapshot.children.get(("HorizontalPodAutoscaler", PROXY))
    yield Sample(EXPECTED_AGENTS, labels, float(is_running))
    yield Sample(EXPECTED_PROXIES, labels, float(_least_proxies(snapshot.gateway) if is_running else 0))
    yield Sample(PROXY_READY_REPLICAS, labels, float(_status(proxy).get("readyReplicas") or 0))
    yield Sample(PROXY_HPA_METRIC_AVAILABLE, labels, float(not _lacks_reading(autoscaler)))
    yield Sample(PROXY_QUOTA_EXCEEDED, labels, float(_is_refused_by_quota(proxy)))


def _least_proxies(gateway: Manifest) -> int:
    # Read from the raw spec, since one that became invalid keeps its proxies.
    stated = ((gateway.get("spec") or {}).get("proxy") or {}).get("minReplicas")
    return stated if isinstance(stated, int) else _LEAST_PROXIES


def _lacks_reading(autoscaler: Manifest | None) -> bool:
    """Whether the autoscaler says that it has nothing to go by: a new one that says nothing yet must alarm nobody, nor
    one that somebody switched off by scaling to zero."""
    active = find_condition(autoscaler or {}, "ScalingActive") or {}
    return active.get("status") == ConditionStatus.FALSE.value and active.get("reason") != _SCALING_DISABLED


def _is_refused_by_quota(proxy: Manifest | None) -> bool:
    failure = find_condition(proxy or {}, "ReplicaFailure") or {}
    is_quotas = any(text in str(failure.get("message")) for text in _QUOTA_REFUSALS)
    return failure.get("status") == ConditionStatus.TRUE.value and is_quotas


def _condition_samples(manifest: Manifest) -> Iterator[Sample]:
    metadata = manifest["metadata"]
    for entry in _status(manifest).get("conditions") or []:
        labels = {
            "namespace": str(metadata["namespace"]),
            "kind": str(manifest["kind"]),
            "name": str(metadata["name"]),
            "type": str(entry["type"]),
        }
        since = datetime.fromisoformat(str(entry["lastTransitionTime"])).timestamp()
        yield Sample(CONDITION_LAST_TRANSITION, labels, since)
        for status in ConditionStatus:
            yield Sample(CONDITION, {**labels, "status": status.value}, float(entry["status"] == status.value))


def quota_samples(quota: Manifest) -> Iterator[Sample]:
    """What a ResourceQuota admits and what is used of it, in base units."""
    metadata, status = quota["metadata"], _status(quota)
    used = status.get("used") or {}
    for key, amount in (status.get("hard") or {}).items():
        labels = {"namespace": str(metadata["namespace"]), "quota": str(metadata["name"]), "key": str(key)}
        yield Sample(QUOTA_HARD, labels, float(parse_quantity(amount)))
        yield Sample(QUOTA_USED, labels, float(parse_quantity(used.get(key, 0))))


def _status(manifest: Manifest | None) -> Manifest:
    return (manifest or {}).get("status") or {}
