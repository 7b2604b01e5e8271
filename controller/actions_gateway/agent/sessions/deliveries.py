"""What waits: jobs that were delivered to a group and not claimed yet.

A job is known by its request id; each offer of it carries a message id of its own. The record survives the loss of an
offer, since GitHub offers the job again: the time from the first delivery is what its owner has waited, and the time
that it was held for the group's own ceiling is told apart from the rest. Times are seconds of the monotonic clock.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Waiting:
    """One job that was delivered."""

    first_delivered: float
    last_delivered: float
    held_seconds: float = 0.0
    """Without the hold that goes on."""
    held_since: float | None = None
    is_claiming: bool = False

    def hold(self, now: float) -> None:
        """The job waits for a place from now on, if it did not before."""
        if self.held_since is None:
            self.held_since = now

    def unhold(self, now: float) -> None:
        """A place was found, or the offer is over."""
        if self.held_since is not None:
            self.held_seconds += now - self.held_since
            self.held_since = None


class Deliveries:
    """The waiting jobs of one group; each is forgotten some minutes after its last delivery."""

    def __init__(self, *, memory_seconds: float) -> None:
        self._memory_seconds = memory_seconds
        self._waiting: dict[str, Waiting] = {}

    def seen(self, request_id: str, now: float) -> Waiting:
        """The job is on offer now."""
        waiting = self._waiting.setdefault(request_id, Waiting(now, now))
        waiting.last_delivered = now
        return waiting

    def claimed(self, request_id: str) -> None:
        """The job waits no more."""
        self._waiting.pop(request_id, None)

    def count(self, now: float) -> int:
        """How many jobs wait."""
        for request_id, waiting in list(self._waiting.items()):
            if now - waiting.last_delivered > self._memory_seconds and not waiting.is_claiming:
                del self._waiting[request_id]
        return len(self._waiting)
