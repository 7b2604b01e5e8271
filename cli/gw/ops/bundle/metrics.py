"""The series of a bundle: from Prometheus where there is one, else what each pod exports now.

Sources: Prometheus documentation, "HTTP API" and "Exposition formats"; Kubernetes documentation, "Access Services
Running on Clusters" (the proxy for pods is `/api/v1/namespaces/NS/pods/NAME:PORT/proxy`).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

from actions_gateway.installation.monitoring import PROXY_PATH
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from actions_gateway.manifests.podspec import METRICS_PORT
from actions_gateway.metrics.catalog import CATALOG, Kind, Metric
from actions_gateway.proxy.listeners import STATS_PORT
from gw.ops.bundle.collector import Collector, Removed
from gw.ops.bundle.model import BundleRequest
from gw.sources.cluster import Cluster, one_line
from gw.sources.endpoints import NoAnswer
from gw.sources.places import Endpoints
from gw.sources.pods import PodFact, PodRole
from gw.sources.prometheus import Prometheus, Sample

_STEPS = 60
_LEAST_STEP_SECONDS = 30
_SHARE = 0.5
_POD_BYTES = 4 * 1024 * 1024
"""What is kept of one pod's exposition."""
_EXPORTERS = {
    PodRole.AGENT: (METRICS_PORT, "/metrics"),
    PodRole.MANAGER: (METRICS_PORT, "/metrics"),
    PodRole.PROXY: (STATS_PORT, PROXY_PATH),
}


async def add_metrics(
    cluster: Cluster,
    collector: Collector,
    request: BundleRequest,
    namespaces: Collection[str],
    pods: Sequence[PodFact],
    now: datetime,
) -> None:
    """Every metric of the catalogue; raises NoAnswer or KubeError when neither Prometheus nor a pod tells them."""
    try:
        async with Endpoints(request.sources, cluster, request.namespace) as endpoints:
            prometheus = Prometheus(await endpoints.prometheus())
            await _add_series(prometheus, collector, request, namespaces, now)
    except (NoAnswer, errors.KubeError) as silence:
        if not await _add_expositions(cluster, collector, pods):
            raise
        reason = silence.reason if isinstance(silence, NoAnswer) else silence.message
        collector.leave_out("metrics over time", f"{reason}; what the pods export now is there")


async def _add_series(
    prometheus: Prometheus, collector: Collector, request: BundleRequest, namespaces: Collection[str], now: datetime
) -> None:
    """One file; of one tenant how the series went, of all only how they are."""
    named = "|".join(sorted(namespaces))
    step = max(_LEAST_STEP_SECONDS, int(request.since_seconds / _STEPS))
    items: list[tuple[str, dict[str, Any]]] = []
    try:
        for name, is_bucket in _names():
            selector = f'{name}{{namespace=~"{named}"}}'
            if request.namespace is None or is_bucket:
                items += [(name, _sample(each)) for each in await prometheus.query(selector)]
                continue
            begin = now - timedelta(seconds=request.since_seconds)
            for track in await prometheus.query_range(selector, begin, now, step):
                points = [[at.timestamp(), str(value)] for at, value in track.points]
                items.append((name, {"labels": dict(track.labels), "points": points}))
    finally:
        # A Prometheus that stops answering in the middle leaves what it has told.
        collector.add_items("metrics/prometheus.json", items, share=_SHARE)


def _names() -> Iterator[tuple[str, bool]]:
    """The series of the catalogue's metrics and the alerts, and whether they are a histogram's buckets."""
    for metric in CATALOG:
        yield from ((name, name.endswith("_bucket")) for name in _series(metric))
    yield "ALERTS", False


def _series(metric: Metric) -> tuple[str, ...]:
    if metric.kind is Kind.HISTOGRAM:
        return tuple(f"{metric.name}_{part}" for part in ("bucket", "count", "sum"))
    return (metric.name,)


def _sample(sample: Sample) -> dict[str, Any]:
    return {"labels": dict(sample.labels), "value": str(sample.value)}


async def _add_expositions(cluster: Cluster, collector: Collector, pods: Sequence[PodFact]) -> bool:
    """What each pod exports; False when none could be asked."""
    is_any = False
    for pod in pods:
        if pod.role not in _EXPORTERS or not pod.is_ready:
            continue
        port, path = _EXPORTERS[pod.role]
        file = f"metrics/{pod.namespace}/{pod.name}.txt"
        try:
            is_any = await _add_exposition(cluster, collector, pod, f":{port}/proxy{path}", file) or is_any
        except errors.KubeError as problem:
            # No role of gw's holds the right to reach pods: whoever has it takes these, or Prometheus, along.
            collector.leave_out(file, one_line(problem.message), is_platforms=isinstance(problem, errors.Forbidden))
    return is_any


async def _add_exposition(cluster: Cluster, collector: Collector, pod: PodFact, place: str, file: str) -> bool:
    content, most = bytearray(), min(_POD_BYTES, int(collector.room * _SHARE))
    async with aclosing(cluster.stream(f"{r.PODS.path(pod.namespace, pod.name)}{place}")) as pieces:
        async for piece in pieces:
            content += piece
            if len(content) > most:
                break
    removed: Removed = Counter()
    clean = collector.line_cleaner(removed)
    # The last line may be half of one.
    whole = bytes(content[: content.rfind(b"\n") + 1])
    lines = [clean(line) for line in whole.decode("utf-8", "replace").splitlines()]
    cut = "its end did not fit" if len(content) > most else ""
    collector.add(file, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"), removed, cut)
    return True
