"""The objects of a bundle: what the API server says of gateways, their parts and the platform. No Secret, no ConfigMap.

What `kubectl get -o json` shows, without the fields' names in managedFields, which are long and tell little.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from actions_gateway.api import labels
from actions_gateway.api.names import API_GROUP
from actions_gateway.kube import resources as r
from actions_gateway.kube.resources import Resource
from gw.ops.bundle.collector import Collector
from gw.ops.bundle.model import BundleRequest
from gw.sources.cluster import Cluster
from gw.sources.events import EVENTS, EventFact, parse_event
from gw.sources.pods import AGENT_SELECTOR, MANAGER_SELECTOR, PROXY_SELECTOR, WORKER_SELECTOR

Manifest = dict[str, Any]

PAGE = 200
_SHARE = 0.3
"""Of the room that one kind of object may take: whatever a cluster holds, something is left for the rest."""
_MOST_EVENTS = 20_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Listing:
    """One file of objects."""

    resource: Resource
    selectors: tuple[str | None, ...] = (None,)

    @property
    def file(self) -> str:
        return f"{self.resource.plural}.json"


_OURS = f"{labels.MANAGED_BY}={labels.BY_MANAGER}"
TENANTS: tuple[Listing, ...] = (
    Listing(r.ACTIONSGATEWAYS),
    Listing(r.RUNNERGROUPS),
    Listing(r.DEPLOYMENTS, (_OURS,)),
    Listing(r.PODS, (AGENT_SELECTOR, PROXY_SELECTOR, WORKER_SELECTOR)),
    Listing(r.RESOURCEQUOTAS),
    Listing(r.LIMITRANGES),
    Listing(r.NETWORKPOLICIES),
    Listing(r.HPAS),
    Listing(r.PDBS),
)
"""Of a tenant's namespace; of its pods and Deployments those that are a gateway's."""
MANAGERS: tuple[Listing, ...] = (
    Listing(r.DEPLOYMENTS, (f"{labels.APP_PART_OF}={labels.PART_OF}",)),
    Listing(r.PODS, (MANAGER_SELECTOR,)),
    Listing(r.LEASES),
    Listing(r.RESOURCEQUOTAS),
    Listing(r.NETWORKPOLICIES),
)
"""Of the manager's namespace."""


async def add_listing(
    cluster: Cluster, collector: Collector, listing: Listing, folder: str, namespace: str | None, of: Collection[str]
) -> None:
    """The objects of one kind in one namespace, or in those of `of`; raises KubeError."""
    budget = int(collector.room * _SHARE)
    items, is_cut = await _read(_pages(cluster, listing, namespace), of, budget)
    items.sort(key=lambda item: (item["metadata"].get("namespace") or "", item["metadata"].get("name") or ""))
    cut = f"only {len(items)} were read: more would not fit into the size that was asked for" if is_cut else ""
    named = ((_name(item), trimmed(item)) for item in items)
    collector.add_items(f"objects/{folder}/{listing.file}", named, share=_SHARE, cut=cut)


async def add_cluster(cluster: Cluster, collector: Collector, resource: Resource) -> None:
    """Definitions, policies or nodes in short; raises KubeError."""
    listing = Listing(resource)
    items, is_cut = await _read(_pages(cluster, listing, None), (), int(collector.room * _SHARE))
    chosen = [item for item in items if resource is r.NODES or _is_about_gateways(item)]
    named = ((_name(item), _summaries[resource](item)) for item in sorted(chosen, key=_name))
    cut = "not all were read: more would not fit into the size that was asked for" if is_cut else ""
    collector.add_items(f"objects/cluster/{listing.file}", named, share=_SHARE, cut=cut)


async def add_events(
    cluster: Cluster,
    collector: Collector,
    request: BundleRequest,
    namespace: str | None,
    of: Collection[str],
    now: datetime,
) -> None:
    """The events since then, the newest first, so that those stay when there is little room; raises KubeError."""
    oldest = now - timedelta(seconds=request.since_seconds)
    events: list[EventFact] = []
    async for page in cluster.pages(EVENTS, namespace, size=PAGE):
        found = (parse_event(item) for item in page.items if item["metadata"].get("namespace") in of)
        events += [event for event in found if (event.last_at or _LONG_AGO) >= oldest]
        if len(events) > 2 * _MOST_EVENTS:
            events = _newest_first(events)[:_MOST_EVENTS]
    kept = _newest_first(events)
    cut = f"only the newest {_MOST_EVENTS}" if len(kept) > _MOST_EVENTS else ""
    named = ((f"Event of {event.namespace}/{event.about}", _event(event)) for event in kept[:_MOST_EVENTS])
    where = "tenants" if namespace is None else namespace
    collector.add_items(f"events/{where}.json", named, share=_SHARE, cut=cut)


