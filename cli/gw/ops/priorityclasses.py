"""The priority classes that runner groups' tiers name: a worker of a class that does not exist is refused for good."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actions_gateway.kube import errors
from actions_gateway.kube import resources as r
from gw.errors import Refused
from gw.sources.cluster import Cluster


def classes_of(entries: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The classes that the tiers of `spec.runnerGroups` name, each once."""
    tiers = (tier for entry in entries for tier in entry.get("priorityTiers") or [])
    return tuple(dict.fromkeys(str(tier["priorityClassName"]) for tier in tiers))


async def gather_priority_classes(cluster: Cluster, wanted: Sequence[str]) -> frozenset[str] | None:
    """The classes that exist, None when the caller may not read them; asks nobody when none is wanted."""
    if not wanted:
        return frozenset()
    try:
        return frozenset(str(item["metadata"]["name"]) for item in (await cluster.list(r.PRIORITYCLASSES)).items)
    except errors.Forbidden:
        return None


def refuse_missing_classes(wanted: Sequence[str], existing: frozenset[str] | None) -> tuple[str, ...]:
    """Sentences about what could not be checked; raises Refused for a class that does not exist."""
    if existing is None:
        return (f"whether the priority classes {', '.join(wanted)} exist: you may not read them",)
    for name in wanted:
        if name not in existing:
            there = ", ".join(sorted(existing)) or "none"
            raise Refused(
                f"the cluster has no priority class {name}, which a tier names (it has: {there})",
                "Name one that exists, or have the platform's owners create it.",
            )
    return ()
