"""ResourceQuotas of tenants' namespaces as facts, with what else decides what a pod costs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from actions_gateway.api.quantities import format_quantity
from actions_gateway.kube.resources import LIMITRANGES, RESOURCEQUOTAS
from gw.sources.cluster import Cluster

Manifest = Mapping[str, Any]

_STORAGE_CLASS = ".storageclass.storage.k8s.io/"


class Unit(StrEnum):
    """What a quota's key counts (Kubernetes documentation, "Resource Quotas")."""

    WHOLE = "whole"
    """Objects and extended resources."""
    CORES = "cores"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class QuotaFact:
    """One ResourceQuota."""

    namespace: str
    name: str
    manifest: Manifest = field(default_factory=dict, repr=False)
    """Scopes and numbers as stored, for the arithmetic."""
    limit_ranges: tuple[Manifest, ...] = field(default=(), repr=False)
    """Of its namespace: they fill in what a worker does not declare."""

    @property
    def wanted(self) -> Mapping[str, str]:
        """The amounts by key that its owner asks for, as written."""
        return _amounts(self.manifest, "spec", "hard")

    @property
    def enforced(self) -> Mapping[str, str]:
        """Those that admission counts with: the quota controller's copy, which lags behind; empty before the first."""
        return _amounts(self.manifest, "status", "hard")

    @property
    def used(self) -> Mapping[str, str]:
        """What is used of each key that was counted."""
        return _amounts(self.manifest, "status", "used")

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a pod has to be for the quota to count it, in words; empty when it counts every object."""
        spec = self.manifest.get("spec") or {}
        selected = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
        words = [f"{each.get('scopeName')} {_expression(each)}".strip() for each in selected]
        return (*map(str, spec.get("scopes") or ()), *words)


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
    # As lists give them, items lack what the list itself says.
    whole = {"apiVersion": RESOURCEQUOTAS.api_version, "kind": RESOURCEQUOTAS.kind, **manifest}
    return QuotaFact(_namespace(manifest), str(manifest["metadata"].get("name") or ""), whole, limit_ranges)


def unit_of(key: str) -> Unit:
    """What the amounts of a quota's key count."""
    domain, is_of_class, of_class = key.rpartition(_STORAGE_CLASS)
    name = of_class if is_of_class and domain else key
    name = name.removeprefix("requests.").removeprefix("limits.")
    if name in ("memory", "storage", "ephemeral-storage") or name.startswith("hugepages-"):
        return Unit.BYTES
    return Unit.CORES if name == "cpu" else Unit.WHOLE


def written(key: str, amount: Fraction) -> str:
    """An amount of a quota's key as people write it."""
    return format_quantity(amount, is_size=unit_of(key) is Unit.BYTES)


def _amounts(manifest: Manifest, part: str, name: str) -> dict[str, str]:
    return {key: str(amount) for key, amount in ((manifest.get(part) or {}).get(name) or {}).items()}


def _expression(expression: Manifest) -> str:
    values = ", ".join(map(str, expression.get("values") or ()))
    return f"{expression.get('operator') or ''} {values}".strip()


def _namespace(manifest: Manifest) -> str:
    return str((manifest.get("metadata") or {}).get("namespace") or "")