def trimmed(item: Mapping[str, Any]) -> Manifest:
    """The object with who wrote it and when, and without which fields those were."""
    metadata = dict(item.get("metadata") or {})
    if "managedFields" in metadata:
        entries = metadata["managedFields"] or []
        metadata["managedFields"] = [{key: each[key] for key in each if key != "fieldsV1"} for each in entries]
    return {**item, "metadata": metadata}


async def _read(pages: AsyncIterator[list[Manifest]], of: Collection[str], budget: int) -> tuple[list[Manifest], bool]:
    """The objects of those namespaces, and whether reading ended for their size."""
    items: list[Manifest] = []
    size = 0
    async for page in pages:
        for item in page:
            if of and item["metadata"].get("namespace") not in of:
                continue
            # A cheap measure of what it will take; the exact one is the collector's.
            size += len(repr(item))
            if size > 2 * budget:
                return items, True
            items.append(item)
    return items, False


async def _pages(cluster: Cluster, listing: Listing, namespace: str | None) -> AsyncIterator[list[Manifest]]:
    for selector in listing.selectors:
        async for page in cluster.pages(listing.resource, namespace, label_selector=selector, size=PAGE):
            yield page.items


def _name(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata") or {}
    place = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    return f"{item.get('kind')} {place}"


def _newest_first(events: list[EventFact]) -> list[EventFact]:
    return sorted(events, key=lambda event: (event.last_at or _LONG_AGO, event.uid), reverse=True)


def _event(event: EventFact) -> Manifest:
    return {
        "namespace": event.namespace,
        "type": "Warning" if event.is_warning else "Normal",
        "reason": event.reason,
        "object": event.about,
        "note": event.note,
        "count": event.count,
        "first_at": event.first_at.isoformat() if event.first_at else None,
        "last_at": event.last_at.isoformat() if event.last_at else None,
        "reporter": event.reporter,
    }


def _is_about_gateways(item: Mapping[str, Any]) -> bool:
    metadata = item.get("metadata") or {}
    is_ours = (metadata.get("labels") or {}).get(labels.APP_PART_OF) == labels.PART_OF
    return is_ours or str(metadata.get("name")).endswith(f".{API_GROUP}")


def _definition(item: Mapping[str, Any]) -> Manifest:
    """Which versions are served and stored, without the schema."""
    spec, status, metadata = (item.get(part) or {} for part in ("spec", "status", "metadata"))
    return {
        "name": metadata.get("name"),
        "annotations": metadata.get("annotations"),
        "versions": [
            {key: each.get(key) for key in ("name", "served", "storage")} for each in spec.get("versions") or []
        ],
        "stored_versions": status.get("storedVersions"),
        "conditions": status.get("conditions"),
    }


def _policy(item: Mapping[str, Any]) -> Manifest:
    metadata = item.get("metadata") or {}
    return {
        "name": metadata.get("name"),
        "generation": metadata.get("generation"),
        "failure_policy": (item.get("spec") or {}).get("failurePolicy"),
        "actions": (item.get("spec") or {}).get("validationActions"),
        "status": item.get("status"),
    }


def _node(item: Mapping[str, Any]) -> Manifest:
    """What decides what runs there; no address."""
    spec, status, metadata = (item.get(part) or {} for part in ("spec", "status", "metadata"))
    known = status.get("nodeInfo") or {}
    return {
        "name": metadata.get("name"),
        "created_at": metadata.get("creationTimestamp"),
        "info": {
            key: known.get(key)
            for key in ("kubeletVersion", "containerRuntimeVersion", "osImage", "kernelVersion", "architecture")
        },
        "capacity": status.get("capacity"),
        "allocatable": status.get("allocatable"),
        "conditions": status.get("conditions"),
        "taints": spec.get("taints"),
        "is_unschedulable": bool(spec.get("unschedulable")),
    }


_summaries = {
    r.CRDS: _definition,
    r.ADMISSIONPOLICIES: _policy,
    r.ADMISSIONPOLICYBINDINGS: _policy,
    r.NODES: _node,
}
CLUSTERS: tuple[Resource, ...] = tuple(_summaries)
"""What is read of the cluster as a whole."""
