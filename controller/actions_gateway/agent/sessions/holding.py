"""A delivery that is held because the group is at its ceiling: pure decisions.

GitHub repeats an unacknowledged offer at every poll of its session and takes it back after a while; a held job can be
claimed until then. Held jobs are asked for rarely, re-offers of the same job change nothing, and a poll that brings
nothing tells that the offer is over.
"""

from dataclasses import dataclass, replace

from actions_gateway.github.messages import JobRequest, Message


@dataclass(frozen=True, slots=True)
class Hold:
    """One held delivery. Times are seconds of the monotonic clock."""

    request: JobRequest
    since: float
    polled: float
    """When a poll was answered last."""

    def window_left(self, now: float, *, window_seconds: float) -> float:
        """How long the delivery can still be claimed; zero or less when its window has ended."""
        return self.since + window_seconds - now

    def poll_due_in(self, now: float, *, interval_seconds: float) -> float:
        """Until the next poll."""
        return max(0.0, self.polled + interval_seconds - now)


def after_poll(hold: Hold, message: Message | None, now: float) -> Hold | None:
    """What is held after a poll; None when nothing is any more.

    The same job under a new message id is the offer that is held already; another job takes its place.
    """
    match message:
        case None:
            return None
        case JobRequest(request_id=request_id) if request_id != hold.request.request_id:
            return Hold(message, now, now)
        case _:
            return replace(hold, polled=now)
