"""The arithmetic of a rollout: which ReplicaSet gets how many replicas next. Pure functions.

Source: kubernetes pkg/controller/deployment (rolling.go, recreate.go) and util/deployment_util.go (NewRSNewReplicas,
ResolveFenceposts).
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HASH_LABEL = "pod-template-hash"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True)
class Strategy:
    """A Deployment's strategy with its percentages resolved."""

    is_recreate: bool
    max_surge: int
    max_unavailable: int


@dataclass(frozen=True, slots=True)
class Share:
    """One ReplicaSet's part of a Deployment."""

    name: str
    replicas: int
    """What its spec asks for."""
    available: int


def strategy_of(deployment: dict[str, Any], desired: int) -> Strategy:
    """Surge is rounded up, unavailability down; when both come to 0, one pod may be unavailable."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Strategy(is_recreate=True, max_surge=0, max_unavailable=0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = math.ceil(_portion(rolling.get("maxSurge", "25%"), desired))
    unavailable = math.floor(_portion(rolling.get("maxUnavailable", "25%"), desired))
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Strategy(is_recreate=False, max_surge=surge, max_unavailable=min(unavailable, desired))


def plan_recreate(desired: int, new: Share, olds: Sequence[Share], *, old_pods_remain: bool) -> dict[str, int]:
    """Replicas by ReplicaSet name: nothing new before the last old pod is gone."""
    if olds and (any(old.replicas for old in olds) or old_pods_remain):
        return {old.name: 0 for old in olds if old.replicas}
    return {} if new.replicas == desired else {new.name: desired}


def plan_rolling(desired: int, strategy: Strategy, new: Share, olds: Sequence[Share]) -> dict[str, int]:
    """Replicas by ReplicaSet name for the next step: the new one grows first, then the old shrink, oldest first."""
    total = new.replicas + sum(old.replicas for old in olds)
    if new.replicas > desired:
        return {new.name: desired}
    room = desired + strategy.max_surge - total
    if new.replicas < desired and room > 0:
        return {new.name: new.replicas + min(room, desired - new.replicas)}
    return _plan_shrinking(desired - strategy.max_unavailable, new, olds, total)


def template_hash(template: dict[str, Any]) -> str:
    """A short digest of a pod template that is safe in names and labels."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"))
    number = int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big")
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(10))


def same_template(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two pod templates are equal but for the hash label."""
    return _without_hash(one) == _without_hash(other)


def _plan_shrinking(min_available: int, new: Share, olds: Sequence[Share], total: int) -> dict[str, int]:
    left = total - min_available - (new.replicas - new.available)
    plan: dict[str, int] = {}
    # Pods that are not available are missed by nobody: they go first.
    for old in olds:
        unhealthy = min(max(0, left), old.replicas - old.available)
        if unhealthy > 0:
            plan[old.name] = old.replicas - unhealthy
            left -= unhealthy
    spare = new.available + sum(old.available for old in olds) - min_available
    for old in olds:
        healthy = min(max(0, left), max(0, spare), plan.get(old.name, old.replicas))
        if healthy > 0:
            plan[old.name] = plan.get(old.name, old.replicas) - healthy
            left, spare = left - healthy, spare - healthy
    return plan


def _portion(value: int | str, desired: int) -> float:
    if isinstance(value, str) and value.endswith("%"):
        return int(value[:-1]) * desired / 100
    return int(value)


def _without_hash(template: dict[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return template | {"metadata": metadata | {"labels": labels}}
