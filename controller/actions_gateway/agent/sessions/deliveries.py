"""What waits: jobs that were delivered to a group and not claimed yet, for how long, and why.

A job is known by its request id; each offer of it carries a message id of its own. The record survives the loss of an
offer, since GitHub offers the job again: the time from the first delivery is what its owner has waited, and the time
that it was held for the group's own ceiling is told apart from the rest. Times are seconds of the monotonic clock.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from actions_gateway.api.waits import WaitReason


@dataclass(slots=True)
class Waiting:
    """One job that was delivered."""

    first_delivered: float
    last_delivered: float
    reason: WaitReason = WaitReason.CLAIM
    """Why it waits, or waited when its last offer ended."""
    held_seconds: float = 0.0
    """For the group's ceiling, without the hold that goes on."""
    held_since: float | None = None
    is_claiming: bool = False

    @property
    def unheld_since(self) -> float:
        """The first delivery, later by the time for which its own group's ceiling made it wait before what it waits for
        now."""
        return self.first_delivered + (0.0 if self.reason is WaitReason.CEILING else self.held_seconds)

    def hold(self, now: float, reason: WaitReason) -> None:
        """The job waits for this reason from now on, if it did not before."""
        if reason is not self.reason:
            self.unhold(now)
            self.reason = reason
        if self.held_since is None:
            self.held_since = now

    def unhold(self, now: float) -> None:
        """It may be claimed, or the offer is over."""
        if self.held_since is not None:
            self.held_seconds += now - self.held_since if self.reason is WaitReason.CEILING else 0.0
            self.held_since = None

    def claim(self) -> None:
        """The job is being claimed."""
        self.is_claiming, self.reason = True, WaitReason.CLAIM


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
        return len(self._current(now))

    def oldest(self, now: float) -> dict[WaitReason, float]:
        """When the first of those that wait for a reason was delivered first, by the reasons that there are."""
        return _earliest((waiting.reason, waiting.first_delivered) for waiting in self._current(now).values())

    def unheld(self, now: float) -> dict[WaitReason, float]:
        """The same without the time for which the group's own ceiling held them before."""
        return _earliest((waiting.reason, waiting.unheld_since) for waiting in self._current(now).values())

    def counts(self, now: float) -> dict[WaitReason, int]:
        """How many wait for each reason that there is."""
        return dict(Counter(waiting.reason for waiting in self._current(now).values()))

    def _current(self, now: float) -> dict[str, Waiting]:
        for request_id, waiting in list(self._waiting.items()):
            if now - waiting.last_delivered > self._memory_seconds and not waiting.is_claiming:
                del self._waiting[request_id]
        return self._waiting


def _earliest(moments: Iterable[tuple[WaitReason, float]]) -> dict[WaitReason, float]:
    earliest: dict[WaitReason, float] = {}
    for reason, since in moments:
        earliest[reason] = min(earliest.get(reason, since), since)
    return earliest
