"""How many sessions of a group wait for work, and how many are prepared to follow them: pure arithmetic.

One at rest. A wave of deliveries, one to each session that waited, doubles the number up to the group's bound. To open
a registered session takes two calls to GitHub, to begin anew four; so while waves follow each other closely, those of
the next wave are registered ahead (up to a bound, since any wave may be the last), and each delivery finds the next
sessions ready to open. Silence gives back: half when a whole wave of polls brought nothing, and each session that heard
nothing for long. There are never more sessions than places for jobs, so that no delivery is taken from other runners in
vain, and never none: the last one keeps the group hearing.
"""

from dataclasses import dataclass, replace
from math import inf

_AHEAD = 25
"""Successors that are registered ahead, at most: what opens and claims at one time keeps a whole core busy."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a group has grown. Times are seconds of the monotonic clock."""

    size: int = 1
    deliveries: int = 0
    """Of the current wave."""
    silent: int = 0
    """Empty polls since the last delivery."""
    began: float = -inf
    """When the current wave did: with the end of the last one."""
    is_burst: bool = False
    """Waves follow each other closely."""

    def delivered(self, max_listeners: int, *, now: float, burst_seconds: float) -> "Growth":
        """After a delivery that is claimed: a full wave doubles the size."""
        size = min(self.size, max(1, max_listeners))
        if self.deliveries + 1 < size:
            return replace(self, deliveries=self.deliveries + 1, silent=0)
        is_burst = now - self.began <= burst_seconds
        return Growth(min(size * 2, max(1, max_listeners)), began=now, is_burst=is_burst)

    def unheard(self, listening: int) -> "Growth":
        """After an empty poll of one of `listening` sessions: if a whole wave brought nothing, half of them will do."""
        if self.silent + 1 < min(self.size, listening):
            return replace(self, silent=self.silent + 1)
        return Growth(max(1, self.size // 2), began=self.began)

    def drained(self) -> "Growth":
        """After a session that heard nothing for long was given back."""
        return Growth(max(1, self.size - 1), began=self.began)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many sessions there should be now."""

    waiting: int
    """Open, or about to be: bounded by maxListeners."""
    registered: int
    """Those and the ones that are prepared to follow."""


def wanted_sessions(growth: Growth, *, max_listeners: int, free_places: int, is_open: bool, at_rest: int = 1) -> Wanted:
    """What there should be of a group that may claim `free_places` more jobs now."""
    if not is_open:
        return Wanted(0, 0)
    size = min(max(growth.size, at_rest), max(1, max_listeners))
    registered = max(1, min(size + min(2 * size, _AHEAD) if growth.is_burst else size, free_places))
    return Wanted(min(size, registered), registered)
