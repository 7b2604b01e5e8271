"""How many more workers of one kind a namespace's quotas admit, and which key binds: arithmetic over stored objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from actions_gateway.api.durations import parse_duration_seconds
from actions_gateway.api.footprint import (
    INSTALLER_RESOURCES,
    WORKER_RESOURCES,
    Footprint,
    cost_in,
    footprint_of,
    room_in,
    undeclared_in,
)
from actions_gateway.api.names import RUNNER_CONTAINER
from gw.sources.gateways import GroupFact
from gw.sources.quotas import QuotaFact, written

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """How many more workers of one kind a quota admits."""

    quota: QuotaFact
    key: str
    """The key that binds; empty when the pod lacks a declaration."""
    room: int
    room_when_empty: int
    """If nothing else used the quota: with 0 no worker ever fits."""
    words: str


def worker_outline(spec: Manifest) -> Manifest:
    """What of a RunnerGroup's workers costs quota, as a pod: the template with the containers that the agent adds.

    The agent builds the whole pod; a test holds that both cost the same.
    """
    template = dict(((spec.get("podTemplate") or {}).get("spec")) or {})
    containers = [dict(each) for each in template.get("containers") or []]
    if all(each.get("name") != RUNNER_CONTAINER for each in containers):
        containers.insert(0, {"name": RUNNER_CONTAINER})
    for each in containers:
        resources = each.get("resources") or {}
        if each.get("name") == RUNNER_CONTAINER and not resources.get("requests") and not resources.get("limits"):
            each["resources"] = {"requests": WORKER_RESOURCES, "limits": WORKER_RESOURCES}
    installer = {
        "name": "install-wrapper",
        "resources": {"requests": INSTALLER_RESOURCES, "limits": INSTALLER_RESOURCES},
    }
    inits = [installer, *(template.get("initContainers") or [])]
    # Any deadline puts the pod into the scope Terminating, whatever its length.
    lifetime = template.get("activeDeadlineSeconds") or parse_duration_seconds(spec.get("maxWorkerLifetime") or "12h")
    return {
        "spec": {
            **template,
            "containers": containers,
            "initContainers": inits,
            "activeDeadlineSeconds": lifetime or None,
        }
    }


def rooms_for(worker: Manifest, priority_class: str | None, quotas: tuple[QuotaFact, ...]) -> list[Room]:
    """For each quota of one namespace that counts such a worker how many more it admits, the tightest first.

    Raises ValueError for a worker that the API server would refuse.
    """
    found = []
    for quota in quotas:
        footprint = footprint_of(dict(worker), [dict(each) for each in quota.limit_ranges]).in_class(priority_class)
        if (room := _room(quota, footprint)) is not None:
            found.append(room)
    return sorted(found, key=lambda fact: fact.room)


def reserved_for(group: GroupFact, quota: QuotaFact) -> dict[str, Fraction]:
    """What all workers of a group at its ceiling take of each of the quota's keys, each in the class of its tier.

    Raises ValueError for a worker that the API server would refuse.
    """
    footprint = footprint_of(dict(worker_outline(group.worker)), [dict(each) for each in quota.limit_ranges])
    total, counted = dict[str, Fraction](), 0
    for threshold, priority_class in (*group.tiers, (group.worker_ceiling, None)):
        workers = min(threshold, group.worker_ceiling) - counted
        if workers <= 0:
            continue
        counted += workers
        for key, amount in cost_in(dict(quota.manifest), footprint.in_class(priority_class)).items():
            if amount and key in (quota.enforced or quota.wanted):
                total[key] = total.get(key, Fraction(0)) + workers * amount
    return total


def _room(quota: QuotaFact, footprint: Footprint) -> Room | None:
    manifest = dict(quota.manifest)
    if missing := undeclared_in(manifest, footprint):
        keys = "; ".join(f"{key} (containers {', '.join(names)})" for key, names in sorted(missing.items()))
        return Room(quota, "", 0, 0, f"quota {quota.name} admits no pod that does not declare {keys}")
    bound = room_in(manifest, footprint, {})
    if bound is None:
        return None
    room, key = bound
    status = manifest.get("status") or {}
    hard, used = status["hard"][key], (status.get("used") or {}).get(key, "0")
    empty = room_in({**manifest, "status": {**status, "used": {}}}, footprint, {}) or bound
    needed = written(key, cost_in(manifest, footprint)[key])
    words = f"quota {quota.name}, key {key}: one worker needs {needed}, used {used} of {hard}"
    return Room(quota, key, max(0, room), max(0, empty[0]), words)
