"""How many sessions of a group wait for work: pure arithmetic.

One at rest. A wave of deliveries, as many as sessions waited, doubles the number up to the group's bound; a session
that hears nothing for a while gives one back. There are never more than free places, so that no delivery is taken from
other runners in vain, and never none: the last session keeps the group hearing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a group has grown, and how many deliveries the current wave has seen."""

    size: int = 1
    deliveries: int = 0

    def delivered(self, max_listeners: int) -> "Growth":
        """After a delivery that was claimed: a full wave doubles the size."""
        deliveries = self.deliveries + 1
        if deliveries < self.size:
            return Growth(self.size, deliveries)
        return Growth(min(self.size * 2, max(1, max_listeners)), 0)

    def drained(self) -> "Growth":
        """After a session that heard nothing was given back."""
        return Growth(max(1, self.size - 1), 0)


def wanted_sessions(growth: Growth, *, max_listeners: int, free_places: int, is_open: bool) -> int:
    """How many sessions should wait now."""
    if not is_open:
        return 0
    return max(1, min(growth.size, max_listeners, free_places))
