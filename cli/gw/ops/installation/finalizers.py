"""Gateways that nobody takes down any more: the manager's finalizer is on them, and no manager answers for it.

A manager takes a deleted gateway down in order and releases it within ten minutes, whatever remains. Where none runs,
`gw` releases it: the garbage collector has its objects then, and what its agent could not sign off at GitHub goes from
there by itself within a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actions_gateway.api.names import GATEWAY_FINALIZER
from gw.sources.gateways import parse_time
from gw_alerts.thresholds import DELETION_SECONDS

Manifest = dict[str, Any]

ABSENCE_SECONDS = 30.0
"""A manager that changes over, or starts anew, is not gone."""
OVERDUE_SECONDS = DELETION_SECONDS.value + 60
"""The manager's own limit for a deletion, and a minute."""


@dataclass(slots=True)
class ManagerWatch:
    """Whether a manager runs: one that is not even installed never does."""

    is_installed: bool
    _seen_at: float | None = None

    def saw(self, pods: Sequence[Mapping[str, Any]], monotonic: float) -> None:
        """Takes note of a look at its pods; the first one counts as a sight."""
        if self._seen_at is None or any(map(_is_ready, pods)):
            self._seen_at = monotonic

    def is_running(self, monotonic: float) -> bool:
        """Whether a ready pod of it was seen lately."""
        return self.is_installed and self._seen_at is not None and monotonic - self._seen_at < ABSENCE_SECONDS


def abandoned(gateways: Sequence[Manifest], *, is_managed: bool, now: datetime) -> list[Manifest]:
    """The gateways on their way out whose finalizer is the manager's, and which it does not release."""
    return [each for each in gateways if _is_kept(each["metadata"]) and (not is_managed or _is_overdue(each, now))]


def without_finalizer(gateway: Manifest) -> Manifest:
    """A merge patch that takes the manager's finalizer away, and nobody else's; a conflict where it has changed."""
    metadata = gateway["metadata"]
    others = [name for name in metadata["finalizers"] if name != GATEWAY_FINALIZER]
    return {"metadata": {"finalizers": others or None, "resourceVersion": metadata["resourceVersion"]}}


def _is_kept(metadata: Mapping[str, Any]) -> bool:
    return bool(metadata.get("deletionTimestamp")) and GATEWAY_FINALIZER in (metadata.get("finalizers") or ())


def _is_overdue(gateway: Manifest, now: datetime) -> bool:
    deleted_at = parse_time(gateway["metadata"]["deletionTimestamp"])
    return deleted_at is not None and (now - deleted_at).total_seconds() >= OVERDUE_SECONDS


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in conditions)
