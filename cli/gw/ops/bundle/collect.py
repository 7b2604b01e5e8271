"""Collects a bundle part by part, each with its share of the time: what fails or is slow costs its part alone."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.engine.clock import Clock
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.checks.catalog import HEALTH
from gw.errors import GwError
from gw.ops.bundle.collector import Collector
from gw.ops.bundle.logs import add_logs
from gw.ops.bundle.metrics import add_metrics
from gw.ops.bundle.model import Bundle, BundleRequest, Render
from gw.ops.bundle.objects import CLUSTERS, MANAGERS, PAGE, TENANTS, Listing, add_cluster, add_events, add_listing
from gw.ops.health import look
from gw.ops.tenants import not_a_tenant, reading_types
from gw.ops.versions import read_versions
from gw.sources.cluster import Cluster
from gw.sources.endpoints import NoAnswer
from gw.sources.gathering import gather_gateways
from gw.sources.pods import (
    AGENT_SELECTOR,
    MANAGER_SELECTOR,
    PROXY_SELECTOR,
    WORKER_SELECTOR,
    PodFact,
    PodRole,
    parse_pod,
)
from gw.sources.server import gather_server
from gw_alerts.thresholds import Severity

_SELECTORS = {PodRole.AGENT: AGENT_SELECTOR, PodRole.PROXY: PROXY_SELECTOR, PodRole.WORKER: WORKER_SELECTOR}

Work = Callable[[], Awaitable[None]]


class Collecting:
    """One collection; `on_part` hears which part begins."""

    def __init__(
        self, cluster: Cluster, request: BundleRequest, clock: Clock, *, render: Render, on_part: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._request = request
        self._clock = clock
        self._render = render
        self._on_part = on_part
        self._collector = Collector(request)
        self._pods: list[PodFact] = []
        self._namespaces: Collection[str] = ()

    async def collect(self) -> Bundle:
        """The bundle; raises GwError when not even the gateways can be read, or the namespace is no tenant."""
        now, began = self._clock.now(), self._clock.monotonic()
        self._namespaces = await self._tenants()
        parts: list[tuple[str, float, Work]] = [
            ("versions", 0.1, self._versions),
            ("health", 0.35, self._health),
            ("pods", 0.45, self._find_pods),
            ("objects", 0.6, self._objects),
            ("events", 0.65, lambda: self._events(now)),
            ("metrics", 0.8, lambda: self._metrics(now)),
            ("logs", 1.0, self._logs),
        ]
        for name, until, work in parts:
            self._on_part(name)
            left = began + until * self._request.timeout_seconds - self._clock.monotonic()
            await self._part(name, max(left, 0.0), work)
        collector = self._collector
        return Bundle(
            request=self._request,
            at=now,
            name=f"gw-support-{self._request.namespace or 'all'}-{now:%Y%m%dT%H%M%SZ}",
            files=tuple(sorted(collector.files, key=lambda file: file.path)),
            not_read=tuple(collector.not_read),
            removed=dict(sorted(collector.removed.items())),
        )

    async def _tenants(self) -> set[str]:
        namespace = self._request.namespace
        with reading_types("list the gateways"):
            try:
                async with asyncio.timeout(self._request.timeout_seconds):
                    gateways = await gather_gateways(self._cluster, namespace)
            except TimeoutError:
                raise errors.Unreachable(
                    f"the Kubernetes API server at {self._cluster.host} took longer than "
                    f"{self._request.timeout_seconds:g} s"
                ) from None
            if namespace is not None and not gateways:
                raise await not_a_tenant(self._cluster, namespace)
        return {gateway.namespace for gateway in gateways}

    async def _part(self, what: str, seconds: float, work: Work) -> None:
        """One part; its failure is noted, and the others go on."""
        try:
            async with asyncio.timeout(seconds):
                await work()
        except TimeoutError:
            self._collector.leave_out(what, f"it was given {seconds:.1f} s, and took longer")
        except NoAnswer as silence:
            self._collector.leave_out(what, silence.reason, is_platforms=silence.is_forbidden)
        except errors.KubeError as problem:
            self._collector.leave_out(what, problem.message)
        except GwError as problem:
            self._collector.leave_out(what, problem.what)

    async def _each(self, what: str, work: Work, *, is_platforms: bool = False) -> None:
        """One read of several in a part, whose time they share; `is_platforms` says that no tenant needs the right."""
        try:
            await work()
        except errors.NotFound:
            self._collector.leave_out(what, "this cluster does not serve that type", is_unserved=True)
        except errors.KubeError as problem:
            is_owners = is_platforms and isinstance(problem, errors.Forbidden)
            self._collector.leave_out(what, problem.message, is_platforms=is_owners)

    # -- parts

    async def _versions(self) -> None:
        document: dict[str, Any] = {"gw": asdict(read_versions())}
        try:
            server = await gather_server(self._cluster)
            document["server"] = {"version": server.version, "groups": sorted(server.groups)}
        finally:
            self._collector.add_document("versions.json", document)

    async def _health(self) -> None:
        report = await look(
            self._cluster,
            HEALTH,
            namespace=self._request.namespace,
            fail_on=Severity.PAGE,
            clock=self._clock,
            sources=self._request.sources,
        )
        self._collector.add_document("health.json", self._render(report))

    async def _find_pods(self) -> None:
        """Whose logs and metrics are wanted."""
        for role, selector in _SELECTORS.items():
            await self._add_pods(role, selector, self._request.namespace, self._namespaces)
        self._pods.sort(key=lambda pod: (pod.namespace, pod.name))
        await self._each(
            "the manager's pods",
            lambda: self._add_pods(PodRole.MANAGER, MANAGER_SELECTOR, MANAGER_NAMESPACE, {MANAGER_NAMESPACE}),
            is_platforms=True,
        )

    async def _add_pods(self, role: PodRole, selector: str, namespace: str | None, of: Collection[str]) -> None:
        async for page in self._cluster.pages(r.PODS, namespace, label_selector=selector, size=PAGE):
            found = (parse_pod(item, role) for item in page.items)
            self._pods += [pod for pod in found if pod.namespace in of]

    async def _objects(self) -> None:
        namespace = self._request.namespace
        for listing in TENANTS:
            what = f"objects of tenants: {listing.resource.plural}"
            folder = namespace or "tenants"
            await self._each(what, self._listing(listing, folder, namespace, self._namespaces))
        for listing in MANAGERS:
            what = f"objects of the manager: {listing.resource.plural}"
            work = self._listing(listing, MANAGER_NAMESPACE, MANAGER_NAMESPACE, ())
            await self._each(what, work, is_platforms=True)
        for resource in CLUSTERS:
            what = f"objects of the cluster: {resource.plural}"
            await self._each(what, self._summary(resource), is_platforms=True)

    def _listing(self, listing: Listing, folder: str, namespace: str | None, of: Collection[str]) -> Work:
        return lambda: add_listing(self._cluster, self._collector, listing, folder, namespace, of)

    def _summary(self, resource: r.Resource) -> Work:
        return lambda: add_cluster(self._cluster, self._collector, resource)

    async def _events(self, now: datetime) -> None:
        def of(namespace: str | None, namespaces: Collection[str]) -> Work:
            return lambda: add_events(self._cluster, self._collector, self._request, namespace, namespaces, now)

        await of(self._request.namespace, self._namespaces)()
        await self._each("events of the manager", of(MANAGER_NAMESPACE, {MANAGER_NAMESPACE}), is_platforms=True)

    async def _metrics(self, now: datetime) -> None:
        namespaces = {*self._namespaces, MANAGER_NAMESPACE}
        await add_metrics(self._cluster, self._collector, self._request, namespaces, self._pods, now)

    async def _logs(self) -> None:
        await add_logs(self._cluster, self._collector, self._request, self._pods)


def totals(bundle: Bundle) -> Mapping[str, int]:
    """How often each rule removed something, by its name."""
    return {rule.value: times for rule, times in bundle.removed.items()}
