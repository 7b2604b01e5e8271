"""ResourceQuotas of tenants' namespaces as facts, with what else decides what a pod costs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actions_gateway.kube.resources import LIMITRANGES, RESOURCEQUOTAS
from gw.sources.cluster import Cluster

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuotaFact:
    """One ResourceQuota."""

    namespace: str
    name: str
    manifest: Manifest = field(default_factory=dict, repr=False)
    """Scopes and numbers as stored, for the arithmetic."""
    limit_ranges: tuple[Manifest, ...] = field(default=(), repr=False)
    """Of its namespace: they fill in what a worker does not declare."""


async def gather_quotas(cluster: Cluster, namespace: str | None) -> tuple[QuotaFact, ...]:
    """The quotas by namespace and name, with the LimitRanges beside them."""
    quotas, ranges = await asyncio.gather(cluster.list(RESOURCEQUOTAS, namespace), cluster.list(LIMITRANGES, namespace))
    beside: dict[str, list[Manifest]] = {}
    for each in ranges.items:
        beside.setdefault(str(each["metadata"].get("namespace") or ""), []).append(each)
    facts = [parse_quota(item, tuple(beside.get(_namespace(item), ()))) for item in quotas.items]
    return tuple(sorted(facts, key=lambda fact: (fact.namespace, fact.name)))


def parse_quota(manifest: Manifest, limit_ranges: tuple[Manifest, ...] = ()) -> QuotaFact:
    """The facts of a stored ResourceQuota."""
    return QuotaFact(_namespace(manifest), str(manifest["metadata"].get("name") or ""), manifest, limit_ranges)


def _namespace(manifest: Manifest) -> str:
    return str((manifest.get("metadata") or {}).get("namespace") or "")
