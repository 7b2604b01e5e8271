"""What the cluster has under the names that an installation uses, and what an earlier release of it left."""

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from actions_gateway.api import labels
from actions_gateway.api.names import MANAGER_NAMESPACE
from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.ops.installation.wanted import DASHBOARD_GROUP, MONITORING_GROUP, resource_for
from gw.sources.cluster import Cluster
from gw.sources.definitions import DefinitionFact, parse_definition
from gw.sources.ownership import UPSTREAM_WEBHOOK, is_applied_by_gw, is_ours
from gw.sources.server import ServerFact

T = TypeVar("T")
Manifest = dict[str, Any]

_AT_ONCE = 16
_OURS = f"{labels.APP_PART_OF}={labels.PART_OF}"

REMOVABLE: tuple[r.Resource, ...] = (
    r.DEPLOYMENTS,
    r.SERVICEMONITORS,
    r.PODMONITORS,
    r.PROMETHEUSRULES,
    r.GRAFANADASHBOARDS,
    r.PDBS,
    r.NETWORKPOLICIES,
    r.SERVICES,
    r.ROLEBINDINGS,
    r.CLUSTERROLEBINDINGS,
    r.ROLES,
    r.CLUSTERROLES,
    r.SERVICEACCOUNTS,
    r.ADMISSIONPOLICYBINDINGS,
    r.ADMISSIONPOLICIES,
)
"""The kinds that an installation consists of beside definitions and namespace, in the order in which they go: the
manager before its rights, its rights before the policies that confine it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One object's place."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster before anything is written."""

    server: ServerFact
    live: Mapping[Identity, Manifest] = field(default_factory=dict)
    """The wanted objects that exist."""
    definitions: tuple[DefinitionFact, ...] = ()
    webhook: Manifest | None = None
    """Upstream's; this project has none."""
    leftovers: tuple[Manifest, ...] = ()
    """Objects that `gw install` wrote and that this release does not have any more."""


def identity_of(manifest: Mapping[str, Any]) -> Identity:
    """The place of a manifest."""
    metadata = manifest["metadata"]
    return Identity(str(manifest["kind"]), str(metadata["name"]), str(metadata.get("namespace") or ""))


async def gather_snapshot(cluster: Cluster, server: ServerFact, wanted: Collection[Manifest]) -> Snapshot:
    """Reads everything once; raises KubeError."""
    found = await each_of(_get(cluster, resource_for(manifest), manifest["metadata"]) for manifest in wanted)
    live = {identity_of(manifest): each for manifest, each in zip(wanted, found, strict=True) if each is not None}
    definitions = tuple(
        parse_definition(manifest, live.get(identity_of(manifest)))
        for manifest in wanted
        if manifest["kind"] == r.CRDS.kind
    )
    names = {identity_of(manifest) for manifest in wanted}
    ours = await gather_ours(cluster, server)
    return Snapshot(
        server=server,
        live=live,
        definitions=definitions,
        webhook=await _get(cluster, r.VALIDATINGWEBHOOKS, {"name": UPSTREAM_WEBHOOK}),
        leftovers=tuple(each for each in ours if is_applied_by_gw(each) and identity_of(each) not in names),
    )


async def gather_ours(cluster: Cluster, server: ServerFact) -> tuple[Manifest, ...]:
    """Every object of an installation by its label, in the order of REMOVABLE; raises KubeError."""
    kinds = [resource for resource in REMOVABLE if _is_served(resource, server)]
    pages = await each_of(_list(cluster, resource) for resource in kinds)
    return tuple(item for page in pages for item in page if is_ours(item))


def _is_served(resource: r.Resource, server: ServerFact) -> bool:
    return resource.group not in (MONITORING_GROUP, DASHBOARD_GROUP) or resource.group in server.groups


async def _list(cluster: Cluster, resource: r.Resource) -> list[Manifest]:
    namespace = MANAGER_NAMESPACE if resource.namespaced else None
    try:
        return (await cluster.list(resource, namespace, label_selector=_OURS)).items
    except errors.NotFound:
        return []


async def _get(cluster: Cluster, resource: r.Resource, metadata: Mapping[str, Any]) -> Manifest | None:
    try:
        return await cluster.get(resource, str(metadata["name"]), metadata.get("namespace"))
    except errors.NotFound:
        return None


async def each_of(requests: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order, a few requests at once; raises the first refusal in order."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def bounded(request: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await request

    outcomes = await asyncio.gather(*(bounded(request) for request in requests), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
