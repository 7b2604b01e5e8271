"""Admission: how many of a group's jobs may run at once, decided before a job is claimed.

A place is reserved before the claim and freed when the job ends, so claims in flight count. Workers that an earlier
agent process left running count, too. Quota headroom and back-off after failures belong here when they come.
"""

from collections.abc import Sequence

from actions_gateway.agent.signals import Signal
from actions_gateway.api.runnergroup import PriorityTier


class Reservation:
    """One place; `release` is idempotent."""

    __slots__ = ("_admission", "_is_held", "priority_class")

    def __init__(self, admission: "Admission", priority_class: str | None) -> None:
        self._admission = admission
        self._is_held = True
        self.priority_class = priority_class
        """The class of the first tier that had room; None leaves the template's own."""

    def release(self) -> None:
        """Frees the place."""
        if self._is_held:
            self._is_held = False
            self._admission._freed()


class Admission:
    """The places of one group."""

    def __init__(self) -> None:
        self.changed = Signal()
        """Fires when places were freed or the limits moved."""
        self.ceiling = 0
        self._tiers: tuple[PriorityTier, ...] = ()
        self._reserved = 0
        self._inherited = 0
        self._is_open = False

    def configure(self, *, ceiling: int, tiers: Sequence[PriorityTier], is_open: bool) -> None:
        """Takes new limits; reservations beyond a lowered ceiling stay until their jobs end."""
        self.ceiling, self._tiers, self._is_open = ceiling, tuple(tiers), is_open
        self.changed.notify()

    def inherit(self, workers: int) -> None:
        """How many workers run that no reservation stands for."""
        if workers != self._inherited:
            self._inherited = workers
            self.changed.notify()

    @property
    def is_open(self) -> bool:
        """Whether the group may claim at all."""
        return self._is_open

    @property
    def in_use(self) -> int:
        """Places taken."""
        return self._reserved + self._inherited

    @property
    def free(self) -> int:
        """Places left; 0 while the group is closed."""
        return max(0, self.ceiling - self.in_use) if self._is_open else 0

    def reserve(self) -> Reservation | None:
        """A place, or None when there is none now."""
        if self.free == 0:
            return None
        reservation = Reservation(self, priority_class_for(self.in_use, self._tiers))
        self._reserved += 1
        self.changed.notify()
        return reservation

    def _freed(self) -> None:
        self._reserved -= 1
        self.changed.notify()


def priority_class_for(workers: int, tiers: Sequence[PriorityTier]) -> str | None:
    """The class for one more worker beside `workers`: that of the first tier with room."""
    for tier in tiers:
        if workers < tier.threshold:
            return tier.priority_class_name
    return None
