"""The objects of `metrics.k8s.io/v1beta1` as documents: pure functions.

Shapes: k8s.io/metrics pkg/apis/metrics/v1beta1 (NodeMetrics, PodMetrics) and Kubernetes' API discovery.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any

from gateway_sandbox.metricsapi.sampler import ContainerSample

GROUP = "metrics.k8s.io"
VERSION = "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"

Document = dict[str, Any]
PodKey = tuple[str, str]
"""Namespace and name."""


def group_document() -> Document:
    """The answer to `/apis/metrics.k8s.io`."""
    version = {"groupVersion": API_VERSION, "version": VERSION}
    return {"kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version}


def resources_document() -> Document:
    """The answer to `/apis/metrics.k8s.io/v1beta1`."""
    kinds = (("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True))
    resources = [
        {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
        for name, kind, namespaced in kinds
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": resources}


def pod_documents(samples: Iterable[ContainerSample], labels: Mapping[PodKey, Mapping[str, str]]) -> list[Document]:
    """One PodMetrics per pod with samples, sorted by namespace and name; `labels` are the pods' own."""
    by_pod: dict[PodKey, list[ContainerSample]] = defaultdict(list)
    for sample in samples:
        by_pod[sample.container.namespace, sample.container.pod].append(sample)
    return [_pod_document(key, by_pod[key], labels.get(key, {})) for key in sorted(by_pod)]


def node_document(name: str, labels: Mapping[str, str], samples: Sequence[ContainerSample], now: datetime) -> Document:
    """The NodeMetrics of the one node: what its pods use together, since the rest of the machine is not the node's."""
    window_seconds = max((sample.window_seconds for sample in samples), default=0.0)
    usage = _usage(sum(sample.cpu_cores for sample in samples), sum(sample.memory_bytes for sample in samples))
    timed = _timed(max((sample.taken_at for sample in samples), default=now), window_seconds)
    return {**_typed("NodeMetrics"), "metadata": _metadata({"name": name}, labels, now), **timed, "usage": usage}


def list_document(kind: str, items: list[Document]) -> Document:
    """A list of `kind` objects."""
    return {**_typed(f"{kind}List"), "metadata": {}, "items": items}


def refusal(code: int, reason: str, message: str) -> Document:
    """A `Status` of failure."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return status | {"message": message, "reason": reason, "code": code}


def _pod_document(key: PodKey, samples: Sequence[ContainerSample], labels: Mapping[str, str]) -> Document:
    taken_at = min(sample.taken_at for sample in samples)
    containers = [
        {"name": sample.container.name, "usage": _usage(sample.cpu_cores, sample.memory_bytes)} for sample in samples
    ]
    return {
        **_typed("PodMetrics"),
        "metadata": _metadata({"name": key[1], "namespace": key[0]}, labels, taken_at),
        **_timed(taken_at, min(sample.window_seconds for sample in samples)),
        "containers": containers,
    }


def _typed(kind: str) -> Document:
    return {"kind": kind, "apiVersion": API_VERSION}


def _metadata(names: Mapping[str, str], labels: Mapping[str, str], created_at: datetime) -> Document:
    return {**names, "labels": dict(labels), "creationTimestamp": _stamp(created_at)}


def _timed(taken_at: datetime, window_seconds: float) -> Document:
    return {"timestamp": _stamp(taken_at), "window": f"{window_seconds:.3f}s"}


def _usage(cpu_cores: float, memory_bytes: int) -> Document:
    return {"cpu": f"{ceil(cpu_cores * 1e9)}n", "memory": f"{ceil(memory_bytes / 1024)}Ki"}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
