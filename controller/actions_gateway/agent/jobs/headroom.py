"""Headroom: how many more workers the ResourceQuotas of the namespace admit.

Quotas and LimitRanges are watched, never written. To what a quota counts as used comes what the agent's groups have
reserved for claims whose pods do not exist yet. Unread quotas bind nobody: a job that a quota refuses after its claim
is retried, a group that claims nothing because it cannot look would fall silent.
"""

import asyncio
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import structlog

from actions_gateway.agent.basics import Basics
from actions_gateway.agent.signals import Signal
from actions_gateway.api.footprint import Footprint, cost_in, room_in, undeclared_in
from actions_gateway.api.quantities import format_quantity, parse_quantity
from actions_gateway.kube.client import KubeClient
from actions_gateway.kube.listwatch import ChangeType, list_watch
from actions_gateway.kube.resources import LIMITRANGES, RESOURCEQUOTAS, Resource

log = structlog.get_logger(__name__)

Manifest = dict[str, Any]

_UNBOUND = 2**31
"""More than any group's ceiling."""


class Headroom:
    """Of one namespace, for all groups of the agent; kept by `run`."""

    def __init__(self, client: KubeClient, basics: Basics) -> None:
        self._client = client
        self._basics = basics
        self._kept: dict[Resource, dict[str, Manifest]] = {RESOURCEQUOTAS: {}, LIMITRANGES: {}}
        self._synced: set[Resource] = set()
        self._reserved: dict[int, tuple[Footprint, int]] = {}
        """How often each footprint is reserved, by its identity: the jobs of a group share one."""
        self._limit_ranges: tuple[Manifest, ...] = ()
        self._is_told = False
        self.changed = Signal()
        """Fires when a quota was raised, is used less or is gone: what was refused may be admitted now."""
        self.moved = Signal()
        """Fires whenever the headroom may be another one, because of the agent's own reservations, too."""

    @property
    def limit_ranges(self) -> tuple[Manifest, ...]:
        """Those of the namespace, whose defaults a pod's containers get; the same object until one changes."""
        return self._limit_ranges

    # -- what quotas say -----------------------------------------------------------------------------------------

    def room(self, footprint: Footprint) -> int:
        """How many more such jobs the quotas admit beside what is reserved."""
        return min((room for room, _, _ in self._rooms(footprint)), default=_UNBOUND)

    def shortage(self, footprint: Footprint) -> str:
        """Why the quotas admit no such job now: the key of the quota that binds, or what its pod has to declare.

        Empty when there is room for one, and before the quotas were read.
        """
        for room, quota, key in self._rooms(footprint):
            if room <= 0 and (undeclared := self._undeclared(quota, footprint)):
                return undeclared
            if room <= 0:
                return self._told(quota, key, footprint)
        return ""

    def undeclared(self, footprint: Footprint) -> str:
        """What the pod has to declare because of a quota, whatever is used of it; empty when it does."""
        texts = (self._undeclared(quota, footprint) for quota in self._quotas())
        return next((text for text in texts if text), "")

    def _rooms(self, footprint: Footprint) -> list[tuple[int, Manifest, str]]:
        """For each quota that counts the job: how many more it admits, and its key that binds."""
        found = []
        for quota in self._quotas():
            if self._undeclared(quota, footprint):
                found.append((0, quota, ""))
            elif (bound := room_in(quota, footprint, self._taken(quota))) is not None:
                found.append((max(0, bound[0]), quota, bound[1]))
        return found

    def _quotas(self) -> list[Manifest]:
        if RESOURCEQUOTAS not in self._synced and not self._is_told:
            self._is_told = True
            log.warning("the namespace's quotas are not read yet: jobs are claimed without a look at them")
        return list(self._kept[RESOURCEQUOTAS].values())

    def _undeclared(self, quota: Manifest, footprint: Footprint) -> str:
        if LIMITRANGES not in self._synced:
            # Their defaults may declare it.
            return ""
        missing = undeclared_in(quota, footprint)
        if not missing:
            return ""
        keys = "; ".join(f"{key} (containers {', '.join(names)})" for key, names in sorted(missing.items()))
        return f"the quota {quota['metadata']['name']} admits no pod that does not declare {keys}"

    def _taken(self, quota: Manifest) -> Mapping[str, Fraction]:
        taken: dict[str, Fraction] = {}
        for footprint, count in self._reserved.values():
            for key, amount in cost_in(quota, footprint).items():
                taken[key] = taken.get(key, Fraction(0)) + amount * count
        return taken

    def _told(self, quota: Manifest, key: str, footprint: Footprint) -> str:
        hard, used = (quota["status"].get(part, {}).get(key, "0") for part in ("hard", "used"))
        reserved, needed = self._taken(quota).get(key), cost_in(quota, footprint)[key]
        shown = f", reserved {_written(key, reserved)}" if reserved else ""
        name = quota["metadata"]["name"]
        return f"the quota {name} has no room: {key} needs {_written(key, needed)}, used {used}{shown} of {hard}"

    # -- reservations --------------------------------------------------------------------------------------------

    def reserve(self, footprint: Footprint) -> None:
        """Counts a job whose pod does not exist yet, until `settle` is called with the same footprint."""
        _, count = self._reserved.get(id(footprint), (footprint, 0))
        self._reserved[id(footprint)] = footprint, count + 1

    def settle(self, footprint: Footprint) -> None:
        """The pod exists, so that the quotas count it, or there will be none."""
        _, count = self._reserved.pop(id(footprint))
        if count > 1:
            self._reserved[id(footprint)] = footprint, count - 1
        self.moved.notify()

    # -- the watches ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the namespace's quotas and LimitRanges until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for resource in self._kept:
                tasks.create_task(self._follow(resource), name=f"watch {resource.plural}")

    async def _follow(self, resource: Resource) -> None:
        basics, kept = self._basics, self._kept[resource]
        async for change in list_watch(self._client, resource, basics.namespace, clock=basics.clock, rng=basics.rng):
            if change.type is ChangeType.SYNCED:
                self._synced.add(resource)
                self.moved.notify()
                continue
            name = change.object["metadata"]["name"]
            before = kept.pop(name, None)
            if change.type is not ChangeType.DELETED:
                kept[name] = change.object
            if resource is LIMITRANGES:
                self._limit_ranges = tuple(kept.values())
            if resource is LIMITRANGES or _has_eased(before, kept.get(name)):
                self.changed.notify()
            self.moved.notify()


def _has_eased(before: Manifest | None, after: Manifest | None) -> bool:
    """Whether a quota admits more than before in any of its keys."""
    if before is None:
        return False
    if after is None:
        return True
    was, now = _left(before), _left(after)
    return any(key not in now or now[key] > left for key, left in was.items())


def _left(quota: Manifest) -> dict[str, Fraction]:
    status = quota.get("status") or {}
    used = status.get("used") or {}
    return {
        key: parse_quantity(hard) - parse_quantity(used.get(key, 0)) for key, hard in (status.get("hard") or {}).items()
    }


def _written(key: str, amount: Fraction) -> str:
    return format_quantity(amount, is_size="memory" in key or "storage" in key)
