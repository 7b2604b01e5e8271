"""Entries of a gateway's `spec.runnerGroups`: found by the name that people use, and changed field by field."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actions_gateway.api import names
from actions_gateway.api.gateway import RunnerGroupEntry
from gw.errors import Refused
from gw.ops.onboarding.groups import EXAMPLE, check_group
from gw.ops.tenants import ServedGateway, not_a_group

Entry = dict[str, Any]


def entries_of(served: ServedGateway) -> list[Entry]:
    """The entries as they are stored."""
    return [dict(entry) for entry in (served.live.get("spec") or {}).get("runnerGroups") or []]


def entry_named(served: ServedGateway, name: str) -> Entry:
    """The entry by its own name or by its RunnerGroup's; raises Refused that suggests the nearest."""
    entries, gateway = entries_of(served), served.fact.name
    for entry in entries:
        if name in (entry["name"], names.runner_group_name(gateway, str(entry["name"]))):
            return entry
    raise not_a_group(served.fact.namespace, name, [str(entry["name"]) for entry in entries])


def object_name(served: ServedGateway, entry: Mapping[str, Any]) -> str:
    """The RunnerGroup's name."""
    return names.runner_group_name(served.fact.name, str(entry["name"]))


def changed_entry(entry: Mapping[str, Any], changes: Mapping[str, Any]) -> Entry:
    """The entry with new values for some fields; raises Refused for one that the API would refuse.

    The ceiling of a group with tiers is its last tier's threshold, so one follows the other.
    """
    changed = {**entry, **changes}
    tiers = changes.get("priorityTiers")
    if tiers:
        changed["priorityTiers"] = [_with_policy(tier, entry) for tier in tiers]
        if "maxWorkers" in entry and "maxWorkers" not in changes:
            changed["maxWorkers"] = tiers[-1]["threshold"]
    elif "maxWorkers" in changes and entry.get("priorityTiers"):
        kept = [f"{tier['priorityClassName']}:{tier['threshold']}" for tier in entry["priorityTiers"]]
        if changes["maxWorkers"] != entry["priorityTiers"][-1]["threshold"]:
            raise Refused(
                f"runner group {entry['name']} has tiers ({', '.join(kept)}), whose last threshold is its ceiling",
                "Give the tiers with their new thresholds in place of the ceiling: --tier CLASS:THRESHOLD each.",
            )
    if not changed.get("runnerLabels"):
        raise Refused(f"runner group {entry['name']} has no labels, so no job could ask for it", EXAMPLE)
    check_group(changed)
    return changed


def with_entry(entries: Iterable[Entry], changed: Entry) -> list[Entry]:
    """The entries with one in the place of its namesake, or behind the others."""
    entries = list(entries)
    if all(entry["name"] != changed["name"] for entry in entries):
        return [*entries, changed]
    return [changed if entry["name"] == changed["name"] else entry for entry in entries]


def ceiling_of(entry: Mapping[str, Any]) -> int:
    """How many jobs of the group may run at once."""
    return RunnerGroupEntry.model_validate(entry).worker_ceiling


def tiers_of(entry: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """Threshold and class of each tier."""
    tiers: Sequence[Mapping[str, Any]] = entry.get("priorityTiers") or ()
    return tuple((int(tier["threshold"]), str(tier["priorityClassName"])) for tier in tiers)


def _with_policy(tier: Mapping[str, Any], entry: Mapping[str, Any]) -> Entry:
    """What the stored tier of that class says beside its threshold stays."""
    stored = (
        each for each in entry.get("priorityTiers") or () if each["priorityClassName"] == tier["priorityClassName"]
    )
    return {**next(stored, {}), **tier}
